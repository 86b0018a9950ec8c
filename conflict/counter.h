#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "conflict/register.h"

namespace entente {

// One origin's part of a counter as it was at a seq: what a re-creation of the row had seen of it.
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
// Re-creating a row starts from nothing: it carries floors(), the sums that it had seen, and they
// are put aside, while what others added meanwhile stays.
//
// Invariant: whoever applies a floor has applied its origin up to its seq, so its part is of that
// seq or later, and at that seq it had that sum. A part that is absent, older, or of that seq with
// another sum was damaged, and becomes what the floor says. (NULLs count nothing: no floors.)
//
// The sums are exact; the value shown stays within 64 bits.
void add(Register& r, const Version& version, const std::string& column, const Value& x,
         const Value* y, std::span<const Floor> floors);
std::vector<Floor> floors(const Register& r, const std::string& column);
// Of each column and origin the floor of the highest seq, of several of that seq the first.
void keep_latest(std::vector<Floor>& floors, const Floor& floor);
// The value shown: NULL while nobody wrote a number.
Value total(const Register& r, const std::string& column);
// A counter as it is where one origin has written it once: its part is its value.
Sibling first_addend(const Version& version, const std::string& column, const Value& value);
// Joins what two replicas know, by origin: the part that was seen later, the higher floor.
Register join_counters(const Register& a, const Register& b);

}  // namespace entente
