#include "conflict/policy.h"

#include <algorithm>

namespace entente {

std::string_view to_string(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kLww:
      return "lww";
    case PolicyKind::kPriority:
      return "priority";
    case PolicyKind::kSiblings:
      return "siblings";
  }
  return "";
}

const TableRules& ConflictRules::of(std::string_view table) const {
  const auto it = tables.find(table);
  return it == tables.end() ? defaults : it->second;
}

std::string_view Ranks::dc(const Origin& origin) const {
  const auto it = dcs_.find(origin);
  return it == dcs_.end() ? std::string_view() : it->second;
}

int Ranks::rank(const Origin& origin) const {
  const auto it = priorities_.find(dc(origin));
  return it == priorities_.end() ? 0 : it->second;
}

Layout::Layout(const TableDef& table, const TableRules& rules) {
  groups.push_back({"", {}, rules.policy});
  std::vector<std::string> rest;
  for (const auto& column : table.columns) {
    if (column.key_part > 0) continue;
    const auto own = rules.columns.find(column.name);
    if (own != rules.columns.end()) {
      groups.push_back({column.name, {column.name}, own->second});
    } else if (rules.granularity == Granularity::kColumn) {
      groups.push_back({column.name, {column.name}, rules.policy});
    } else {
      rest.push_back(column.name);
    }
  }
  if (rules.granularity == Granularity::kColumn) return;
  if (groups.size() == 1) {
    groups[0].columns = std::move(rest);
  } else if (!rest.empty()) {
    groups.push_back({"*", std::move(rest), rules.policy});
  }
}

const Group& Layout::group_of(std::string_view column) const {
  for (const auto& group : groups) {
    if (std::find(group.columns.begin(), group.columns.end(), column) != group.columns.end()) {
      return group;
    }
  }
  return groups.front();
}

bool Layout::resolved_on_read() const {
  return std::any_of(groups.begin(), groups.end(),
                     [](const Group& g) { return g.policy == PolicyKind::kSiblings; });
}

}  // namespace entente
