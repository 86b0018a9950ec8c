#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

namespace entente {

// How fast a counter that only grows has grown in the last five seconds.
//
// Threads: one at a time.
class MovingRate {
 public:
  using Instant = std::chrono::milliseconds;  // of a monotonic clock
  static constexpr Instant kWindow{5'000};
  static constexpr Instant kStep{500};  // samples that come sooner are left out

  // What the counter shows; call about every kStep.
  void sample(Instant now, uint64_t total);
  double per_second(Instant now, uint64_t total) const;

 private:
  struct Sample {
    Instant at;
    uint64_t total;
  };
  std::deque<Sample> samples_;  // oldest first; only the first may be older than kWindow
};

}  // namespace entente
