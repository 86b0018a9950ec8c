#include "conflict/conform.h"

#include <algorithm>
#include <functional>
#include <map>

namespace entente {
namespace {

// The present column that an earlier name means; null: it is gone.
using Lookup = std::function<const ColumnDef*(std::string_view)>;

void conform(Row& columns, const Lookup& present) {
  Row out;
  for (auto& [name, value] : columns) {
    if (const ColumnDef* c = present(name)) out.emplace(c->name, std::move(value));
  }
  columns = std::move(out);
}

// The register that an earlier name means. Registers of one column are called like it; the others
// have names of their own, which stay. Empty: it is gone.
std::optional<std::string> register_name(const std::string& name, const Layout& layout,
                                         const Lookup& present) {
  if (name.empty() || name == "*") return name;
  const ColumnDef* c = present(name);
  if (c != nullptr) return c->name;
  const bool here = layout.group_named(name).name == name;
  return here ? std::optional(name) : std::nullopt;
}

void fill(Row& columns, const Group& group, const Layout& layout) {
  for (const auto& name : group.columns) {
    const auto it = layout.fills.find(name);
    if (it != layout.fills.end()) columns.emplace(name, it->second);
  }
}

const ColumnDef* with_id(const TableDef& table, uint64_t id) {
  const auto it = std::find_if(table.columns.begin(), table.columns.end(),
                               [&](const ColumnDef& c) { return c.id == id; });
  return it == table.columns.end() ? nullptr : &*it;
}

// True if a write of this register writes all of its columns, of which there may be several.
bool holds_several(const Group& group) { return group.columns.size() > 1 || group.name.empty(); }

}  // namespace

void conform(RowChange& change, const TableDef& table, const Layout& layout, uint64_t epoch) {
  const Lookup present = [&](std::string_view name) { return table.find(name, epoch); };
  change.table = table.name;
  conform(change.columns, present);
  conform(change.base, present);
  std::erase_if(change.floors, [&](Floor& floor) {
    const ColumnDef* c = present(floor.column);
    if (c != nullptr) floor.column = c->name;
    return c == nullptr;
  });
  std::erase_if(change.kept, [&](KeptSibling& kept) {
    auto name = register_name(kept.group, layout, present);
    if (name) kept.group = std::move(*name);
    return !name;
  });
  std::erase_if(change.keys_set, [&](KeysSet& keys) {
    auto name = register_name(keys.group, layout, present);
    if (name) keys.group = std::move(*name);
    return !name;
  });
  if (change.erase) return;
  for (const auto& group : layout.groups) {
    const bool touched =
        group.name.empty() ||
        std::any_of(group.columns.begin(), group.columns.end(),
                    [&](const auto& name) { return change.columns.contains(name); });
    if (touched && holds_several(group)) fill(change.columns, group, layout);
  }
}

PresentNames::PresentNames(const TableDef& was, const TableDef& table) {
  for (const auto& before : was.columns) {
    const ColumnDef* now = with_id(table, before.id);
    if (now != nullptr && now->name != before.name) names_.emplace(before.name, now->name);
  }
}

std::string PresentNames::of(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? name : it->second;
}

Row PresentNames::of(Row row) const {
  if (same()) return row;
  Row out;
  for (auto& [name, value] : row) out.insert_or_assign(of(name), std::move(value));
  return out;
}

void conform(RowState& state, const TableDef& was, const TableDef& table, const Layout& layout) {
  const Lookup present = [&](std::string_view name) -> const ColumnDef* {
    const ColumnDef* before = was.find(name);
    return before == nullptr ? nullptr : with_id(table, before->id);
  };
  RowState out{state.key, {}};
  for (auto& [name, r] : state.registers) {
    const auto now = register_name(name, layout, present);
    if (!now) continue;
    const Group& group = layout.group_named(*now);
    for (auto& s : r.siblings) {
      if (s.base) conform(*s.base, present);
      if (!s.row) continue;
      conform(*s.row, present);
      if (holds_several(group)) fill(*s.row, group, layout);
    }
    out.registers.emplace(*now, std::move(r));
  }
  state = std::move(out);
}

namespace {

Loss left_over(const Version& version, Row row) {
  Loss loss;
  loss.loser = {version, std::move(row)};
  loss.kind = loss.decided_by = "schema";
  return loss;
}

}  // namespace

std::vector<Loss> left_over(const RowState& state, const VersionVector& seen) {
  std::map<Version, Row> written;
  for (const auto& [name, r] : state.registers) {
    for (const auto& s : r.siblings) {
      if (s.row && !seen.covers(s.version.dot))
        written[s.version].insert(s.row->begin(), s.row->end());
    }
  }
  std::vector<Loss> losses;
  for (auto& [version, row] : written) losses.push_back(left_over(version, std::move(row)));
  return losses;
}

std::vector<Loss> left_over(const RowChange& change, const Version& version) {
  if (change.erase) return {};
  return {left_over(version, change.columns)};
}

}  // namespace entente
