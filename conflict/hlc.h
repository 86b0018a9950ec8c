#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

namespace entente {

// A hybrid logical clock stamp: 48 bits of Unix milliseconds, 16 bits of counter.
// Source: Kulkarni et al., "Logical Physical Clocks", 2014.
struct Hlc {
  uint64_t bits = 0;

  static constexpr Hlc at(uint64_t unix_ms, uint16_t counter = 0) {
    return Hlc{(unix_ms << 16) | counter};
  }
  constexpr uint64_t unix_ms() const { return bits >> 16; }
  constexpr uint16_t counter() const { return static_cast<uint16_t>(bits); }
  friend constexpr auto operator<=>(const Hlc&, const Hlc&) = default;
};

// The clock of one replica. Every stamp it issues is larger than all it issued or observed,
// whatever the wall clock says; a counter that overflows carries into the milliseconds.
// The owner persists last() with what it stamped. Not thread-safe.
class HlcClock {
 public:
  explicit HlcClock(Hlc last = {}) : last_(last) {}

  Hlc tick(uint64_t wall_ms) {
    last_ = std::max(Hlc::at(wall_ms), Hlc{last_.bits + 1});
    return last_;
  }
  void observe(Hlc seen) { last_ = std::max(last_, seen); }
  Hlc last() const { return last_; }

 private:
  Hlc last_;
};

}  // namespace entente
