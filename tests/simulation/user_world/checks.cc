#include "tests/simulation/user_world/checks.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "conflict/merge.h"

namespace entente::simulation::user_world {
namespace {

std::string describe(const Row& row) {
  std::string out = "{";
  for (const auto& [name, value] : row) out += name + "=" + entente::describe(value) + " ";
  return out + "}";
}

std::string describe(const Key& key) {
  std::string out;
  for (const auto& part : key_parts(key).value_or(std::vector<Value>{})) {
    out += (out.empty() ? "" : ",") + entente::describe(part);
  }
  return out;
}

Key key_of(const Shape& shape, const Row& row) {
  std::vector<Value> parts;
  for (const auto* c : shape.key()) parts.push_back(row.at(c->id));
  return canonical_key(shape.definition(), parts).value_or("");
}

// A set is shown in the order in which its elements came; which order is nobody's promise.
void sort_sets(const Shape& shape, Row& row) {
  for (auto& [column, value] : row) {
    const auto own = shape.rules.columns.find(column);
    if (own == shape.rules.columns.end() || !own->second.is_set()) continue;
    auto elements = set_elements(value).value_or(std::vector<std::string>{});
    std::sort(elements.begin(), elements.end());
    value = set_value(elements);
  }
}

// What `SELECT *` says, by the columns' ids; or why it is no answer.
tl::expected<std::map<Key, Row>, std::string> selected(Site& site, const Shape& shape) {
  auto columns = shape.declared();
  Statement all;
  all.sql = (shape.keyless() ? "SELECT rowid, * FROM " : "SELECT * FROM ") + shape.name;
  if (shape.keyless()) columns.insert(columns.begin(), shape.key().front());
  const auto result = site.reader().execute(all);
  if (!result) return tl::unexpected(all.sql + ": " + result.error().text);
  std::string names, wanted;
  for (const auto& c : result->columns) names += c.name + " ";
  for (const auto* c : columns) wanted += c->name + " ";
  if (names != wanted)
    return tl::unexpected(all.sql + " has the columns " + names + ", not " + wanted);
  std::map<Key, Row> out;
  for (const auto& values : result->rows) {
    Row row;
    for (size_t i = 0; i < values.size(); ++i) row.emplace(columns[i]->id, values[i]);
    sort_sets(shape, row);
    const Key key = key_of(shape, row);
    if (!out.emplace(key, std::move(row)).second)
      return tl::unexpected("two rows have the key " + describe(key));
  }
  return out;
}

Complaint at(const Site& site, const Shape& shape, const std::string& what) {
  return site.name() + ", table " + shape.id + ": " + what;
}

std::vector<ConflictEntry> conflicts(Site& site, ConflictQuery::State state) {
  ConflictQuery query;
  query.state = state;
  query.limit = 100'000;
  return site.reader().conflicts(query).value_or(std::vector<ConflictEntry>{});
}

Complaint check_rows(Site& site, const Shape& shape, const PaperTable& expected, Reached& reached) {
  auto found = selected(site, shape);
  if (!found) return at(site, shape, found.error());
  for (const auto& [key, row] : expected.shown) {
    Row wanted = row;
    sort_sets(shape, wanted);
    const auto it = found->find(key);
    if (it == found->end()) return at(site, shape, "does not show " + describe(wanted));
    if (!identical(it->second, wanted)) {
      return at(site, shape, "shows " + describe(it->second) + ", must show " + describe(wanted));
    }
    std::vector<Value> parts;
    for (const auto* c : shape.key()) parts.push_back(row.at(c->id));
    if (spelled_otherwise(parts, key)) reached.met(Path::kKeyRespelled);
    found->erase(it);
  }
  if (found->empty()) return std::nullopt;
  return at(site, shape, "shows " + describe(found->begin()->second) + ", which must not be shown");
}

Complaint check_waiting(Site& site, const Shape& shape, const PaperTable& expected,
                        Reached& reached) {
  std::set<std::pair<Key, std::string>> found;
  for (const auto& entry : conflicts(site, ConflictQuery::State::kOpen)) {
    if (entry.table == shape.name) found.emplace(entry.key, entry.kind);
  }
  if (expected.equal > 0) reached.met(Path::kEqualSettled);
  for (const auto& [key, kind] : expected.waiting) {
    if (kind == "unique") reached.met(Path::kHiddenByUnique);
    if (kind == "constraint") reached.met(Path::kHiddenByCheck);
    if (kind == "foreign-key") {
      reached.met(expected.shown.contains(key) ? Path::kOrphanListed : Path::kOrphanHidden);
    }
    if (!found.erase({key, kind})) {
      return at(site, shape,
                "does not list row " + describe(key) + " as an open conflict, kind " + kind);
    }
  }
  if (found.empty()) return std::nullopt;
  return at(site, shape,
            "lists row " + describe(found.begin()->first) + " as an open conflict, kind " +
                found.begin()->second + ", which it is not");
}

// True if the log's entry has this value, as far as the table still has its columns.
bool lists(const Shape& shape, const RowVersion& listed, const std::optional<Row>& value) {
  if (!value || !listed.row) return !value && !listed.row;
  return std::all_of(value->begin(), value->end(), [&](const auto& part) {
    const ShapeColumn* c = shape.find(part.first);
    if (c == nullptr || c->key_part > 0) return true;
    const auto it = listed.row->find(c->name);
    return it != listed.row->end() && identical(it->second, part.second);
  });
}

// True if a whole row that was written before a column came is what is shown: rows show of the
// column what it is filled with until somebody writes it.
bool is_shown(const Shape& shape, const Row& value, const std::optional<Row>& shown) {
  return shown && std::all_of(shown->begin(), shown->end(), [&](const auto& part) {
           const ShapeColumn* c = shape.find(part.first);
           const auto it = value.find(part.first);
           if (it != value.end()) return identical(it->second, part.second);
           return c != nullptr && c->added && identical(Value(*c->added), part.second);
         });
}

std::vector<std::string> texts(sqlite::Connection& db, const std::string& query) {
  std::vector<std::string> out;
  auto q = db.prepare(query);
  if (!q) return {query + ": " + q.error().text};
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    std::string& line = out.emplace_back();
    for (int i = 0; i < sqlite3_column_count(q->get()); ++i)
      line += entente::describe(q->value(i)) + " ";
  }
  if (!row) out.push_back(query + ": " + row.error().text);
  return out;
}

Complaint check_indexes(Site& site, sqlite::Connection& db, const Shape& shape) {
  for (const auto& unique : shape.uniques) {
    if (unique.name.empty()) continue;
    const std::string where = unique.where.empty() ? "" : " WHERE " + spelled(unique.where, shape);
    std::string keys;
    for (const auto* c : shape.key()) keys += (keys.empty() ? "" : ", ") + c->name;
    const auto content = [&](const std::string& how) {
      return texts(
          db, "SELECT " + keys + " FROM " + shape.name + " " + how + where + " ORDER BY " + keys);
    };
    const auto by_index = content("INDEXED BY " + unique.name), by_scan = content("NOT INDEXED");
    if (by_index != by_scan) {
      return at(site, shape,
                "its index " + unique.name + " holds " + std::to_string(by_index.size()) +
                    " rows that are not the " + std::to_string(by_scan.size()) + " of the table");
    }
  }
  return std::nullopt;
}

// Who has no parent is shown, and listed, or neither.
Complaint check_foreign_keys(Site& site, sqlite::Connection& db, const Shape& shape) {
  const auto rows = selected(site, shape);
  if (!rows) return at(site, shape, rows.error());
  bool listed = false;
  for (const auto& entry : conflicts(site, ConflictQuery::State::kOpen)) {
    listed |= entry.table == shape.name && entry.kind == "foreign-key" && rows->contains(entry.key);
  }
  const auto violated = texts(db, "PRAGMA foreign_key_check(" + shape.name + ")");
  if (violated.empty() != listed) return std::nullopt;
  return at(site, shape,
            std::to_string(violated.size()) + " rows have no parent, and " +
                (listed ? "some are" : "none is") + " listed");
}

}  // namespace

Complaint check_contents(Site& site, UserOracle& oracle, Reached& reached) {
  const VersionVector applied = site.applied();
  if (auto bad = oracle.closed(applied)) return site.name() + ": " + *bad;
  const Expected expected = oracle.expected(applied, site.epoch());
  for (const auto& shape : oracle.shapes_at(site.epoch())) {
    if (!shape.there) continue;
    const PaperTable& table = expected.tables.at(shape.id);
    if (auto bad = check_rows(site, shape, table, reached)) return bad;
    if (auto bad = check_waiting(site, shape, table, reached)) return bad;
  }
  return std::nullopt;
}

Complaint check_row_api(Site& site, const UserOracle& oracle) {
  for (const auto& shape : oracle.shapes_at(site.epoch())) {
    if (!shape.there) continue;
    const auto shown = selected(site, shape);
    if (!shown) return at(site, shape, shown.error());
    const auto all = site.reader().table(shape.name);
    if (!all) return at(site, shape, "cannot be read: " + all.error().text);
    if (all->size() != shown->size()) return at(site, shape, "the row API has other rows than SQL");
    for (const auto& [key, row] : *shown) {
      const auto parts = key_parts(key);
      const auto read = site.reader().row(shape.name, *parts, true);
      if (!read || !read->row)
        return at(site, shape, "the row API does not show row " + describe(key));
      for (const auto& [name, value] : *read->row) {
        const ShapeColumn* c = shape.named(name);
        Row one;
        if (c != nullptr) one.emplace(c->id, value);
        if (c != nullptr) sort_sets(shape, one);
        if (c != nullptr && identical(one.begin()->second, row.at(c->id))) continue;
        return at(site, shape,
                  "the row API shows of row " + describe(key) + " " + name + "=" +
                      entente::describe(value) + ", and SQL " + describe(row));
      }
      if (read->row->size() < shape.written().size()) {
        return at(site, shape, "the row API leaves out columns of row " + describe(key));
      }
    }
  }
  return std::nullopt;
}

// What was written before a column came, with what rows show in that column.
std::optional<Row> filled(const Shape& shape, std::optional<Row> written) {
  for (const auto& c : shape.columns) {
    if (written && c.added) written->emplace(c.id, *c.added);
  }
  return written;
}

Complaint check_losers(Site& site, UserOracle& oracle, Reached& reached) {
  std::map<std::tuple<std::string, Key, std::string, Dot>, std::vector<RowVersion>> log;
  const Shapes& shapes = oracle.shapes_at(site.epoch());
  for (auto& entry : conflicts(site, ConflictQuery::State::kResolved)) {
    const Shape* shape = named(shapes, entry.table);
    if (shape == nullptr) continue;
    const ShapeColumn* c = shape->named(entry.group);
    for (auto& loser : entry.losers) {
      const Dot dot = loser.version.dot;
      log[{shape->id, entry.key, c == nullptr ? entry.group : c->id, dot}].push_back(
          std::move(loser));
    }
  }
  const Expected expected = oracle.expected(site.applied(), site.epoch());
  for (const auto& [name, row] : expected.registers) {
    const Shape* shape = find(shapes, name.first);
    if (shape == nullptr || !shape->there) continue;
    for (const auto& [group, r] : row.registers) {
      const bool gone = !group.empty() && group != "*" && shape->find(group) == nullptr;
      if (r.open || r.undecided || r.commutes || gone) continue;
      for (const auto& w : r.maximal) {
        if (filled(*shape, w.value) == filled(*shape, r.shown().value)) continue;
        std::optional<Row> value;
        if (w.value) value = row.lost_with(w, group);
        if (value && is_shown(*shape, *value, row.visible)) continue;
        const auto it = log.find({name.first, name.second, group, w.version.dot});
        const bool listed =
            it != log.end() && std::any_of(it->second.begin(), it->second.end(),
                                           [&](const auto& l) { return lists(*shape, l, value); });
        reached.met(Path::kLoserListed);
        if (listed) continue;
        return at(site, *shape,
                  "row " + describe(name.second) + ", register '" + group +
                      "': the conflict log does not list " +
                      (value ? describe(*value) : "a delete") + " of " + to_string(w.version.dot) +
                      ", which lost (P2)");
      }
    }
  }
  return std::nullopt;
}

Complaint check_file(Site& site, const UserOracle& oracle) {
  auto db = site.look();
  const auto integrity = texts(db, "PRAGMA integrity_check");
  if (integrity != std::vector<std::string>{entente::describe(Value{std::string("ok")}) + " "}) {
    return site.name() + ": the file's integrity check says " +
           (integrity.empty() ? "" : integrity.front());
  }
  for (const auto& shape : oracle.shapes_at(site.epoch())) {
    if (!shape.there) continue;
    if (auto bad = check_indexes(site, db, shape)) return bad;
    if (auto bad = check_foreign_keys(site, db, shape)) return bad;
  }
  return std::nullopt;
}

std::string shown_by(Site& site, const UserOracle& oracle) {
  std::string out;
  for (const auto& shape : oracle.shapes_at(site.epoch())) {
    if (!shape.there) continue;
    const auto rows = selected(site, shape);
    if (!rows) return rows.error();
    out += shape.id + "\n";
    for (const auto& [key, row] : *rows) out += "  " + describe(row) + "\n";
  }
  std::set<std::string> open;
  for (const auto& entry : conflicts(site, ConflictQuery::State::kOpen)) {
    const Shape* shape = named(oracle.shapes_at(site.epoch()), entry.table);
    Row value;
    for (const auto& [name, v] : entry.winner.row.value_or(Row{})) {
      const ShapeColumn* c = shape == nullptr ? nullptr : shape->named(name);
      if (c != nullptr) value.emplace(c->id, v);
    }
    if (shape != nullptr) sort_sets(*shape, value);
    open.insert("  open " + entry.table + " " + describe(entry.key) + " " + entry.group + " " +
                entry.kind + " " + to_string(entry.winner.version.dot) + describe(value) + "\n");
  }
  for (const auto& line : open) out += line;
  return out;
}

}  // namespace entente::simulation::user_world
