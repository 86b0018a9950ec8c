#include "tests/simulation/user_world/paper.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace entente::simulation::user_world {
namespace {

// The oracle's own SQL is right, or the oracle is broken.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "the oracle's SQL fails: %s\n", result.error().text.c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Its columns, nothing of what it demands of them, and whether the row is in the set of the step.
std::string bare_table(const Shape& shape) {
  std::string out = "CREATE TABLE " + shape.id + " (_n INTEGER PRIMARY KEY, _in INTEGER DEFAULT 1";
  for (const auto& c : shape.columns) {
    out +=
        ", " + c.id + " " + (c.type == "ANY" ? "" : c.type) + (c.nocase() ? " COLLATE NOCASE" : "");
    if (!c.generated.empty()) out += " AS (" + spelled_by_id(c.generated) + ")";
  }
  return out + ")";
}

// SQL for the terms of a UNIQUE key of rows that have it.
std::string claims(const Shape& shape, const ShapeUnique& unique) {
  std::string out = "SELECT _n";
  for (size_t i = 0; i < unique.terms.size(); ++i) {
    out += ", " + spelled_by_id(unique.terms[i].expression) + " AS e" + std::to_string(i);
  }
  out += " FROM " + shape.id;
  return unique.where.empty() ? out : out + " WHERE " + spelled_by_id(unique.where);
}

std::string equal_claims(const Shape& shape, const ShapeUnique& unique) {
  const std::string of = "(" + claims(shape, unique) + ")";
  std::string out = "SELECT x._n, y._n FROM " + of + " x JOIN " + of + " y ON x._n < y._n";
  for (size_t i = 0; i < unique.terms.size(); ++i) {
    const std::string e = ".e" + std::to_string(i);
    out += " AND x" + e + " = y" + e + " COLLATE " + unique.terms[i].collation;
  }
  return out;
}

}  // namespace

Paper::Paper(Shapes shapes)
    : shapes_(std::move(shapes)),
      db_(must(sqlite::Connection::open(":memory:", sqlite::Connection::Kind::kWrite))) {
  for (const auto& shape : shapes_) must(db_.exec(bare_table(shape)));
}

PaperTables Paper::judge(const LiveRows& rows) {
  static const std::map<Key, LiveRow> kNone;
  AllLines all;
  for (const auto& shape : shapes_) {
    const auto it = rows.find(shape.id);
    write_down(shape, it == rows.end() ? kNone : it->second, all[shape.id]);
    check(shape, all[shape.id]);
  }
  leave_those_with_parents(all);
  for (const auto& shape : shapes_) give_unique_keys(shape, all[shape.id]);
  leave_those_with_parents(all);
  PaperTables out;
  for (const auto& shape : shapes_) {
    list_orphans(shape, all[shape.id]);
    out[shape.id] = read(shape, all[shape.id]);
  }
  return out;
}

void Paper::write_down(const Shape& shape, const std::map<Key, LiveRow>& rows, Lines& lines) {
  must(db_.exec("DELETE FROM " + shape.id));
  std::string names = "_n", marks = "?";
  const auto columns = shape.written();
  for (const auto* c : columns) names += ", " + c->id, marks += ", ?";
  auto insert =
      must(db_.prepare("INSERT INTO " + shape.id + " (" + names + ") VALUES (" + marks + ")"));
  for (const auto& [key, row] : rows) {
    insert.bind(1, static_cast<int64_t>(lines.size()));
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto value = row.columns.find(columns[i]->id);
      static const Value kNull;
      insert.bind(static_cast<int>(i) + 2, value == row.columns.end() ? kNull : value->second);
    }
    must(insert.run());
    lines.push_back({key, row.taken});
  }
}

void Paper::take_out(const Shape& shape, Lines& lines, size_t line) {
  lines[line].in = false;
  must(db_.exec("UPDATE " + shape.id + " SET _in = 0 WHERE _n = " + std::to_string(line)));
}

void Paper::check(const Shape& shape, Lines& lines) {
  for (const auto& condition : shape.checks) {
    const std::string sql = spelled_by_id(condition);
    for (const auto& n : numbers("SELECT _n FROM " + shape.id + " WHERE NOT (" + sql + ")")) {
      lines[n[0]].refused = true;
      take_out(shape, lines, n[0]);
    }
  }
}

// Taking one out may take its children's parent. Rows that refer to each other in a circle stay.
void Paper::leave_those_with_parents(AllLines& all) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& shape : shapes_) {
      if (shape.rules.orphans != Orphans::kHide) continue;
      for (const size_t line : without_parent(shape, Parents::kIn)) {
        if (!all[shape.id][line].in) continue;
        take_out(shape, all[shape.id], line);
        changed = true;
      }
    }
  }
}

void Paper::give_unique_keys(const Shape& shape, Lines& lines) {
  std::vector<std::vector<size_t>> rivals(lines.size());
  for (const auto& unique : shape.uniques) {
    for (const auto& pair : numbers(equal_claims(shape, unique))) {
      rivals[pair[0]].push_back(pair[1]), rivals[pair[1]].push_back(pair[0]);
    }
  }
  std::vector<size_t> order;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].in) order.push_back(i);
  }
  const bool first = shape.rules.unique == UniqueWins::kFirst;
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    return first ? lines[x].taken < lines[y].taken : lines[y].taken < lines[x].taken;
  });
  std::vector<bool> holds(lines.size(), false);
  for (const size_t i : order) {
    const auto& others = rivals[i];
    lines[i].loses = std::any_of(others.begin(), others.end(), [&](size_t r) { return holds[r]; });
    holds[i] = !lines[i].loses;
    if (lines[i].loses) take_out(shape, lines, i);
  }
}

void Paper::list_orphans(const Shape& shape, Lines& lines) {
  for (const size_t line : without_parent(shape, Parents::kShownOrItself))
    lines[line].orphan = true;
}

// Rows with a reference to which nothing answers that counts.
std::vector<size_t> Paper::without_parent(const Shape& shape, Parents which) {
  std::vector<size_t> out;
  for (const auto& r : shape.references) {
    const bool itself = which == Parents::kShownOrItself && r.parent == shape.id;
    const std::string counts = itself ? "q._in OR q._n = c._n" : "q._in";
    const std::string query = "SELECT _n FROM " + shape.id + " AS c WHERE c." + r.column +
                              " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM " + r.parent +
                              " AS q WHERE q." + r.to + " = c." + r.column + " AND (" + counts +
                              "))";
    for (const auto& n : numbers(query)) out.push_back(n[0]);
  }
  return out;
}

std::vector<std::vector<size_t>> Paper::numbers(const std::string& query) {
  auto q = must(db_.prepare(query));
  std::vector<std::vector<size_t>> out;
  while (must(q.step())) {
    auto& row = out.emplace_back();
    for (int i = 0; i < sqlite3_column_count(q.get()); ++i) row.push_back(q.natural(i));
  }
  return out;
}

// Rows that are not in the set and have all their values in common with one that is.
std::set<size_t> Paper::equal_to_shown(const Shape& shape) {
  std::string same;
  for (const auto* c : shape.written()) {
    if (c->rowid) continue;
    same += " AND x." + c->id + " IS y." + c->id + " COLLATE BINARY AND typeof(x." + c->id +
            ") = typeof(y." + c->id + ")";
  }
  std::set<size_t> out;
  for (const auto& n : numbers("SELECT x._n FROM " + shape.id + " AS x JOIN " + shape.id +
                               " AS y ON NOT x._in AND y._in" + same)) {
    out.insert(n[0]);
  }
  return out;
}

PaperTable Paper::read(const Shape& shape, const Lines& lines) {
  PaperTable out;
  std::string names = "_n";
  for (const auto& c : shape.columns) names += ", " + c.id;
  auto q = must(db_.prepare("SELECT " + names + " FROM " + shape.id + " WHERE _in"));
  while (must(q.step())) {
    Row& row = out.shown[lines[static_cast<size_t>(q.integer(0))].key];
    for (size_t i = 0; i < shape.columns.size(); ++i) {
      row.emplace(shape.columns[i].id, q.value(static_cast<int>(i) + 1));
    }
  }
  const auto equal = shape.keyless() ? equal_to_shown(shape) : std::set<size_t>();
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    const bool settled = line.loses && equal.contains(i);
    out.equal += settled;
    if (line.refused) out.waiting.emplace(line.key, "constraint");
    if (line.loses && !settled) out.waiting.emplace(line.key, "unique");
    if (line.orphan) out.waiting.emplace(line.key, "foreign-key");
  }
  return out;
}

}  // namespace entente::simulation::user_world
