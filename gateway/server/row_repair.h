#pragma once

#include <span>
#include <vector>

#include "gateway/server/digest_answer.h"

namespace entente {

// What to write here, one after the other, so that every datacenter gets the chosen row through
// replication: a change newer than all that the copies are made of. `mine`, the copy here, and
// `chosen` are of `all`, the copies that there are. Each write has seen the one before it; who
// sends them says so in their contexts. kRefused with what stands in the way.
Result<std::vector<RowRequest>> repair_writes(const TableDef& table, const TableRules& rules,
                                              const SeenRow& mine, const SeenRow& chosen,
                                              std::span<const SeenRow* const> all);

}  // namespace entente
