#include "gateway/api/verify/row_repair.h"

#include <algorithm>

namespace entente {
namespace {

using Kind = RowRequest::Kind;

class Repair {
 public:
  Repair(const TableDef& table, const TableRules& rules, std::span<const SeenCopy> copies,
         size_t chosen)
      : table_(table),
        layout_(table, rules),
        copies_(copies),
        mine_(copies.front().row),
        chosen_(copies[chosen].row) {}

  Result<void> check() const;
  std::vector<RowRequest> writes() const;

 private:
  template <class Predicate>
  bool some_copy(Predicate holds) const {
    return std::any_of(copies_.begin(), copies_.end(),
                       [&](const SeenCopy& copy) { return holds(copy.row); });
  }
  bool level() const;
  bool commutes(const std::string& column) const {
    return layout_.group_of(column).policy.commutes();
  }
  bool has_commuting() const;
  Row without_key(const Row& row) const;
  Row plain(const Row& row) const;
  Row differing(const Row& row) const;
  std::vector<Floor> counters() const;

  RowRequest request(Kind kind, Row columns = {}) const;
  RowRequest whole(const Row& row) const;
  RowRequest to_row(const Row& row) const;
  std::vector<RowRequest> to_nothing() const;
  std::vector<RowRequest> side_by_side() const;

  const TableDef& table_;
  const Layout layout_;
  const std::span<const SeenCopy> copies_;
  const SeenRow& mine_;
  const SeenRow& chosen_;
};

Result<void> Repair::check() const {
  if (some_copy([](const SeenRow& copy) { return copy.decides_on_read; })) {
    return fail(Code::kRefused,
                "the row has an open conflict that is decided when somebody reads it: read the "
                "row, then repair again");
  }
  if (chosen_.open && chosen_.parts.undecided.empty()) {
    return fail(Code::kRefused,
                "the row to take is not shown where it is: resolve its open conflict, then repair "
                "again");
  }
  if (!level()) return fail(Code::kBusy, "the row is being written to: repair it again");
  return {};
}

// No copy is made of a write that another has not applied.
bool Repair::level() const {
  VersionVector dots;
  for (const auto& copy : copies_) dots.join(copy.row.parts.dots);
  return std::all_of(copies_.begin(), copies_.end(),
                     [&](const SeenCopy& copy) { return copy.applied.covers(dots); });
}

bool Repair::has_commuting() const {
  return std::any_of(layout_.columns.begin(), layout_.columns.end(),
                     [&](const ColumnDef& c) { return c.key_part == 0 && commutes(c.name); });
}

Row Repair::without_key(const Row& row) const {
  Row out;
  for (const auto& [name, value] : row) {
    const auto* column = table_.find(name);
    if (column != nullptr && column->key_part == 0) out.emplace(name, value);
  }
  return out;
}

Row Repair::plain(const Row& row) const {
  Row out;
  for (const auto& [name, value] : without_key(row)) {
    if (!commutes(name)) out.emplace(name, value);
  }
  return out;
}

// The columns that some copy shows otherwise.
Row Repair::differing(const Row& row) const {
  Row out;
  for (const auto& [name, value] : without_key(row)) {
    const bool differs = some_copy([&, &name = name, &value = value](const SeenRow& copy) {
      if (!copy.row) return false;
      const auto at = copy.row->find(name);
      return at == copy.row->end() || !identical(at->second, value);
    });
    if (differs) out.emplace(name, value);
  }
  return out;
}

// Each part of each counter as who has the most of it knows it; if that is the chosen copy among
// others, as that one does.
std::vector<Floor> Repair::counters() const {
  std::vector<Floor> latest = chosen_.parts.counters;
  for (const auto& copy : copies_) {
    for (const auto& part : copy.row.parts.counters) keep_latest(latest, part);
  }
  return latest;
}

RowRequest Repair::request(Kind kind, Row columns) const {
  RowRequest out;
  out.kind = kind;
  out.columns = std::move(columns);
  out.context = RowContext{copies_.front().applied, {}};
  return out;
}

RowRequest Repair::whole(const Row& row) const {
  if (!has_commuting()) return request(Kind::kPut, without_key(row));
  RowRequest out = request(Kind::kRenew, without_key(row));
  out.floors = counters();
  return out;
}

RowRequest Repair::to_row(const Row& row) const {
  const bool gaps = some_copy([](const SeenRow& copy) { return !copy.row; });
  const bool open = some_copy([](const SeenRow& copy) { return copy.open; });
  const bool counted =
      some_copy([&](const SeenRow& copy) { return copy.parts.counters != chosen_.parts.counters; });
  Row patch = differing(row);
  const bool added =
      std::any_of(patch.begin(), patch.end(), [&](const auto& c) { return commutes(c.first); });
  const bool patches = mine_.row && !gaps && !open && !counted && !added && !patch.empty();
  return patches ? request(Kind::kPatch, std::move(patch)) : whole(row);
}

// An erase of what was never here would be no change.
std::vector<RowRequest> Repair::to_nothing() const {
  std::vector<RowRequest> out;
  const auto there = std::find_if(copies_.begin(), copies_.end(),
                                  [](const SeenCopy& copy) { return copy.row.row.has_value(); });
  if (mine_.state.empty() && there != copies_.end()) out.push_back(to_row(*there->row.row));
  out.push_back(request(Kind::kErase));
  if (out.size() > 1) out.back().context.reset();
  return out;
}

// The first row carries what adds up; none of the others may add to it again. A patch needs a row
// that is shown, so an erase that is not what is shown comes first.
std::vector<RowRequest> Repair::side_by_side() const {
  auto values = chosen_.parts.undecided;
  if (values.back()) {
    std::stable_partition(values.begin(), values.end(), [](const auto& row) { return !row; });
  }
  std::vector<RowRequest> out;
  bool begun = false;
  for (const auto& row : values) {
    if (!row) out.push_back(request(Kind::kErase));
    if (row) out.push_back(begun ? request(Kind::kPatch, plain(*row)) : whole(*row));
    begun = begun || row;
  }
  if (out.front().kind == Kind::kErase && mine_.state.empty()) out.erase(out.begin());
  return out;
}

std::vector<RowRequest> Repair::writes() const {
  if (!chosen_.parts.undecided.empty()) return side_by_side();
  if (!chosen_.row) return to_nothing();
  return {to_row(*chosen_.row)};
}

}  // namespace

Result<std::vector<RowRequest>> repair_writes(const TableDef& table, const TableRules& rules,
                                              std::span<const SeenCopy> copies, size_t chosen) {
  const Repair repair(table, rules, copies, chosen);
  if (auto ok = repair.check(); !ok) return tl::unexpected(ok.error());
  const SeenRow& mine = copies.front().row;
  const auto key = key_parts(mine.digest.key);
  if (!key) return tl::unexpected(key.error());
  auto writes = repair.writes();
  for (auto& write : writes) {
    write.table = table.name;
    write.key = *key;
  }
  writes[0].if_match = mine.state;
  return writes;
}

}  // namespace entente
