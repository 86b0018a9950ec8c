#include "conflict/row_parts.h"

#include <algorithm>
#include <iterator>

namespace entente {
namespace {

using Values = std::vector<std::optional<Row>>;

bool same(const std::optional<Row>& a, const std::optional<Row>& b) {
  return a && b ? identical(*a, *b) : !a && !b;
}

void put_last(Values& values, std::optional<Row> value) {
  std::erase_if(values, [&](const auto& known) { return same(known, value); });
  values.push_back(std::move(value));
}

// An erase is none of several values where the table has a rule that decides about it.
bool may_wait(const Sibling& s, const Layout& layout) {
  return s.row || layout.delete_update == DeleteUpdate::kPolicy;
}

}  // namespace

Values undecided_values(const RowState& state, const Layout& layout, const Ranks& ranks) {
  const Verdicts verdicts = judge(state, layout, ranks);
  const Row columns = shown_columns(state, layout, verdicts);
  const auto open = open_groups(layout, verdicts);
  Values out;
  for (const auto& name : open) {
    for (const auto& s : register_of(state, name).siblings) {
      if (!may_wait(s, layout)) continue;
      std::optional<Row> value = s.row;
      if (value) value->insert(columns.begin(), columns.end());
      put_last(out, std::move(value));
    }
  }
  if (open.empty()) return out;
  const bool exists = shown(register_of(state, ""), verdicts.of.front()) != nullptr;
  put_last(out, exists ? std::optional(columns) : std::nullopt);
  return out;
}

RowParts parts_of(const RowState& state, const Layout& layout, const Ranks& ranks) {
  RowParts out;
  for (const auto& [name, r] : state.registers) {
    for (const auto& s : r.siblings) out.dots.advance(s.version.dot.origin, s.version.dot.seq);
    if (!layout.group_named(name).policy.is_counter()) continue;
    auto parts = floors(r, name);
    std::move(parts.begin(), parts.end(), std::back_inserter(out.counters));
  }
  out.undecided = undecided_values(state, layout, ranks);
  return out;
}

}  // namespace entente
