#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace entente::simulation {

// One named stream of a seed's randomness. Streams are independent: what one draws, or whether it
// is there at all, changes no other. Source: SplitMix64 (Steele et al., 2014).
class Random {
 public:
  Random(uint64_t seed, std::string_view stream) : state_(seed) {
    for (const char c : stream) state_ = (state_ ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    next();
  }

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, n); n > 0.
  uint64_t below(uint64_t n) { return next() % n; }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1p-53 < p; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace entente::simulation
