#pragma once

#include <optional>
#include <vector>

#include "conflict/codec.h"
#include "conflict/dot.h"
#include "conflict/value.h"
#include "conflict/version_vector.h"

namespace entente {

// What one origin has added to a counter. The state of a counter is one of these per origin, each
// of which only its origin moves: so whichever was seen later says it all.
struct Addend {
  Int128 sum = 0;          // of everything the origin added
  Int128 floor = 0;        // how much of it a re-creation of the row has put aside,
  uint64_t floor_seq = 0;  // as it was up to here
  friend bool operator==(const Addend&, const Addend&) = default;
};

// One of several concurrent values of a register. No row: a tombstone.
struct Sibling {
  Version version;
  std::optional<Row> row;
  std::optional<Row> base = {};       // what its writer started from, if its policy asks for it
  std::optional<Addend> addend = {};  // of a counter, whose row says sum - floor
  // An earlier write that set the columns of UNIQUE keys in it: this one left them as they were.
  std::optional<Version> keys_set = {};
};

// The write that set the columns of UNIQUE keys in this value.
inline const Version& keys_set(const Sibling& s) { return s.keys_set ? *s.keys_set : s.version; }

// The op-based multi-value register.
//
// Invariant (the law everything rests on): after any set of writes, applied in any order that
// respects causality, with any duplicates, `siblings` is exactly the writes that no other write of
// the set has in its context and does not keep, less the losers that were pruned.
// Siblings are sorted by version, ascending; dots are distinct.
struct Register {
  std::vector<Sibling> siblings;
};

// A write as the register sees it.
struct Write {
  Version version;
  const VersionVector& context;  // what its writer had seen
  std::vector<Dot> kept;         // seen, and not replaced
  std::optional<Row> row;        // absent: an erase
  std::optional<Row> base = {};
  std::optional<Version> keys_set = {};  // as of a sibling
};

// Drops what the write has seen (and does not keep) and adds the write. Returns what was dropped.
// A write that is still a sibling changes nothing; that one which was replaced does not come again
// is up to the caller's version vector. So a transaction changes a row at most once.
std::vector<Sibling> apply(Register& r, Write w);

// Merges two states: a sibling stays if both have it, or one has it and the other's vector does
// not cover it. Commutative, associative, idempotent for states that executions can reach. What one
// of them has collapsed (row_state.h) stays so: there the newest of several holds what all of them
// made, so where both have a sibling, that of the side with fewer is taken.
Register join(const Register& a, const VersionVector& a_seen, const Register& b,
              const VersionVector& b_seen);

// A sibling that says the same as another lost nothing to it.
bool same_content(const Sibling& a, const Sibling& b);

// The sibling of this write; null if there is none.
const Sibling* find(const Register& r, const Dot& dot);

// Inserts where its version belongs.
void insert(Register& r, Sibling s);

}  // namespace entente
