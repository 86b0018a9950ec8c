#pragma once

#include <string>

#include "conflict/register.h"

namespace entente {

// A set of the elements of JSON arrays, observed-remove and add-wins: a register with one sibling
// per write, whose array is what that write added and nobody removed. A write of one array over
// another is its adds and removes; it removes what it had seen, and nothing that was added beside
// it.
//
// `y`: what the writer started from; null: the row was made anew, which removes all it had seen.
void write_set(Register& r, const Version& version, const VersionVector& seen,
               const std::string& column, const Value& x, const Value* y);
// The union of what is left, oldest first; NULL while nobody wrote an array.
Value set_total(const Register& r, const std::string& column);
// Joins two states: an element stays if both have it under the same write, or one has it and the
// other has not seen that write. One that both have, under writes that `collected` covers, stays,
// too: one of them may have collapsed the set, and has all of it under the newest write's name.
Register join_sets(const Register& a, const VersionVector& a_seen, const Register& b,
                   const VersionVector& b_seen, const VersionVector& collected);

}  // namespace entente
