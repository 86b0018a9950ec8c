#include "conflict/reissue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace entente {

Origin reissued_origin(const Origin& of, uint64_t last, const std::array<uint8_t, 16>& chain) {
  ByteWriter name;
  name.string("entente reissued 1");
  name.origin(of);
  name.u64(last);
  return Origin{chain_after(chain, name.view())};
}

const Renaming* Reissue::find(const Origin& of) const {
  const auto it = std::find_if(names_.begin(), names_.end(),
                               [&](const Renaming& name) { return name.of == of; });
  return it == names_.end() ? nullptr : &*it;
}

Transaction Reissue::operator()(Transaction t, const std::string& dc) {
  look_for_schema_changes(t);
  const Origin of = t.dot.origin;
  t.dot = renamed(t.dot);
  rename(t.context);
  t.context.set(t.dot.origin, t.dot.seq - 1);
  t.declares_dc = t.dot.seq == 1 ? dc : "";
  std::erase_if(t.changes, [](const Change& c) { return std::holds_alternative<SchemaChange>(c); });
  if (epoch_ && t.epoch > *epoch_) {
    t.epoch = *epoch_;
    std::erase_if(t.changes, [this](Change& c) { return !fits(std::get<RowChange>(c)); });
  }
  for (auto& change : t.changes) {
    rename(std::get<RowChange>(change));
    count(of, std::get<RowChange>(change));
  }
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
  for (const auto& name : names_) {
    const uint64_t own = context.at(name.of);
    if (own <= name.last) continue;
    context.set(name.of, name.last);
    if (name.as != Origin{}) context.advance(name.as, own - name.last);
  }
  context.join(seen_);
}

Dot Reissue::renamed(const Dot& dot) const {
  const Renaming* name = find(dot.origin);
  if (name == nullptr || dot.seq <= name->last) return dot;
  return {name->as, dot.seq - name->last};
}

void Reissue::rename(RowChange& change) {
  if (change.context) rename(*change.context);
  std::erase_if(change.kept, [this](const KeptSibling& kept) {
    const Renaming* name = find(kept.dot.origin);
    return name != nullptr && name->as == Origin{} && kept.dot.seq > name->last;
  });
  for (auto& kept : change.kept) kept.dot = renamed(kept.dot);
  for (auto& keys : change.keys_set) keys.by.dot = renamed(keys.by.dot);
  rename_floors(change);
}

// What was counted under the old name is two origins' now: up to `last`, and after it.
void Reissue::rename_floors(RowChange& change) const {
  std::vector<Floor> later;
  for (auto& floor : change.floors) {
    const Renaming* name = find(floor.origin);
    if (name == nullptr || floor.seq <= name->last) continue;
    const auto counted = counted_.find({name->of, change.table, change.key, floor.column});
    const Int128 sum = counted == counted_.end() ? Int128{0} : counted->second;
    if (name->as != Origin{}) {
      later.push_back({floor.column, name->as, floor.seq - name->last, sum});
    }
    floor.seq = name->last;
    floor.sum -= sum;
  }
  std::move(later.begin(), later.end(), std::back_inserter(change.floors));
}

void Reissue::count(const Origin& origin, const RowChange& change) {
  const auto number = [](const Row& row, const std::string& column) {
    const auto it = row.find(column);
    const auto* n = it == row.end() ? nullptr : std::get_if<int64_t>(&it->second);
    return n == nullptr ? Int128{0} : Int128{*n};
  };
  for (const auto& [column, value] : change.columns) {
    const Int128 before = change.inserted ? Int128{0} : number(change.base, column);
    counted_[{origin, change.table, change.key, column}] += number(change.columns, column) - before;
  }
}

}  // namespace entente
