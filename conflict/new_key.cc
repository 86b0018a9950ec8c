#include "conflict/new_key.h"

namespace entente {
namespace {

constexpr uint64_t kBegin = 1'704'067'200'000;  // 2024 began
constexpr uint64_t kPerMs = 16;
constexpr uint64_t kMost = (uint64_t{1} << 45) - 1;

// A clock beyond the range is wrong, and is not followed.
uint64_t by_clock(uint64_t wall_ms) {
  const uint64_t elapsed = wall_ms > kBegin ? wall_ms - kBegin : 0;
  return elapsed <= kMost / kPerMs ? elapsed * kPerMs : 0;
}

}  // namespace

std::optional<int64_t> NewKeys::next(uint64_t wall_ms, uint8_t slot) {
  const uint64_t next = std::max(last + 1, by_clock(wall_ms));
  if (next > kMost) return std::nullopt;
  last = next;
  return static_cast<int64_t>(last * kSlots + slot);
}

namespace {

// Bits, the lowest first.
class Bits {
 public:
  Bits& add(uint64_t value, int count) {
    value_ |= value << count_;
    count_ += count;
    return *this;
  }
  SmallKeys keys() const { return {int64_t{1} << count_, static_cast<int64_t>(value_)}; }

 private:
  uint64_t value_ = 0;
  int count_ = 0;
};

}  // namespace

std::optional<SmallKeys> SmallKeys::of(uint8_t slot, uint64_t life) {
  constexpr uint64_t kFew = 7, kMany = 4096;
  if (life > kFew + kMany) return std::nullopt;
  Bits bits;
  slot < 8 ? bits.add(0, 1).add(slot, 3) : bits.add(1, 1).add(slot, 8);
  if (life == 0) return bits.add(0, 1).keys();
  bits.add(1, 1);
  if (life <= kFew) return bits.add(life - 1, 3).keys();
  return bits.add(kFew, 3).add(life - kFew - 1, 12).keys();
}

std::optional<int64_t> SmallKeys::after(int64_t last) const {
  const int64_t from = std::clamp<int64_t>(last, 0, kEnd) + 1;
  const int64_t next = from + (remainder - from % step + step) % step;
  return next < kEnd ? std::optional(next) : std::nullopt;
}

NewKeys::Range NewKeys::ahead_of(uint64_t wall_ms) {
  constexpr uint64_t kAhead = 30ull * 24 * 3'600'000 * kPerMs;
  const uint64_t first = by_clock(wall_ms), last = std::min(first + kAhead, kMost);
  return {static_cast<int64_t>(first * kSlots), static_cast<int64_t>(last * kSlots + kSlots - 1)};
}

}  // namespace entente
