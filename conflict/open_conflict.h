#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conflict/row_state.h"

namespace entente {

// An open conflict as it is listed, made from the row as it is now. Its values are whole: with what
// the same writes gave to other registers.
struct OpenConflict {
  PolicyKind policy = PolicyKind::kLww;
  std::string kind;             // "update-update", "update-delete", …: the losers first
  Sibling winner;               // what SQL shows
  std::vector<Sibling> losers;  // the values that differ from it, oldest first
  std::string failure;          // why a handler could not decide
};

// Nothing if nobody wrote to the register.
std::optional<OpenConflict> describe_open(const RowState& state, const Layout& layout,
                                          const Group& group, const Ranks& ranks);

}  // namespace entente
