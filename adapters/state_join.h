#pragma once

#include <cstdint>
#include <string>

#include "adapters/database.h"
#include "conflict/conform.h"

namespace entente {

// Takes into `to` what `from`, another database of the same cluster, has and it lacks: from the
// states of the rows, so that it does not matter how far the log of `from` reaches. What loses
// because the two meet is listed; what `from` has listed and `to` has not is listed, too. Returns
// how many transactions `to` lacked.
//
// What the log of `from` still holds of them is put into the log of `to`: others can take it from
// there. What it does not hold, nobody can take but with a copy of `to`.
//
// REQUIRES: nobody else uses either database. It may be done again after an error or a crash, with
// a new copy.
// Errors: kRefused, "copy_schema_older": `from` has seen schema changes that `to` has not;
//         kRefused, "copy_forked": both hold another change under the same name;
//         and those of the databases. `to` is of no use then.
Result<uint64_t> join_states(Database& from, Database& to, uint64_t wall_ms);

// An entry of a conflict log, made while the table was called otherwise, or its columns.
void conform(ConflictEntry& entry, const std::string& table, const PresentNames& names);

// Names a loser of a conflict log's entry: two that have the same name are one.
std::string name_of_loser(const ConflictEntry& entry, const RowVersion& loser);

}  // namespace entente
