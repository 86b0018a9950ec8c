#pragma once

#include <span>
#include <string>
#include <vector>

#include "conflict/result.h"
#include "conflict/row_digest.h"

namespace entente {

// What one replica says of a row, in one snapshot.
struct RowSight {
  RowDigest digest;
  std::string state;      // names the set of its values: an ETag; "" for a row that never was
  VersionVector applied;  // what the snapshot contains
};

// Two replicas' sights of one row, each in a snapshot of its own: they may differ only because
// changes are under way.
struct RowPair {
  RowSight mine, theirs;
};

enum class RowFinding : uint8_t {
  kEqual,
  kDifferent,  // and no change under way explains it
  kBusy,       // look again
};

// Neither side shows anything else.
bool unchanged(const RowPair& first, const RowPair& then);

// What a second look says. The row differs for good if neither side has changed since the first
// look, and each has by now applied all that the other had then: whatever one side had, the other
// could have had, too.
RowFinding look_again(const RowPair& first, const RowPair& then);

// One datacenter's copy of a row that differs.
struct RowCopy {
  std::string dc;
  RowDigest digest;
  Version newest;  // of the writes that it is made of, erases included; zeros: none
};

// Whose copy a repair takes: `from` if it says so. Otherwise, of those that have the newest write,
// what most show, if they are more than half: who has only lost the row has no say. kRefused: it
// cannot be known, somebody must say it.
Result<size_t> choose_copy(std::span<const RowCopy> copies, const std::string& from);

}  // namespace entente
