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

NewKeys::Range NewKeys::ahead_of(uint64_t wall_ms) {
  constexpr uint64_t kAhead = 30ull * 24 * 3'600'000 * kPerMs;
  const uint64_t first = by_clock(wall_ms), last = std::min(first + kAhead, kMost);
  return {static_cast<int64_t>(first * kSlots), static_cast<int64_t>(last * kSlots + kSlots - 1)};
}

}  // namespace entente
