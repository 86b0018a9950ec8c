#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "conflict/version_vector.h"

namespace entente {

// What is durable here, and those who wait until it covers something.
//
// Threads: every method from any thread. Deadlines are kept by a thread of its own, so that a
//          writer that is busy delays nobody's refusal.
class AppliedVector {
 public:
  using Clock = std::chrono::steady_clock;
  using Done = std::function<void(bool)>;

  AppliedVector(VersionVector applied, size_t waiters_max);
  ~AppliedVector();  // stop()

  VersionVector get() const;
  // Joins what became durable and calls back those it satisfies.
  void advance(const VersionVector& durable);
  // Calls back with true once `target` is covered, at once if it is already; with false at the
  // deadline, or at once when waiters_max wait.
  void wait(VersionVector target, Clock::time_point deadline, Done done);
  // Refuses everybody who still waits. Idempotent.
  void stop();

 private:
  struct Waiter {
    VersionVector target;
    Clock::time_point deadline;
    Done done;
  };
  // Takes out the waiters for which `pick` is true. REQUIRES: the lock is held.
  template <class Pick>
  std::vector<Waiter> take_if(Pick pick);
  void keep_deadlines();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  VersionVector applied_;
  std::vector<Waiter> waiters_;
  const size_t waiters_max_;
  bool stopping_ = false;
  std::thread clock_;
};

}  // namespace entente
