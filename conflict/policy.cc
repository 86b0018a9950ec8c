#include "conflict/policy.h"

#include <algorithm>
#include <iterator>

#include "conflict/handler.h"

namespace entente {
namespace {

// Whether a row exists is nothing that values could be merged or added to: under such a policy the
// newest write says it.
Policy existence_policy(const Policy& policy) { return policy.commutes() ? Policy{} : policy; }

auto group_with(const TableRules& rules, const std::string& column) {
  return std::find_if(rules.groups.begin(), rules.groups.end(), [&](const auto& named) {
    const auto& columns = named.second.columns;
    return std::find(columns.begin(), columns.end(), column) != columns.end();
  });
}

void add_to_group(Layout& layout, const std::string& name, const std::string& column,
                  const Policy& policy) {
  const auto it = std::find_if(layout.groups.begin(), layout.groups.end(),
                               [&](const Group& g) { return g.name == name; });
  if (it == layout.groups.end()) {
    layout.groups.push_back({name, {column}, policy});
  } else {
    it->columns.push_back(column);
  }
}

bool holds_text(Affinity affinity) {
  return affinity == Affinity::kText || affinity == Affinity::kBlob;
}

// Why this policy cannot decide about this column; "" if it can.
std::string misfit(const Policy& policy, const ColumnDef& column) {
  if (policy.is_counter() && column.affinity != Affinity::kInteger) {
    return "policy counter adds integers, but column " + column.name + " is declared " +
           (column.type.empty() ? "without a type" : column.type) + ": declare it INTEGER";
  }
  if (policy.commutes() && column.fill && *column.fill != Value(Null{}) &&
      *column.fill != Value(int64_t{0})) {
    return policy.describe() + " is made of what is written, and column " + column.name +
           " would begin with " + entente::describe(*column.fill) +
           ": add it without a default, then write it";
  }
  const bool makes_text = policy.kind == PolicyKind::kMerge && policy.merge != MergeKind::kMin &&
                          policy.merge != MergeKind::kMax;
  if (makes_text && !holds_text(column.affinity)) {
    return "merge: " + std::string(to_string(policy.merge)) + " makes text, but column " +
           column.name + " is declared " + column.type + ": declare it TEXT";
  }
  return "";
}

}  // namespace

std::string_view to_string(PolicyKind kind) {
  constexpr std::string_view kNames[] = {"lww",   "priority", "siblings",
                                         "merge", "counter",  "handler"};
  const auto i = static_cast<size_t>(kind);
  return i < std::size(kNames) ? kNames[i] : "";
}

std::string_view to_string(MergeKind kind) {
  constexpr std::string_view kNames[] = {"concat", "union", "json", "text", "min", "max"};
  const auto i = static_cast<size_t>(kind);
  return i < std::size(kNames) ? kNames[i] : "";
}

bool Policy::wants_base() const {
  if (kind == PolicyKind::kMerge) return merge == MergeKind::kJson || merge == MergeKind::kText;
  return kind == PolicyKind::kHandler;
}

std::string Policy::describe() const {
  std::string text(to_string(kind));
  if (kind == PolicyKind::kMerge) text += ": " + std::string(to_string(merge));
  if (kind == PolicyKind::kHandler) text += " " + handler;
  if (run_this != nullptr) text += " " + run_this->version();
  return text;
}

const TableRules& ConflictRules::of(std::string_view table) const {
  if (const auto it = tables.find(table); it != tables.end()) return it->second;
  const auto it = std::find_if(tables.begin(), tables.end(),
                               [&](const auto& named) { return same_name(named.first, table); });
  return it == tables.end() ? defaults : it->second;
}

void ConflictRules::for_each_policy(const std::function<void(Policy&)>& visit) {
  const auto all_of = [&](TableRules& rules) {
    visit(rules.policy);
    for (auto& [name, policy] : rules.columns) visit(policy);
    for (auto& [name, group] : rules.groups) visit(group.policy);
  };
  all_of(defaults);
  for (auto& [name, rules] : tables) all_of(rules);
}

std::vector<std::string> misfits(const TableDef& table, const TableRules& rules) {
  std::vector<std::string> out;
  const auto check = [&](const std::string& name, const Policy& policy) {
    const ColumnDef* column = table.find(name);
    if (column == nullptr) {
      out.push_back("table " + table.name + " has no column " + name);
    } else if (column->key_part > 0) {
      out.push_back("column " + name + " of " + table.name +
                    " is part of the key: a key has no conflicts of its own");
    } else if (std::string why = misfit(policy, *column); !why.empty()) {
      out.push_back("table " + table.name + ": " + std::move(why));
    }
  };
  for (const auto& [name, policy] : rules.columns) check(name, policy);
  for (const auto& [name, group] : rules.groups) {
    if (table.find(name) != nullptr) {
      out.push_back("table " + table.name + " has a column with the name of its group " + name +
                    ": give the group another");
    }
    for (const auto& column : group.columns) check(column, group.policy);
  }
  for (const auto& column : table.columns) {
    if (column.key_part > 0 || rules.columns.contains(column.name) ||
        group_with(rules, column.name) != rules.groups.end()) {
      continue;
    }
    check(column.name, rules.policy);
  }
  return out;
}

std::string_view Ranks::dc(const Origin& origin) const {
  const auto it = dcs_.find(origin);
  return it == dcs_.end() ? std::string_view() : it->second;
}

int Ranks::rank(const Origin& origin) const {
  const auto it = priorities_.find(dc(origin));
  return it == priorities_.end() ? 0 : it->second;
}

Layout::Layout(const TableDef& def, const TableRules& rules)
    : table(def.name), columns(def.columns), delete_update(rules.delete_update) {
  for (const auto& c : columns) {
    if (c.fill && c.key_part == 0) fills.emplace(c.name, *c.fill);
  }
  const bool by_column = rules.granularity == Granularity::kColumn || rules.policy.is_counter() ||
                         rules.policy.is_set();
  groups.push_back({"", {}, existence_policy(rules.policy)});
  std::vector<std::string> rest;
  for (const auto& column : columns) {
    if (column.key_part > 0) continue;
    const auto own = rules.columns.find(column.name);
    if (own != rules.columns.end()) {
      groups.push_back({column.name, {column.name}, own->second});
    } else if (const auto shared = group_with(rules, column.name); shared != rules.groups.end()) {
      add_to_group(*this, shared->first, column.name, shared->second.policy);
    } else if (by_column) {
      groups.push_back({column.name, {column.name}, rules.policy});
    } else {
      rest.push_back(column.name);
    }
  }
  if (by_column) return;
  if (groups.size() == 1) {
    groups[0].columns = std::move(rest);
  } else if (!rest.empty()) {
    groups.push_back({"*", std::move(rest), rules.policy});
  }
}

const Group& Layout::group_named(std::string_view name) const {
  const auto it =
      std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
  return it == groups.end() ? groups.front() : *it;
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
                     [](const Group& g) { return g.policy.leaves_open(); });
}

bool Layout::has_sets() const {
  return std::any_of(groups.begin(), groups.end(), [](const Group& group) {
    return group.policy.is_set() && !group.name.empty();
  });
}

}  // namespace entente
