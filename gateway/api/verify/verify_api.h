#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "gateway/api/verify/verification_run.h"
#include "gateway/http/router.h"

namespace entente {

// Comparing this datacenter with others, and repairing what differs: POST /v1/verify starts a run,
// GET tells how it goes or what came of the last one. And what other gateways ask for it.
//
// A run that somebody asks for compares with every other datacenter of the file. By itself, every
// limits.verify_every, and, to repair what differs, limits.repair_every, a gateway compares with
// those of its neighbours whose names come after its own, so that each link is compared once; links
// connect everybody.
//
// Threads: the network thread.
// Bounds:  one run at a time.
class VerifyApi {
 public:
  explicit VerifyApi(const Site& site);

  void add_to(Router& router);
  // POST /v1/digest, for gateways.
  Task<Response> digest(RoutedRequest routed);
  // Starts a run if one is due. Call several times a second.
  void tick();
  // A run that is under way ends soon.
  void stop();

  struct Counts {
    uint64_t runs = 0, rows = 0, repaired = 0;  // since the start
    uint64_t different = 0, busy = 0;           // of the last run that ended; not those repaired
    double ended_at = 0;                        // Unix time; 0: none has
  };
  Counts counts() const { return counts_; }

 private:
  using Clock = std::chrono::steady_clock;
  using WorkGuard = boost::asio::executor_work_guard<boost::asio::any_io_executor>;

  Task<Response> start(RoutedRequest routed);
  Task<Response> look();
  void begin(VerificationReport report);
  static bool is_due(std::chrono::milliseconds every, Clock::time_point& due);
  Task<void> run();
  std::vector<VerificationReport::Peer> everybody() const;
  std::vector<VerificationReport::Peer> later_neighbours() const;

  const Site& site_;
  std::unique_ptr<VerificationRun> run_;  // the last one
  std::optional<WorkGuard> working_;      // the network thread goes on until the run is over
  TaskGroup tasks_;
  Clock::time_point verify_due_, repair_due_;
  Counts counts_;
  bool stopping_ = false;
};

}  // namespace entente
