#include "conflict/reissue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace entente {

Transaction Reissue::operator()(Transaction t, const std::string& dc) {
  look_for_schema_changes(t);
  t.dot = renamed(t.dot);
  rename(t.context);
  t.context.set(as_, t.dot.seq - 1);
  t.declares_dc = t.dot.seq == 1 ? dc : "";
  std::erase_if(t.changes, [](const Change& c) { return std::holds_alternative<SchemaChange>(c); });
  if (epoch_ && t.epoch > *epoch_) {
    t.epoch = *epoch_;
    std::erase_if(t.changes, [this](Change& c) { return !fits(std::get<RowChange>(c)); });
  }
  for (auto& change : t.changes) rename(std::get<RowChange>(change));
  return t;
}

void Reissue::look_for_schema_changes(const Transaction& t) {
  for (const auto& change : t.changes) {
    const auto* schema = std::get_if<SchemaChange>(&change);
    if (schema != nullptr && !epoch_) epoch_ = schema->epoch - 1;
  }
}

bool Reissue::fits(RowChange& change) const {
  const auto table = std::find_if(tables_.begin(), tables_.end(), [&](const TableDef& t) {
    return t.was_called(change.table, *epoch_);
  });
  if (table == tables_.end()) return false;
  const bool wrote = !change.columns.empty();
  const auto unknown = [&](const std::string& name) { return !table->find(name, *epoch_); };
  for (Row* row : {&change.columns, &change.base, &change.old}) {
    for (auto it = row->begin(); it != row->end();) {
      it = unknown(it->first) ? row->erase(it) : std::next(it);
    }
  }
  std::erase_if(change.floors, [&](const Floor& floor) { return unknown(floor.column); });
  return change.erase || change.inserted || !wrote || !change.columns.empty();
}

void Reissue::rename(VersionVector& context) const {
  const uint64_t own = context.at(of_);
  if (own > last_) {
    context.set(of_, last_);
    context.advance(as_, own - last_);
  }
  context.join(seen_);
}

Dot Reissue::renamed(const Dot& dot) const {
  if (dot.origin != of_ || dot.seq <= last_) return dot;
  return {as_, dot.seq - last_};
}

void Reissue::rename(RowChange& change) {
  if (change.context) rename(*change.context);
  for (auto& kept : change.kept) kept.dot = renamed(kept.dot);
  for (auto& keys : change.keys_set) keys.by.dot = renamed(keys.by.dot);
  rename_floors(change);
  count(change);
}

// What was counted under the old name is two origins' now: up to `last`, and after it.
void Reissue::rename_floors(RowChange& change) const {
  std::vector<Floor> later;
  for (auto& floor : change.floors) {
    if (floor.origin != of_ || floor.seq <= last_) continue;
    const auto counted = counted_.find({change.table, change.key, floor.column});
    const Int128 sum = counted == counted_.end() ? Int128{0} : counted->second;
    later.push_back({floor.column, as_, floor.seq - last_, sum});
    floor.seq = last_;
    floor.sum -= sum;
  }
  std::move(later.begin(), later.end(), std::back_inserter(change.floors));
}

void Reissue::count(const RowChange& change) {
  const auto number = [](const Row& row, const std::string& column) {
    const auto it = row.find(column);
    const auto* n = it == row.end() ? nullptr : std::get_if<int64_t>(&it->second);
    return n == nullptr ? Int128{0} : Int128{*n};
  };
  for (const auto& [column, value] : change.columns) {
    const Int128 before = change.inserted ? Int128{0} : number(change.base, column);
    counted_[{change.table, change.key, column}] += number(change.columns, column) - before;
  }
}

}  // namespace entente
