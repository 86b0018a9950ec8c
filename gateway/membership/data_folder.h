#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "conflict/dot.h"
#include "conflict/result.h"
#include "conflict/version_vector.h"

namespace entente {

// One gateway's folder: a lock that keeps a second gateway out while this object lives, and the
// incarnation marker, which says whose life the database beside it is. A database without its
// marker was restored or copied, and must not write under its old name.
//
// Files: `lock`, with the pid of who holds it; `incarnation`, 32 hex digits and a newline;
// `catching_up`, empty, while the database is a copy that has yet to catch up with the others;
// `unverified`, an incarnation and its last seq when a gateway was first started on this database,
// until links were up and nobody knew better (adapters/replay.h), and the word `shipped` once
// anything later of its own was sent to somebody;
// `rejoined`, a line: when a database was last replaced by a copy, and what became of it;
// `topology`, the last topology that the cluster agreed on, once it was changed while it ran.
// What is not yet known to be what others have.
struct Unverified {
  uint64_t after = 0;    // what this incarnation wrote after this seq
  bool shipped = false;  // some of it was sent to somebody
};

// A topology that a running cluster has gone over to.
struct TopologyEpoch {
  uint64_t epoch = 0;  // each follows one; 0: none did, the file's holds
  std::string yaml;    // the file that brought it; "": none did, each gateway's own holds
  // What who brought it had applied; absent: he did not say.
  std::optional<VersionVector> sealed{};
  std::string leader{};      // of the schema; "": as the file says
  std::string file_rules{};  // rules_fingerprint() of this gateway's own file then; "": not known
};

class DataFolder {
 public:
  // Creates the folder if need be. kBusy if another gateway has it.
  static Result<DataFolder> open(const std::filesystem::path& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  // kCorrupt if the marker is there but is not one.
  Result<std::optional<Origin>> marker() const;
  // Durable, and whole or not at all, when it returns.
  Result<void> write_marker(const Origin& incarnation) const;

  bool catching_up() const;
  // Durable when it returns.
  Result<void> set_catching_up(bool on) const;

  // Of this incarnation; absent: its history is known to be the one that others have.
  std::optional<Unverified> unverified(const Origin& incarnation) const;
  // Durable, and whole or not at all, when it returns.
  Result<void> set_unverified(const Origin& incarnation, const Unverified& what) const;
  Result<void> set_verified() const;

  // kCorrupt if the file is there but is not one.
  Result<TopologyEpoch> topology() const { return topology_in(path_); }
  static Result<TopologyEpoch> topology_in(const std::filesystem::path& folder);
  // Durable, and whole or not at all, when it returns.
  Result<void> set_topology(const TopologyEpoch& topology) const;
  // Beside it, one that was in force and lost to another of the same epoch. Durable, and whole or
  // not at all, when it returns; where it lies.
  Result<std::filesystem::path> keep_superseded(const TopologyEpoch& topology) const;

  // "" if it never was.
  std::string rejoined() const;
  // Durable, and whole or not at all, when it returns.
  Result<void> set_rejoined(const std::string& line) const;

 private:
  Result<void> write_line(const char* file, const std::string& line) const;

  DataFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  int lock_ = -1;
};

// What to_hex() makes of one: 32 hex digits.
std::optional<Origin> parse_origin(std::string_view hex);

// 128 random bits from the system.
Result<Origin> random_origin();

}  // namespace entente
