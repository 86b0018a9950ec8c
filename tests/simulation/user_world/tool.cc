#include "tests/simulation/user_world/tool.h"

#include <algorithm>
#include <utility>

namespace entente::simulation::user_world {
namespace {

Shape& main_table(Shapes& shapes) {
  return *std::find_if(shapes.begin(), shapes.end(), [](const Shape& s) { return s.id == "t"; });
}

// Something in the table's declaration besides the column's own place names it.
bool is_used(const Shape& shape, const ShapeColumn& c) {
  const std::string name = "{" + c.id + "}";
  const auto says = [&](const std::string& text) { return text.find(name) != std::string::npos; };
  bool used = c.key_part > 0 || shape.rules.columns.contains(c.id);
  for (const auto& other : shape.columns) used |= says(other.generated);
  for (const auto& check : shape.checks) used |= says(check);
  for (const auto& index : shape.indexes) used |= says(index);
  for (const auto& trigger : shape.triggers) used |= says(trigger);
  for (const auto& r : shape.references) used |= r.column == c.id;
  for (const auto& u : shape.uniques) {
    used |= says(u.where) || std::find(u.columns.begin(), u.columns.end(), c.id) != u.columns.end();
    for (const auto& term : u.terms) used |= says(term.expression);
  }
  return used;
}

bool is_referred_to(const Shapes& shapes, const Shape& shape) {
  return std::any_of(shapes.begin(), shapes.end(), [&](const Shape& s) {
    return std::any_of(s.references.begin(), s.references.end(),
                       [&](const auto& r) { return r.parent == shape.id; });
  });
}

std::string copy(const Shape& from, const std::string& from_name, const Shape& to,
                 const std::string& to_name) {
  std::string into, out;
  for (const auto* c : to.written()) {
    const ShapeColumn* was = from.find(c->id);
    if (was == nullptr || c->rowid) continue;
    into += (into.empty() ? "" : ", ") + c->name;
    out += (out.empty() ? "" : ", ") + was->name;
  }
  return "INSERT INTO " + to_name + " (" + into + ") SELECT " + out + " FROM " + from_name;
}

}  // namespace

std::vector<Migration> Tool::draw(const Shapes& now) {
  constexpr Draw kChanges[] = {
      Draw::kAddColumn,           Draw::kRenameColumn,      Draw::kDropColumn,
      Draw::kCreateIndex,         Draw::kCreateUniqueIndex, Draw::kRebuild,
      Draw::kRebuildRenamedFirst, Draw::kRebuildCopiedBack, Draw::kRebuildByStatement};
  std::vector<Draw> may;
  for (const Draw change : kChanges) {
    if (draws_.has(change)) may.push_back(change);
  }
  if (may.empty()) return {};
  const auto one = [](std::optional<Migration> migration) {
    return migration ? std::vector<Migration>{std::move(*migration)} : std::vector<Migration>{};
  };
  const Draw change = random_.pick(may);
  switch (change) {
    case Draw::kAddColumn:
      return one(add_column(now));
    case Draw::kRenameColumn:
      return one(rename_column(now));
    case Draw::kDropColumn:
      return one(drop_column(now));
    case Draw::kCreateIndex:
      return one(create_index(now));
    case Draw::kCreateUniqueIndex:
      return one(create_unique_index(now));
    default:
      return rebuild(now, change);
  }
}

Migration Tool::add_column(Shapes shapes) {
  Shape& t = main_table(shapes);
  const std::string name = new_name();
  const int64_t fill = random_.between(1, 9);
  t.columns.push_back({name, name, "INTEGER", Fill::kNumber, "DEFAULT " + std::to_string(fill)});
  t.columns.back().added = fill;
  return {{"ALTER TABLE t ADD COLUMN " + name + " INTEGER DEFAULT " + std::to_string(fill)},
          shapes};
}

std::optional<Migration> Tool::rename_column(Shapes shapes) {
  Shape& t = main_table(shapes);
  ShapeColumn& c = t.columns[random_.below(t.columns.size())];
  if (t.rules.columns.contains(c.id) || !c.generated.empty() || c.rowid) return std::nullopt;
  const std::string was = std::exchange(c.name, new_name());
  return Migration{{"ALTER TABLE t RENAME COLUMN " + was + " TO " + c.name}, shapes};
}

std::optional<Migration> Tool::drop_column(Shapes shapes) {
  Shape& t = main_table(shapes);
  const size_t at = random_.below(t.columns.size());
  const std::string name = t.columns[at].name;
  if (is_used(t, t.columns[at])) return std::nullopt;
  t.columns.erase(t.columns.begin() + static_cast<ptrdiff_t>(at));
  return Migration{{"ALTER TABLE t DROP COLUMN " + name}, shapes};
}

Migration Tool::create_index(Shapes shapes) {
  Shape& t = main_table(shapes);
  t.indexes.push_back("CREATE INDEX t_" + new_name() + " ON t ({lo}, lower({a}))");
  return {{spelled(t.indexes.back(), t)}, shapes};
}

// Rows may be in its way at the leader, then it is refused; and elsewhere, then some of them wait.
Migration Tool::create_unique_index(Shapes shapes) {
  Shape& t = main_table(shapes);
  ShapeUnique unique{"t_" + new_name(), {{"{hi}"}, {"{lo}"}}, {"hi", "lo"}};
  if (draws_.has(Draw::kUniquePartial))
    unique.where = "{gone} = 0", unique.columns.push_back("gone");
  t.uniques.push_back(unique);
  return {{user_world::create_index(t, unique)}, shapes};
}

// The table as it is to be: its columns in another order, and often one more.
Shapes Tool::rebuilt(Shapes shapes) {
  Shape& t = main_table(shapes);
  const auto end = std::find_if(t.columns.begin(), t.columns.end(),
                                [](const auto& c) { return !c.generated.empty() && !c.stored; });
  for (auto it = t.columns.begin(); it + 1 < end && it != end; ++it) {
    std::swap(*it, *(it + static_cast<ptrdiff_t>(random_.below(static_cast<uint64_t>(end - it)))));
  }
  if (random_.chance(0.6)) {
    const std::string name = new_name();
    ShapeColumn c{name, name, "INTEGER", Fill::kNumber, "DEFAULT 7"};
    c.added = 7;
    t.columns.insert(t.columns.begin(), std::move(c));
  }
  return shapes;
}

std::vector<Migration> Tool::rebuild(const Shapes& now, Draw how) {
  Shapes after = rebuilt(now);
  const Shape &was = *find(now, "t"), &t = main_table(after);
  const auto create = [&](const std::string& as) { return create_table(t, after, as); };
  std::vector<std::string> sql;
  const bool renames_first = how == Draw::kRebuildRenamedFirst && !is_referred_to(now, was);
  if (renames_first) {
    sql = {"ALTER TABLE t RENAME TO old_t", create("t"), copy(was, "old_t", t, "t"),
           "DROP TABLE old_t"};
  } else if (how == Draw::kRebuildCopiedBack) {
    sql = {create("new_t"), copy(was, "t", t, "new_t"), "DROP TABLE t",
           create("t"),     copy(t, "new_t", t, "t"),   "DROP TABLE new_t"};
  } else {
    sql = {create("new_t"), copy(was, "t", t, "new_t"), "DROP TABLE t",
           "ALTER TABLE new_t RENAME TO t"};
  }
  const auto all = statements_of(t, after);
  sql.insert(sql.end(), all.begin() + 1, all.end());
  if (how != Draw::kRebuildByStatement) return {{std::move(sql), std::move(after)}};
  std::vector<Migration> out;
  Shapes meanwhile = now;
  for (auto& statement : sql) {
    if (statement == "DROP TABLE t") main_table(meanwhile).there = false;
    if (statement.starts_with("ALTER TABLE new_t")) meanwhile = after;
    out.push_back({{std::move(statement)}, meanwhile});
  }
  return out;
}

}  // namespace entente::simulation::user_world
