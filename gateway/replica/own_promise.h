#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "conflict/version_vector.h"

namespace entente {

// Which contexts this datacenter promises to refuse: those that do not cover what it had applied
// `lifetime` ago. Contexts that were given out since then cover that.
//
// It remembers what was applied sixteen times per lifetime, at most every 100 ms, so a promise is
// up to a sixteenth older than it could be. What it remembers does not survive a restart; then the
// first new promise comes a lifetime later.
class OwnPromise {
 public:
  using Instant = std::chrono::milliseconds;

  // `durable`: the floor that was promised in the life before.
  OwnPromise(Instant lifetime, VersionVector durable);

  // Call at every tick with what is applied, durably.
  void look(const VersionVector& applied, Instant now);
  // A new floor to make durable; none while the one before is on its way.
  std::optional<VersionVector> take();
  void kept();    // the floor that was taken is durable
  void failed();  // … is not

  // What is promised durably.
  const VersionVector& floor() const { return floor_; }

 private:
  struct Memory {
    Instant time;
    VersionVector applied;
  };

  const Instant lifetime_;
  const Instant step_;
  VersionVector floor_;
  std::optional<VersionVector> under_way_;
  std::deque<Memory> memories_;  // oldest first; at most the first is older than the lifetime
  Instant now_{0};
};

}  // namespace entente
