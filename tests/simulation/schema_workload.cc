#include "tests/simulation/schema_workload.h"

#include <limits>
#include <set>
#include <utility>

namespace entente::simulation {
namespace {

std::optional<TableDef> definition(const Node& node) {
  auto found = (*node.database().reader())->find_table(kChangingTable);
  return found ? std::move(*found) : std::nullopt;
}

// What everybody must agree on.
struct Shown {
  std::optional<TableDef> table;
  std::map<Key, Row> rows;
  std::set<std::pair<Key, std::string>> open;
  friend bool operator==(const Shown&, const Shown&) = default;
};

Shown shown(const Node& node) {
  Shown out{definition(node), {}, {}};
  if (!out.table) return out;
  auto reader = node.database().reader();
  out.rows = (*reader)->table(kChangingTable).value_or(std::map<Key, Row>{});
  ConflictQuery query;
  query.state = ConflictQuery::State::kOpen;
  query.table = kChangingTable;
  query.limit = std::numeric_limits<size_t>::max();
  const auto entries = (*reader)->conflicts(query);
  for (const auto& entry : *entries) out.open.emplace(entry.key, entry.group);
  return out;
}

std::string describe(const Shown& shown) {
  std::string text = shown.table ? "columns" : "no table";
  if (shown.table) {
    for (const auto& c : shown.table->columns) text += " " + c.name + "#" + std::to_string(c.id);
  }
  for (const auto& [key, row] : shown.rows) {
    text += "; row";
    for (const auto& [name, value] : row) text += " " + name + "=" + entente::describe(value);
  }
  return text + "; open " + std::to_string(shown.open.size());
}

}  // namespace

SchemaWorkload::SchemaWorkload(World& world, std::vector<Node*> nodes)
    : world_(world), nodes_(std::move(nodes)), random_(world.plan.seed, "schema-workload") {}

void SchemaWorkload::plan() {
  Random times(world_.plan.seed, "schema-times");
  for (size_t i = 0; i < world_.plan.schema_operations; ++i) {
    const bool edits = times.chance(0.25);
    world_.scheduler.after(times.between(0, world_.plan.chaos_ms),
                           [this, edits] { edits ? edit_something() : write_something(); });
  }
}

// Few names: they must change hands.
std::string SchemaWorkload::draw_name() { return "c" + std::to_string(random_.below(4)); }

TableEdit SchemaWorkload::draw_edit(const TableDef& table) {
  TableEdit edit;
  edit.table = table.name;
  const uint64_t kind = random_.below(20);
  edit.column = random_.pick(table.columns);
  edit.name = draw_name();
  if (kind == 0) {
    edit.kind = TableEdit::Kind::kDrop;
  } else if (kind < 9) {
    edit.kind = TableEdit::Kind::kAddColumn;
    edit.column = {draw_name(), "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0};
    const bool adds_up = world_.plan.config.rules.tables.at(kChangingTable).policy.is_counter();
    if (!adds_up && random_.chance(0.6)) edit.column.fill = Value{random_.between(1000, 1009)};
  } else {
    edit.kind = kind < 14 ? TableEdit::Kind::kDropColumn : TableEdit::Kind::kRenameColumn;
  }
  return edit;
}

void SchemaWorkload::edit_something() {
  Node& leader = *nodes_[0];
  if (!leader.alive()) return;
  const auto table = definition(leader);
  ClientTransaction work;
  if (table) {
    work = [edit = draw_edit(*table)](WriteSession& s) { return s.edit(edit); };
  } else {
    TableDef made{kChangingTable, {}};
    made.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
    made.columns.push_back({"c0", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0});
    work = [made](WriteSession& s) { return s.define(made); };
  }
  leader.submit({std::move(work)}, [this, edits = table.has_value()](const auto& results) {
    if (results[0]) world_.coverage.met(edits ? Met::kTableEdited : Met::kTableMade);
  });
}

void SchemaWorkload::write_something() {
  Node& node = *nodes_[random_.below(nodes_.size())];
  const auto drawn = random_.below(6);
  const int64_t key = random_.between(1, 4);
  if (!node.alive()) return;
  const auto table = definition(node);
  if (!table) return;
  RowRequest request;
  request.table = kChangingTable;
  request.key = {key};
  request.kind = drawn < 2   ? RowRequest::Kind::kPut
                 : drawn < 5 ? RowRequest::Kind::kPatch
                             : RowRequest::Kind::kErase;
  for (const auto& column : table->columns) {
    const bool named = request.kind == RowRequest::Kind::kPut || random_.chance(0.5);
    if (!named || column.key_part > 0 || request.kind == RowRequest::Kind::kErase) continue;
    request.columns[column.name] = Value{random_.between(0, 99)};
  }
  node.submit({[request](WriteSession& s) { return s.write(request).map([](const auto&) {}); }},
              nullptr);
}

void check_changing_table(World& world, const std::vector<Node*>& nodes) {
  const Shown first = shown(*nodes[0]);
  for (const Node* node : nodes) {
    const Shown here = shown(*node);
    if (here == first) continue;
    world.fail(node->name() + " shows of the changing table: " + describe(here) + "; and " +
               nodes[0]->name() + ": " + describe(first) + " (P1)");
  }
}

}  // namespace entente::simulation
