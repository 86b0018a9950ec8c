#include "tests/simulation/user_world/user_oracle.h"

#include <algorithm>
#include <utility>

#include "conflict/codec.h"

namespace entente::simulation::user_world {
namespace {

std::vector<TableDef> definitions(const Shapes& shapes) {
  std::vector<TableDef> out;
  for (const auto& shape : shapes) out.push_back(shape.definition());
  return out;
}

// The columns by their ids; those that are not there any more are left out.
Row by_id(const Row& row, const Shape& shape) {
  Row out;
  for (const auto& [name, value] : row) {
    if (const auto* c = shape.named(name)) out.emplace(c->id, value);
  }
  return out;
}

}  // namespace

UserOracle::UserOracle(const Shapes& shapes, const ConflictRules& rules)
    : oracle_(rules, definitions(shapes),
              [this](RowChange& change, uint64_t epoch) { return name(change, epoch); }) {
  changes(0, shapes);
}

void UserOracle::changes(uint64_t epoch, Shapes shapes) {
  Schema& schema = schemas_[epoch];
  schema.paper = std::make_unique<Paper>(shapes);
  schema.shapes = std::move(shapes);
}

const Shapes& UserOracle::shapes_at(uint64_t epoch) const {
  return std::prev(schemas_.upper_bound(epoch))->second.shapes;
}

bool UserOracle::name(RowChange& change, uint64_t epoch) const {
  const Shape* shape = named(shapes_at(epoch), change.table);
  if (shape == nullptr) return false;
  const auto id = [&](std::string& column) {
    if (const auto* c = shape->named(column)) column = c->id;
  };
  change.table = shape->id;
  change.columns = by_id(change.columns, *shape);
  change.base = by_id(change.base, *shape);
  for (auto& kept : change.kept) id(kept.group);
  for (auto& floor : change.floors) id(floor.column);
  return true;
}

// One transaction, and before a database's first one the declaration of its origin: what they do to
// their rows is not known to the registers yet.
Oracle::Complaint UserOracle::note_keys(const Run& run) {
  StreamState& stream = streams_[run.origin];
  ByteReader in(run.records);
  for (uint64_t i = 0; i < run.count; ++i) {
    const auto record = in.string();
    const auto head = decode_head(run.origin, record, stream);
    const auto t = decode_record(run.origin, record, stream);
    if (!head || !t) return "what was committed is no record";
    stream = advance(stream, *head, record);
    for (const auto& change : t->changes) {
      const auto* row = std::get_if<RowChange>(&change);
      if (row == nullptr || row->erase) continue;
      RowChange named = *row;
      if (name(named, t->epoch)) note_keys(named, *t);
    }
  }
  return std::nullopt;
}

// A write that gives a register's columns of UNIQUE keys the values that SQL showed its writer, who
// had seen whose they are, has not set them.
void UserOracle::note_keys(const RowChange& change, const Transaction& of) {
  const Shape& shape = *find(shapes_at(of.epoch), change.table);
  std::map<std::string, std::vector<std::string>> by_register;
  for (const auto& unique : shape.uniques) {
    for (const auto& c : unique.columns) by_register[oracle_.register_of(shape.id, c)].push_back(c);
  }
  const RowName row{shape.id, change.key};
  const ExpectedRow before =
      by_register.empty() ? ExpectedRow{} : oracle_.expected(row, of.context);
  if (!before.visible) return;
  for (const auto& [group, columns] : by_register) {
    const auto r = before.registers.find(group);
    if (r == before.registers.end()) continue;
    const Dot& last = r->second.shown().version.dot;
    const bool saw =
        (!change.context || change.context->covers(last)) && !keeps(change.kept, group, last);
    const bool same = std::all_of(columns.begin(), columns.end(), [&](const std::string& c) {
      const auto was = before.visible->find(c), now = change.columns.find(c);
      return was != before.visible->end() && now != change.columns.end() &&
             identical(was->second, now->second);
    });
    if (saw && same) keys_left_[{row, group, of.dot}] = keys_set(row, group, r->second);
  }
}

Version UserOracle::keys_set(const RowName& row, const std::string& group,
                             const ExpectedRegister& r) const {
  const auto it = keys_left_.find({row, group, r.shown().version.dot});
  return it == keys_left_.end() ? r.shown().version : it->second;
}

Oracle::Complaint UserOracle::committed(const Run& run, const VersionVector& had) {
  if (auto bad = note_keys(run)) return bad;
  return oracle_.committed(run, had, true);
}

Oracle::Complaint UserOracle::collected(const VersionVector& stable, const VersionVector& applied) {
  return oracle_.collected(stable, applied, oracle_.everything());
}

Expected UserOracle::expected(const VersionVector& seen, uint64_t epoch) {
  Schema& schema = std::prev(schemas_.upper_bound(epoch))->second;
  Expected out;
  out.registers = oracle_.expected(seen);
  LiveRows live;
  for (const auto& [name, row] : out.registers) {
    const Shape* shape = find(schema.shapes, name.first);
    if (!row.visible || shape == nullptr || !shape->there) continue;
    live[name.first].emplace(name.second, live_row(*shape, name, row));
  }
  out.tables = schema.paper->judge(live);
  return out;
}

LiveRow UserOracle::live_row(const Shape& shape, const RowName& name,
                             const ExpectedRow& row) const {
  LiveRow out;
  const auto parts = key_parts(name.second);
  const auto key = shape.key();
  for (size_t i = 0; i < key.size(); ++i) out.columns[key[i]->id] = (*parts)[i];
  for (const auto& c : shape.columns) {
    if (c.added) out.columns[c.id] = *c.added;
  }
  for (const auto& [column, value] : *row.visible) out.columns[column] = value;
  for (const auto& unique : shape.uniques) {
    for (const auto& column : unique.columns) {
      const std::string group = oracle_.register_of(shape.id, column);
      const auto it = row.registers.find(group);
      if (it != row.registers.end())
        out.taken = std::max(out.taken, keys_set(name, group, it->second));
    }
  }
  return out;
}

}  // namespace entente::simulation::user_world
