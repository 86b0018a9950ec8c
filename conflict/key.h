#pragma once

#include <span>
#include <string>
#include <vector>

#include "conflict/result.h"
#include "conflict/schema.h"
#include "conflict/value.h"

namespace entente {

// A primary key in canonical bytes: two spellings that the database holds for the same key have
// the same bytes, at every replica. Made by applying each key column's affinity, then folding what
// its collation does not distinguish (NOCASE: ASCII letters to lower case; RTRIM: trailing spaces
// off), then writing a number that is a whole 64-bit integer as an integer. The parts are Values
// in key order, in the encoding of codec.h.
using Key = std::string;

// `parts` in primary-key order. Refuses NULL (SQLite allows it in some keys, and holds every NULL
// for different) and the wrong number of parts.
Result<Key> canonical_key(const TableDef& table, std::span<const Value> parts);

// The parts as the canonical bytes spell them: good for looking the row up in the database.
Result<std::vector<Value>> key_parts(std::string_view key);

// True if the row's own spelling of its key differs from the canonical one ('Abc' under NOCASE,
// 1.0 in a column without affinity): then the key columns travel and are stored with the values.
bool spelled_otherwise(std::span<const Value> parts, const Key& key);

// What SQLite would store for v in a column of this affinity. Text becomes the double nearest to
// it; SQLite 3.40 misses that one by a bit in a few of thousands of texts with many digits.
Value apply_affinity(Affinity affinity, Value v);

}  // namespace entente
