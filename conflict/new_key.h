#pragma once

#include <cstdint>

namespace entente {

// Integer keys that two datacenters never both make: 45 bits that only grow, then the datacenter's
// own slot. Below 2^53, so that JavaScript has them exact. The 45 bits follow the clock, 16 to a
// millisecond, so that a datacenter that lost its disk goes on above what it gave away; they run
// ahead of it when more are taken, and they are enough until the year 2093.
class NewKeys {
 public:
  static constexpr int kSlots = 256;

  int64_t next(uint64_t wall_ms, uint8_t slot);

  // The 45 bits of the last one. Durable with every transaction that used some.
  uint64_t last = 0;
};

}  // namespace entente
