#include "conflict/open_conflict.h"

#include <algorithm>

namespace entente {

std::optional<OpenConflict> describe_open(const RowState& state, const Layout& layout,
                                          const Group& group, const Ranks& ranks) {
  const Register& r = register_of(state, group.name);
  if (r.siblings.empty()) return std::nullopt;
  const auto whole = [&](Sibling s) {
    if (s.row) s.row->merge(columns_written_by(state, layout, s.version.dot));
    return s;
  };
  const Verdict v = judge(r, {layout, group, state.key}, ranks);
  const Sibling& winner = r.siblings[v.winner];
  OpenConflict out{group.policy.kind, "", whole(winner), {}, v.failure};
  for (const auto& s : r.siblings) {
    if (!same_content(s, winner)) out.losers.push_back(whole(s));
  }
  const bool all_put = std::all_of(r.siblings.begin(), r.siblings.end(),
                                   [](const Sibling& s) { return s.row.has_value(); });
  out.kind = all_put ? "update-update" : winner.row ? "delete-update" : "update-delete";
  return out;
}

}  // namespace entente
