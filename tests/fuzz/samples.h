#pragma once

#include <string>
#include <vector>

#include "conflict/transaction.h"

namespace entente::fuzz {

// Valid things to begin with, shared by targets.

Origin origin_of(uint8_t n);
// One of SQL's values, mostly at the edges of its type.
Value value_at(size_t n);
size_t value_count();

// A table with every affinity and collation, renamed once, with a column that came later.
TableDef old_table();

// Changes of every kind and with every member.
std::vector<Change> sample_changes();

// A version vector of two origins.
VersionVector sample_vector();

}  // namespace entente::fuzz
