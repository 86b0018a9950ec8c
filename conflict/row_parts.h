#pragma once

#include <optional>
#include <vector>

#include "conflict/row_state.h"

namespace entente {

// What a row is made of that it does not show, as far as making it anew takes it.
struct RowParts {
  VersionVector dots;                         // of each origin, the newest of its writes
  std::vector<Floor> counters;                // as they are
  std::vector<std::optional<Row>> undecided;  // see undecided_values()
};
RowParts parts_of(const RowState& state, const Layout& layout, const Ranks& ranks);

// The values that wait for somebody to decide, each over what the row shows; absent: it is erased.
// What is shown meanwhile comes last. None if nothing is open.
std::vector<std::optional<Row>> undecided_values(const RowState& state, const Layout& layout,
                                                 const Ranks& ranks);

}  // namespace entente
