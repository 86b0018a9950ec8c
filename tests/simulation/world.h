#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "tests/simulation/coverage.h"
#include "tests/simulation/epoch.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/scheduler.h"

namespace entente::simulation {

// What all parts of one simulation share: the plan, the time, the oracle, what was met, and the
// trace: a hash of everything that happened, and its text if somebody wants to read it.
class World {
 public:
  World(Plan drawn, bool print_trace)
      : plan(std::move(drawn)),
        oracle(plan.config.rules, plan.tables),
        active(plan.faults),
        print_(print_trace) {
    epochs_.emplace_back(plan.config);
    newest_ = &epochs_.front();
  }

  const Plan plan;
  Scheduler scheduler;
  Oracle oracle;
  Coverage coverage;
  std::set<Fault> active;  // the plan's faults, until everything is healed
  // Clients keep no context from before: a database went back, and means others by the same dots.
  int64_t contexts_since = 0;

  bool faulty(Fault fault) const { return active.contains(fault); }

  const Epoch& first_epoch() const { return epochs_.front(); }
  // The one that everybody goes over to in the end.
  const Epoch& newest_epoch() const { return *newest_; }
  // Some gateway was told to go over to this.
  const Epoch& add_epoch(Config config) {
    const std::string fingerprint = topology_fingerprint(config);
    for (const Epoch& known : epochs_) {
      if (known.fingerprint == fingerprint) return known;  // somebody else was told the same
    }
    const Epoch& epoch = epochs_.emplace_back(std::move(config));
    if (epoch.comes_after(*newest_)) newest_ = &epoch;
    return epoch;
  }
  size_t index_of(const std::string& dc) const {
    const auto& names = plan.names;
    return static_cast<size_t>(std::find(names.begin(), names.end(), dc) - names.begin());
  }

  // `what` is a literal; the numbers say what happened to whom.
  void trace(std::string_view what, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
    for (const uint64_t n : {static_cast<uint64_t>(scheduler.now()), a, b, c}) mix(n);
    for (const char letter : what) mix(static_cast<uint8_t>(letter));
    if (print_) {
      std::cout << scheduler.now() << " ms  " << what << " " << a << " " << b << " " << c << "\n";
    }
  }
  uint64_t trace_hash() const { return hash_; }

  // The first failure is the one that counts.
  void fail(std::string reason) {
    if (!failure_) {
      failure_ = "at " + std::to_string(scheduler.now()) + " ms: " + std::move(reason);
    }
  }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  void mix(uint64_t n) { hash_ = (hash_ ^ n) * 0x100000001b3; }

  const bool print_;
  std::deque<Epoch> epochs_;
  const Epoch* newest_ = nullptr;
  uint64_t hash_ = 0xcbf29ce484222325;
  std::optional<std::string> failure_;
};

}  // namespace entente::simulation
