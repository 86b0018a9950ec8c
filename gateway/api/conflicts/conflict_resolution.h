#pragma once

#include <optional>
#include <string>

#include "adapters/database.h"

namespace entente {

// What an operator says about a conflict: exactly one of these.
struct Choice {
  std::optional<Dot> pick;  // one of the values that the entry lists
  std::optional<Row> row;   // the columns as they should be
  bool erase = false;
  std::optional<RowContext> context;  // what it was decided about; absent: the row as it is now
};

Result<Choice> parse_choice(std::string& body);

// The write that carries the choice out. An open conflict is closed; one that was decided is
// decided again: the chosen value is a new write over everything the row has here. `now`: the row
// with all its values, read together with the entry. The conflict of a whole row takes `row` for
// all of it; that of single columns changes those alone.
Result<RowRequest> decided(const ConflictEntry& entry, const RowRead& now, const Choice& choice);

}  // namespace entente
