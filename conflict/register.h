#pragma once

#include <optional>
#include <span>
#include <vector>

#include "conflict/dot.h"
#include "conflict/policy.h"
#include "conflict/value.h"
#include "conflict/version_vector.h"

namespace entente {

// One of several concurrent values of a register. No row: a tombstone.
struct Sibling {
  Version version;
  std::optional<Row> row;
};

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
  std::span<const Dot> kept;     // seen, and not replaced
  std::optional<Row> row;        // absent: an erase
};

// Drops what the write has seen (and does not keep) and adds the write. Returns what was dropped.
// A write that is still a sibling changes nothing; that one which was replaced does not come again
// is up to the caller's version vector. So a transaction changes a row at most once.
std::vector<Sibling> apply(Register& r, Write w);

// Merges two states: a sibling stays if both have it, or one has it and the other's vector does
// not cover it. Commutative, associative, idempotent for states that executions can reach.
Register join(const Register& a, const VersionVector& a_seen, const Register& b,
              const VersionVector& b_seen);

// What a policy says of a set of siblings: a pure function of the set.
struct Verdict {
  size_t winner = 0;  // index of the visible sibling
  bool open = false;  // nobody decided: the winner is only what SQL shows meanwhile
};
Verdict judge(const Register& r, PolicyKind policy, const Ranks& ranks);

// A sibling that says the same as another lost nothing to it.
bool same_content(const Sibling& a, const Sibling& b);

// Removes and returns the losers that this policy may forget at once. LWW may, because its order
// extends causality; every other policy must keep them until they are superseded or stable. A
// loser with the winner's content stays: it has lost nothing yet, and if its twin is overwritten
// by somebody who did not see it, it must still be there to lose.
std::vector<Sibling> prune(Register& r, PolicyKind policy, const Ranks& ranks);

}  // namespace entente
