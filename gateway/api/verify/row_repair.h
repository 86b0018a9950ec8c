#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/api/verify/digest_answer.h"

namespace entente {

// One datacenter's copy of a row, from one snapshot.
struct SeenCopy {
  std::string dc;
  SeenRow row;
  VersionVector applied;
};

// What to write here, one after the other, so that every datacenter gets the chosen row through
// replication: changes newer than all that the copies are made of. The first copy is the one here.
// The context of a write is what it has to say that it has seen; without one it has seen the write
// before it.
//
// Where counters or sets are not alike, the row is made anew. Several values that wait for somebody
// to decide are all written, of one context, so that they stand side by side again.
//
// kRefused with what stands in the way. kBusy: some copy is made of a write that another has not
// applied yet, so what one of them counts, the other might not; look again.
Result<std::vector<RowRequest>> repair_writes(const TableDef& table, const TableRules& rules,
                                              std::span<const SeenCopy> copies, size_t chosen);

}  // namespace entente
