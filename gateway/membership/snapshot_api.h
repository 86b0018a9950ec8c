#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "gateway/api/site.h"
#include "gateway/http/router.h"

namespace entente {

inline constexpr const char* kRunsAlready = "runs_already";

// POST /v1/snapshot, for other gateways: the whole database of this one, a piece an answer, for who
// has none yet.
//
// A request is `{"id": …, "from": …, "linked": …}`: which copy, from which byte on, and whether the
// asker's gateway runs; without an id, or one that is not there any more, a copy is made, and the
// answer begins with its first byte. An answer is a line of JSON, `{"id", "bytes", "from",
// "checksum", "latest_ms"}` (of the piece, XXH3-64; "bytes" of the whole; no change in the copy is
// stamped later), and the piece. 404 `empty`: no copies are made here; 503 `busy`: the copy is
// being made, ask again soon; 409 `runs_already`: the asker's gateway does not run, and one of that
// name is linked with this.
//
// Threads: the network thread; a copy is made on one of its own.
// Bounds:  one copy at a time, shared by all who ask; it goes when nobody asked for a while.
class SnapshotApi {
 public:
  // Tells this gateway's Replica::copied_by; calls back once it knows.
  using CopiedBy = std::function<void(const std::string& dc, std::function<void(bool)> done)>;
  // Copies live in `folder`; what an earlier process left there goes.
  SnapshotApi(const Site& site, std::filesystem::path folder, CopiedBy copied_by);
  ~SnapshotApi();
  SnapshotApi(const SnapshotApi&) = delete;
  SnapshotApi& operator=(const SnapshotApi&) = delete;

  Task<Response> answer(RoutedRequest routed);
  // Call it every now and then.
  void tick();

 private:
  using Clock = std::chrono::steady_clock;
  struct Copy {
    std::string id;
    std::filesystem::path path;
    uint64_t bytes = 0;
    uint64_t latest_ms = 0;
    Clock::time_point used;
  };
  Task<Result<void>> make();
  Task<uint64_t> latest_stamp_ms();
  Result<std::string> piece(const Copy& copy, uint64_t from) const;
  void forget();

  const Site& site_;
  const std::filesystem::path folder_;
  const CopiedBy copied_by_;
  std::optional<Copy> copy_;
  bool making_ = false;
  std::thread maker_;
};

}  // namespace entente
