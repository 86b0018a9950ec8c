#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "adapters/database.h"

namespace entente {

// How far others have a history that is here.
struct SharedHistory {
  uint64_t up_to = 0;            // somebody has it up to here
  std::optional<uint64_t> fork;  // after this somebody has another one under the same name
  // Nobody has this one, or not under this name alone, after this.
  uint64_t last() const { return fork.value_or(up_to); }
};
using SharedHistories = std::map<Origin, SharedHistory>;  // of who is not in it: nothing

// Says line by line (unshipped_line.h) what a database has and others have not. Returns how many
// there are. Where the log no longer reaches back to all of that: rows that others do not have, and
// of the others the columns that hold something new, a line each, as POST /v1/transactions takes
// them. Not counters and sets of rows that others have: what was added to them is no longer known.
Result<uint64_t> export_lines(Database& database, const ConflictRules& rules,
                              const SharedHistories& shared,
                              const std::function<void(const std::string&)>& put);

}  // namespace entente
