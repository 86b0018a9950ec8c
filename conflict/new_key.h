#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace entente {

// Integer keys that two datacenters never both make: 45 bits that only grow, then the datacenter's
// own slot. Below 2^53, so that JavaScript has them exact. The 45 bits follow the clock, 16 to a
// millisecond, so that a datacenter that lost its disk goes on above what it gave away; they run
// ahead of it when more are taken, and they are enough until the year 2093.
class NewKeys {
 public:
  static constexpr int kSlots = 256;

  // Absent: there are none left. That takes a clock that was wrong by decades.
  std::optional<int64_t> next(uint64_t wall_ms, uint8_t slot);

  // The keys that a datacenter may have made when it ran ahead of this clock, by as many as thirty
  // days have. Beyond it somebody else has chosen them.
  struct Range {
    int64_t first = 0, last = 0;
  };
  static Range ahead_of(uint64_t wall_ms);
  // A key of this datacenter that was made before.
  void made(int64_t key) { last = std::max(last, static_cast<uint64_t>(key) / kSlots); }

  // The 45 bits of the last one. Durable with every transaction that used some.
  uint64_t last = 0;
};

// Small numbers that two lives of datacenters never both make: those with one remainder. A
// remainder is a code that no other begins with, so there is room for every slot and for later
// lives of each, and nobody has to be asked: the first life of slots 0 to 7 counts by 32, of others
// by 1,024; a later life by eight times that, or more. They end at 2^46; keys made by the clock
// begin far beyond.
class SmallKeys {
 public:
  static constexpr int64_t kEnd = int64_t{1} << 46;

  // Of a datacenter that has no other beside it and had none before: 1, 2, 3.
  static SmallKeys alone() { return {1, 0}; }
  // `life`: how many lives the datacenter has had before. Absent: there is no remainder left.
  static std::optional<SmallKeys> of(uint8_t slot, uint64_t life);

  // The first one above `last`. Absent: there are none left.
  std::optional<int64_t> after(int64_t last) const;

  int64_t step = 1, remainder = 0;
};

}  // namespace entente
