#pragma once

#include <chrono>
#include <deque>

#include "conflict/version_vector.h"

namespace entente {

// A vector as it was some time ago. It is remembered sixteen times in that time, at most every 100
// ms, so what it says is up to a sixteenth older than asked for.
class VectorHistory {
 public:
  using Instant = std::chrono::milliseconds;

  explicit VectorHistory(Instant age);

  // Call at every tick with the vector as it is.
  void look(const VersionVector& now_is, Instant now);
  // Null before it was looked at for that long.
  const VersionVector* back_then() const;

 private:
  struct Memory {
    Instant time;
    VersionVector vector;
  };

  const Instant age_;
  const Instant step_;
  std::deque<Memory> memories_;  // oldest first; at most the first is older than the age
  Instant now_{0};
};

}  // namespace entente
