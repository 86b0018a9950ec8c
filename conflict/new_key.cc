#include "conflict/new_key.h"

#include <algorithm>

namespace entente {
namespace {

constexpr uint64_t kBegin = 1'704'067'200'000;  // 2024 began
constexpr uint64_t kPerMs = 16;
constexpr uint64_t kMost = (uint64_t{1} << 45) - 1;

}  // namespace

// A clock beyond the range is wrong, and is not followed.
int64_t NewKeys::next(uint64_t wall_ms, uint8_t slot) {
  const uint64_t elapsed = wall_ms > kBegin ? wall_ms - kBegin : 0;
  const uint64_t by_clock = elapsed <= kMost / kPerMs ? elapsed * kPerMs : 0;
  last = std::max(last + 1, by_clock);
  return static_cast<int64_t>(last * kSlots + slot);
}

}  // namespace entente
