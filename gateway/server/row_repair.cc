#include "gateway/server/row_repair.h"

#include <algorithm>

namespace entente {
namespace {

// Whose state is more than its value: a write of the right value over the wrong one is a change of
// so much, everywhere.
bool commutes(const Layout& layout, const std::string& column) {
  return layout.group_of(column).policy.commutes();
}

bool is_key(const TableDef& table, const std::string& column) {
  const auto* def = table.find(column);
  return def == nullptr || def->key_part > 0;
}

bool differs_in(const SeenRow& copy, const std::string& column, const Value& value) {
  if (!copy.row) return false;
  const auto at = copy.row->find(column);
  return at == copy.row->end() || !identical(at->second, value);
}

// The columns of the chosen row that some copy shows otherwise; all, if a copy has no row. If they
// show the same, all that can be written without changing it.
Row columns_to_write(const TableDef& table, const Layout& layout, const SeenRow& chosen,
                     std::span<const SeenRow* const> all) {
  const bool gaps =
      std::any_of(all.begin(), all.end(), [](const SeenRow* copy) { return !copy->row; });
  Row whole, plain, differing;
  for (const auto& [name, value] : *chosen.row) {
    if (is_key(table, name)) continue;
    whole.emplace(name, value);
    if (!commutes(layout, name)) plain.emplace(name, value);
    for (const auto* copy : all) {
      if (differs_in(*copy, name, value)) differing.insert_or_assign(name, value);
    }
  }
  if (gaps) return whole;
  return differing.empty() ? plain : differing;
}

tl::unexpected<Error> has_counter(const std::string& column) {
  return fail(Code::kRefused, "column " + column +
                                  " is a counter or a set, which is made of many writes: correct "
                                  "its value by hand");
}

Result<RowRequest> put(const TableDef& table, const Layout& layout, const SeenRow& mine,
                       const SeenRow& chosen, std::span<const SeenRow* const> all) {
  RowRequest write;
  write.columns = columns_to_write(table, layout, chosen, all);
  const bool patches = mine.row && !write.columns.empty();
  write.kind = patches ? RowRequest::Kind::kPatch : RowRequest::Kind::kPut;
  for (const auto& [name, value] : write.columns) {
    if (commutes(layout, name)) return has_counter(name);
  }
  return write;
}

}  // namespace

Result<std::vector<RowRequest>> repair_writes(const TableDef& table, const TableRules& rules,
                                              const SeenRow& mine, const SeenRow& chosen,
                                              std::span<const SeenRow* const> all) {
  if (std::any_of(all.begin(), all.end(), [](const SeenRow* copy) { return copy->open; })) {
    return fail(Code::kRefused, "the row has an open conflict: resolve it, that repairs it, too");
  }
  const Layout layout(table, rules);
  std::vector<RowRequest> writes;
  const auto there = std::find_if(all.begin(), all.end(),
                                  [](const SeenRow* copy) { return copy->row.has_value(); });
  // An erase of what was never here would be no change.
  const SeenRow* first = chosen.row           ? &chosen
                         : there == all.end() ? nullptr
                         : mine.state.empty() ? *there
                                              : nullptr;
  if (first != nullptr) {
    auto write = put(table, layout, mine, *first, all);
    if (!write) return tl::unexpected(write.error());
    writes.push_back(std::move(*write));
  }
  if (!chosen.row) writes.emplace_back().kind = RowRequest::Kind::kErase;
  const auto key = key_parts(mine.digest.key);
  if (!key) return tl::unexpected(key.error());
  for (auto& write : writes) {
    write.table = table.name;
    write.key = *key;
  }
  writes[0].if_match = mine.state;
  return writes;
}

}  // namespace entente
