#pragma once

#include <chrono>
#include <optional>

#include "conflict/version_vector.h"
#include "gateway/replica/vector_history.h"

namespace entente {

// Which contexts this datacenter promises to refuse: those that do not cover what it had applied
// `lifetime` ago. Contexts that were given out since then cover that.
//
// What was applied then does not survive a restart: the first new promise comes a lifetime later.
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

  bool under_way() const { return under_way_.has_value(); }
  // What is promised durably.
  const VersionVector& floor() const { return floor_; }

 private:
  VersionVector floor_;
  std::optional<VersionVector> under_way_;
  VectorHistory applied_;
};

}  // namespace entente
