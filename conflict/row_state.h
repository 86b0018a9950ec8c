#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conflict/register.h"
#include "conflict/transaction.h"

namespace entente {

// Everything known of one row: its registers by group name. A register that is absent was never
// written.
struct RowState {
  std::map<std::string, Register, std::less<>> registers;
};

// A value that lost to another without having been seen by it: what the conflict log lists.
struct Loss {
  std::string group;
  PolicyKind policy = PolicyKind::kLww;
  Sibling loser;
  Sibling winner;
};

// Applies a transaction's change to the row and returns the values that lost because of it. The
// columns a group's register gets are those of the change that belong to it; every put re-asserts
// the row's existence; an erase touches existence alone. A put whose existence lost is listed with
// the whole row as it was, because columns it had not written itself are lost with it.
std::vector<Loss> apply(RowState& state, const Layout& layout, const RowChange& change,
                        const Version& version, const VersionVector& transaction_context,
                        const Ranks& ranks);

// What the user's table shows: absent if the row does not exist, otherwise the winners' columns.
std::optional<Row> visible(const RowState& state, const Layout& layout, const Ranks& ranks);

// The groups whose registers wait for somebody to decide. Deleting the row decides for its columns.
std::vector<std::string> open_groups(const RowState& state, const Layout& layout,
                                     const Ranks& ranks);
bool open_conflict(const RowState& state, const Layout& layout, const Ranks& ranks);

// The dots of the siblings that SQL does not show: what a plain SQL write to this row keeps.
std::vector<Dot> hidden_siblings(const RowState& state, const Layout& layout, const Ranks& ranks);

RowState join(const RowState& a, const VersionVector& a_seen, const RowState& b,
              const VersionVector& b_seen);

}  // namespace entente
