#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "conflict/register.h"

namespace entente {

// What a re-creation of a row had seen of one origin's part of a counter.
struct Floor {
  std::string column;
  Origin origin;
  uint64_t seq = 0;
  Int128 sum = 0;
  friend bool operator==(const Floor&, const Floor&) = default;
};

// A counter: a register with one sibling per origin, which holds what that origin has added. A
// write of x over y adds x - y; NULL counts as 0. It is the same whatever arrives in which order,
// because every origin's own writes arrive in theirs.
//
// Re-creating a deleted row starts from nothing: it carries floors(), the sums that it had seen,
// and they are put aside, while what others added meanwhile stays.
//
// The sums are exact; the value shown stays within 64 bits.
void add(Register& r, const Version& version, const std::string& column, const Value& x,
         const Value* y, std::span<const Floor> floors);
std::vector<Floor> floors(const Register& r, const std::string& column);
// The value shown: NULL while nobody wrote a number.
Value total(const Register& r, const std::string& column);
// A counter as it is where one origin has written it once: its part is its value.
Sibling first_addend(const Version& version, const std::string& column, const Value& value);
// Joins what two replicas know, by origin: the part that was seen later, the higher floor.
Register join_counters(const Register& a, const Register& b);

}  // namespace entente
