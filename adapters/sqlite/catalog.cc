#include "adapters/sqlite/catalog.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "adapters/sqlite/sql_text.h"
#include "conflict/codec.h"
#include "conflict/key.h"

namespace entente::sqlite {
namespace {

const char* name_of(Collation c) {
  switch (c) {
    case Collation::kNocase:
      return "NOCASE";
    case Collation::kRtrim:
      return "RTRIM";
    case Collation::kBinary:
      break;
  }
  return "BINARY";
}

const char* name_of(Affinity a) {
  switch (a) {
    case Affinity::kText:
      return "TEXT";
    case Affinity::kNumeric:
      return "NUMERIC";
    case Affinity::kInteger:
      return "INTEGER";
    case Affinity::kReal:
      return "REAL";
    case Affinity::kBlob:
      break;
  }
  return "BLOB";
}

Result<Collation> collation_of(const std::string& table, std::string_view name) {
  const std::string folded = lower(name);
  if (folded == "binary" || folded.empty()) return Collation::kBinary;
  if (folded == "nocase") return Collation::kNocase;
  if (folded == "rtrim") return Collation::kRtrim;
  return fail(Code::kRefused,
              "table " + table + " uses collation " + std::string(name) +
                  ", which other datacenters do not have: use BINARY, NOCASE or RTRIM",
              "collation");
}

struct Shape {
  bool ordinary = false, without_rowid = false, strict = false;
};

Result<Shape> read_shape(Connection& db, const std::string& name) {
  auto q = db.prepare("SELECT type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{name});
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return fail(Code::kNotFound, "there is no table " + name, "unknown_table");
  return Shape{q->bytes(0) == "table", q->integer(1) != 0, q->integer(2) != 0};
}

// The index that enforces a table's key: its columns' places in it, and their collations. Without
// columns: the key is the rowid.
struct KeyIndex {
  struct Part {
    uint16_t place = 0;  // 1-based
    std::string collation;
  };
  std::map<std::string, Part> parts;
  bool declared = false;  // PRIMARY KEY, which may be the rowid's name
};

Result<KeyIndex> declared_key(Connection& db, const std::string& name) {
  KeyIndex out;
  auto any = db.prepare("SELECT 1 FROM pragma_table_xinfo(?1) WHERE pk > 0");
  if (!any) return tl::unexpected(any.error());
  any->bind(1, Text{name});
  const auto found = any->step();
  if (!found) return tl::unexpected(found.error());
  out.declared = *found;
  return out;
}

// A table's primary key. Of a table without one, the first UNIQUE that its declaration has whose
// columns are never NULL.
Result<KeyIndex> key_index(Connection& db, const std::string& name) {
  auto out = declared_key(db, name);
  if (!out) return out;
  auto q = db.prepare(
      "SELECT l.name, x.name, x.coll, x.seqno, i.\"notnull\" = 1 AND i.hidden = 0 "
      "FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x "
      "LEFT JOIN pragma_table_xinfo(?1) AS i ON i.name = x.name "
      "WHERE l.origin = ?2 AND x.key = 1 ORDER BY l.seq DESC, x.seqno");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(Text{name}, Text{out->declared ? "pk" : "u"});
  std::string index;
  bool fit = false;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    if (index != q->bytes(0)) {
      if (fit) break;
      index = q->bytes(0);
      out->parts.clear();
      fit = true;
    }
    fit = fit && (out->declared || q->integer(4) != 0);
    const auto place = static_cast<uint16_t>(q->integer(3) + 1);
    out->parts.emplace(q->bytes(1), KeyIndex::Part{place, std::string(q->bytes(2))});
  }
  if (!row) return tl::unexpected(row.error());
  if (!fit) out->parts.clear();
  return out;
}

Result<Collation> declared_collation(Connection& db, const std::string& table,
                                     const std::string& column) {
  const char* collation = nullptr;
  sqlite3_table_column_metadata(db.get(), "main", table.c_str(), column.c_str(), nullptr,
                                &collation, nullptr, nullptr, nullptr);
  return collation_of(table, collation != nullptr ? collation : "");
}

// The key of a table that declares none, under a name that none of its columns has.
Result<ColumnDef> rowid_column(Connection& db, const std::string& table) {
  auto q = db.prepare("SELECT name FROM pragma_table_xinfo(?1)");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{table});
  std::set<std::string> taken;
  auto row = q->step();
  for (; row && *row; row = q->step()) taken.insert(lower(q->bytes(0)));
  if (!row) return tl::unexpected(row.error());
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    if (taken.contains(name)) continue;
    ColumnDef c{name, "INTEGER", Affinity::kInteger, Collation::kBinary, true, 1};
    c.rowid = true;
    return c;
  }
  return fail(Code::kRefused,
              "table " + table +
                  " has no primary key, and columns named rowid, _rowid_ and oid, so its rows "
                  "cannot be told apart: declare a key, or rename one of them",
              "no_primary_key");
}

// Columns that values are stored in or computed for: name, type, not null, key part, hidden.
Result<TableDef> read_columns(Connection& db, const std::string& name, const Shape& shape,
                              const KeyIndex& key) {
  auto q = db.prepare("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1)");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{name});
  TableDef def{name, {}};
  if (!key.declared && key.parts.empty()) {
    auto rowid = rowid_column(db, name);
    if (!rowid) return tl::unexpected(rowid.error());
    def.columns.push_back(std::move(*rowid));
  }
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    if (q->integer(4) != 0) continue;  // generated
    ColumnDef c;
    c.name = q->bytes(0);
    if (c.name.empty() || c.name == "*") {  // they name a row's own registers (Layout)
      return fail(Code::kRefused,
                  "table " + name + " has a column named \"" + c.name + "\": give it another name",
                  "column_name");
    }
    c.type = q->bytes(1);
    c.affinity = shape.strict && lower(c.type) == "any" ? Affinity::kBlob : affinity_of(c.type);
    c.not_null = q->integer(2) != 0;
    c.key_part = static_cast<uint16_t>(q->integer(3));
    const auto own = key.parts.find(c.name);
    const bool in_index = own != key.parts.end();
    if (in_index && !key.declared) c.key_part = own->second.place;
    auto collation = c.key_part > 0 && in_index ? collation_of(name, own->second.collation)
                                                : declared_collation(db, name, c.name);
    if (!collation) return tl::unexpected(collation.error());
    c.collation = *collation;
    def.columns.push_back(std::move(c));
  }
  if (!row) return tl::unexpected(row.error());
  return def;
}

std::string join(const std::vector<std::string>& parts, const char* separator) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : separator) + part;
  return out;
}

// Parameters of a row to insert: numbered as they come.
std::string marks(size_t n) { return "(" + join(std::vector<std::string>(n, "?"), ", ") + ")"; }

// "k" COLLATE x = ?n AND …, numbered from `first`.
std::string key_condition(const Table& t, size_t first) {
  std::vector<std::string> parts;
  for (const size_t i : t.key) {
    const ColumnDef& c = t.def.columns[i];
    const std::string collate =
        t.rowid_key ? std::string() : std::string(" COLLATE ") + name_of(c.collation);
    parts.push_back(quote_name(c.name) + collate + " = ?" + std::to_string(first++));
  }
  return join(parts, " AND ");
}

void write_sql(Table& t) {
  const std::string versions = "_entente_v_" + std::to_string(t.id);
  std::vector<std::string> keys, marks, names;
  for (size_t i = 0; i < t.key.size(); ++i) {
    const std::string k = t.rowid_key ? "k" : "k" + std::to_string(i + 1);
    keys.push_back(k + " = ?" + std::to_string(i + 1));
    marks.push_back("?" + std::to_string(i + 1));
  }
  const std::string where = " WHERE " + join(keys, " AND ");
  const size_t n = t.key.size();
  for (size_t i = 1; i <= 4; ++i) marks.push_back("?" + std::to_string(n + i));
  t.read_version = "SELECT o, s, h, x FROM " + versions + where;
  t.put_version = "INSERT OR REPLACE INTO " + versions + " VALUES (" + join(marks, ", ") + ")";
  std::string tuple;
  for (size_t i = 0; i < n + 3; ++i) tuple += "?, ";
  tuple = "(" + tuple + "NULL)";
  t.put_versions = "INSERT OR REPLACE INTO " + versions + " VALUES " +
                   join(std::vector<std::string>(kVersionsAtOnce, tuple), ", ");
  t.delete_version = "DELETE FROM " + versions + where;
  std::vector<size_t> all;
  for (size_t i = 0; i < t.columns.size(); ++i) {
    names.push_back(quote_name(t.columns[i].name));
    all.push_back(i);
  }
  t.read_row = "SELECT " + join(names, ", ") + " FROM " + quote_name(t.def.name) + " WHERE " +
               key_condition(t, 1);
  t.delete_row = "DELETE FROM " + quote_name(t.def.name) + " WHERE " + key_condition(t, 1);
  t.insert_row = t.insert_sql(all);
  t.update_row = t.by_name.empty() ? "" : t.update_sql(t.by_name);
}

// The group of a column has its id, one of several that of its first.
uint32_t group_id(const Table& t, const Group& group) {
  if (group.name.empty() || group.name == "*") return kRestGroupId;
  uint32_t least = UINT32_MAX;
  for (const auto& name : group.columns) least = std::min(least, t.find(name)->id);
  return least + 1;
}

// One row of pragma_foreign_key_list: a column of a key.
struct Reference {
  int64_t id = 0;
  std::string parent, from, to;
};

Result<std::vector<Reference>> read_references(Connection& db, const Table& t) {
  auto q = db.prepare(
      "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{t.def.name});
  std::vector<Reference> out;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    out.push_back({q->integer(0), std::string(q->bytes(1)), std::string(q->bytes(2)),
                   q->is_null(3) ? std::string() : std::string(q->bytes(3))});
  }
  if (!row) return tl::unexpected(row.error());
  return out;
}

// The columns of the parent that a key refers to, in its order, as a table's key; nothing if one is
// not among those that replication knows.
std::optional<TableDef> referred_to(const TableDef& parent, const std::vector<Reference>& parts) {
  TableDef out{parent.name, {}};
  if (parts.front().to.empty()) {
    for (const auto* c : parent.key()) out.columns.push_back(*c);
  }
  for (const auto& part : parts) {
    for (const auto& c : parent.columns) {
      if (!part.to.empty() && lower(c.name) == lower(part.to)) out.columns.push_back(c);
    }
  }
  if (out.columns.size() != parts.size()) return std::nullopt;
  for (size_t i = 0; i < parts.size(); ++i) {
    out.columns[i].key_part = static_cast<uint16_t>(i + 1);
  }
  return out;
}

// True if the parent's key finds its children: they compare as it does.
bool finds_children(const Table& t, const ForeignKey& fk, const TableDef& parent) {
  const auto key = parent.key();
  if (key.size() != fk.columns.size()) return false;
  for (size_t i = 0; i < key.size(); ++i) {
    const ColumnDef &child = t.def.columns[fk.columns[i]], &to = fk.as_parent.columns[i];
    const bool alike = child.affinity == to.affinity && child.collation == to.collation;
    if (!alike || to.name != key[i]->name) return false;
  }
  return true;
}

// A key that names columns which replication does not know is left out: nothing can be said of it.
std::optional<ForeignKey> foreign_key(const Table& t, const TableDef& parent,
                                      const std::vector<Reference>& parts) {
  ForeignKey fk;
  for (const auto& part : parts) {
    const Column* c = t.find(part.from);
    if (c == nullptr) return std::nullopt;
    fk.columns.push_back(static_cast<size_t>(c - t.columns.data()));
  }
  auto to = referred_to(parent, parts);
  if (!to) return std::nullopt;
  fk.as_parent = std::move(*to);
  fk.by_key = finds_children(t, fk, parent);
  std::vector<std::string> keys, parent_keys, by_parent, by_key, matches, set;
  for (size_t i = 0; i < fk.columns.size(); ++i) {
    const std::string mark = " = ?" + std::to_string(i + 1);
    const std::string child = "c." + quote_name(t.columns[fk.columns[i]].name);
    const std::string in_parent = "p." + quote_name(fk.as_parent.columns[i].name);
    by_parent.push_back(in_parent + mark);
    by_key.push_back(child + mark);
    // The parent's affinity and collation decide.
    matches.push_back(in_parent);
    matches.back().append(" = +").append(child);
    set.push_back(child + " IS NOT NULL");
  }
  for (const size_t i : t.key) keys.push_back("c." + quote_name(t.columns[i].name));
  for (const auto* c : parent.key()) parent_keys.push_back("p." + quote_name(c->name));
  const std::string from_parent = " FROM " + quote_name(parent.name) + " AS p WHERE ";
  const std::string children =
      "SELECT " + join(keys, ", ") + " FROM " + quote_name(t.def.name) + " AS c WHERE ";
  fk.find_parent = "SELECT " + join(parent_keys, ", ") + from_parent + join(by_parent, " AND ");
  fk.find_orphans = children + join(set, " AND ") + " AND NOT EXISTS (SELECT 1" + from_parent +
                    join(matches, " AND ") + ")";
  fk.find_children = fk.by_key ? children + join(by_key, " AND ") : fk.find_orphans;
  return fk;
}

Result<std::vector<ForeignKey>> read_foreign_keys(Connection& db, const Table& t) {
  auto references = read_references(db, t);
  if (!references) return tl::unexpected(references.error());
  std::vector<ForeignKey> out;
  for (size_t i = 0; i < references->size();) {
    std::vector<Reference> parts;
    const int64_t id = (*references)[i].id;
    for (; i < references->size() && (*references)[i].id == id; ++i) {
      parts.push_back((*references)[i]);
    }
    const auto parent = read_definition(db, parts.front().parent);
    if (!parent) continue;
    auto fk = foreign_key(t, *parent, parts);
    if (!fk) continue;
    fk->parent = parts.front().parent;
    out.push_back(std::move(*fk));
  }
  return out;
}

// The text that made something; "" for the index of a constraint.
Result<std::string> text_of(Connection& db, const std::string& object) {
  auto q = db.prepare("SELECT sql FROM sqlite_master WHERE name = ?1 COLLATE NOCASE");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{object});
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? std::string(q->bytes(0)) : std::string();
}

// The names that UNIQUE indexes are made of: columns, generated ones among them, and some more.
Result<std::vector<std::string>> names_in_unique(Connection& db, const Table& t) {
  auto q = db.prepare(
      "SELECT l.name, l.partial, x.name FROM pragma_index_list(?1) AS l, "
      "pragma_index_xinfo(l.name) AS x WHERE l.\"unique\" = 1 AND l.origin <> 'pk' AND x.key = 1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{t.def.name});
  std::vector<std::string> names, computing;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    if (!q->is_null(2)) names.emplace_back(q->bytes(2));
    if (q->is_null(2) || q->integer(1) != 0) computing.emplace_back(q->bytes(0));
  }
  if (!row) return tl::unexpected(row.error());
  for (const auto& index : computing) {
    auto text = text_of(db, index);
    if (!text) return tl::unexpected(text.error());
    for (auto& name : names_in_index(words_of(*text))) names.push_back(std::move(name));
  }
  return names;
}

// By the registers that hold them. What a generated column is computed from counts as it does.
Result<std::vector<UniqueColumns>> read_unique(Connection& db, const Table& t) {
  auto names = names_in_unique(db, t);
  if (!names) return tl::unexpected(names.error());
  std::optional<GeneratedColumns> generated;
  std::set<std::string> seen;
  std::map<size_t, UniqueColumns> by_group;
  while (!names->empty()) {
    const std::string name = lower(names->back());
    names->pop_back();
    if (!seen.insert(name).second) continue;
    const auto column = std::find_if(t.columns.begin(), t.columns.end(),
                                     [&](const Column& c) { return lower(c.name) == name; });
    if (column != t.columns.end()) {
      if (column->key_part > 0) continue;
      UniqueColumns& in = by_group[column->group];
      in.group = column->group;
      in.columns.push_back(static_cast<size_t>(column - t.columns.begin()));
      continue;
    }
    if (!generated) {
      auto text = text_of(db, t.def.name);
      if (!text) return tl::unexpected(text.error());
      generated = generated_columns(words_of(*text));
    }
    const auto made = generated->find(name);
    if (made != generated->end())
      names->insert(names->end(), made->second.begin(), made->second.end());
  }
  std::vector<UniqueColumns> out;
  for (auto& [group, in] : by_group) out.push_back(std::move(in));
  return out;
}

// A column of any kind, as SQLite declares it.
struct Declared {
  std::string name;
  bool real = false, computed = false, has_default = false;
  int64_t key_part = 0;
};

Result<std::vector<Declared>> declared_columns(Connection& db, const std::string& table) {
  auto q = db.prepare(
      "SELECT name, type, hidden, dflt_value IS NOT NULL, pk FROM pragma_table_xinfo(?1)");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{table});
  std::vector<Declared> out;
  constexpr int64_t kVirtual = 2;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    out.push_back({std::string(q->bytes(0)), affinity_of(q->bytes(1)) == Affinity::kReal,
                   q->integer(2) == kVirtual, q->integer(3) != 0, q->integer(4)});
  }
  if (!row) return tl::unexpected(row.error());
  return out;
}

// Indices of the columns in the order of a stored row: virtual ones have no place; without a rowid,
// the key's come first.
std::vector<size_t> stored_order(const std::vector<Declared>& all, bool key_first) {
  std::vector<size_t> out;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i].computed) out.push_back(i);
  }
  const auto place = [&](size_t i) { return all[i].key_part > 0 ? all[i].key_part : INT64_MAX; };
  if (key_first) {
    std::stable_sort(out.begin(), out.end(),
                     [&](size_t a, size_t b) { return place(a) < place(b); });
  }
  return out;
}

int place_of(const std::vector<size_t>& order, size_t column) {
  return static_cast<int>(std::find(order.begin(), order.end(), column) - order.begin());
}

std::string read_stored_sql(const Table& t, const std::vector<Declared>& all) {
  std::vector<std::string> names{"1"};
  for (const auto& c : t.columns) names.push_back(quote_name(c.name));
  std::string where;
  if (t.without_rowid || t.rowid_key) where = key_condition(t, 1);
  for (const char* rowid : {"rowid", "_rowid_", "oid"}) {
    const bool taken = std::any_of(all.begin(), all.end(),
                                   [&](const Declared& c) { return lower(c.name) == rowid; });
    if (where.empty() && !taken) where = std::string(rowid) + " = ?1";
  }
  if (where.empty()) return {};
  return "SELECT " + join(names, ", ") + " FROM " + quote_name(t.def.name) + " NOT INDEXED WHERE " +
         where;
}

// What SQLite says of its columns, and what its preupdate hook (3.40) makes of them. The hook
// counts by place in storage, where virtual columns have none; in a table without rowids by the
// table's columns, but not what an UPDATE writes. With a place in a stored row it then asks the
// table's column of that number whether it is REAL, and whether it is the rowid: of what was there
// before in the first case, of all that it shows in the second.
Result<void> read_columns(Connection& db, Table& t) {
  const auto all = declared_columns(db, t.def.name);
  if (!all) return tl::unexpected(all.error());
  const auto stored = stored_order(*all, false), row = stored_order(*all, t.without_rowid);
  for (size_t i = 0; i < all->size(); ++i) {
    const Declared& declared = (*all)[i];
    const auto c = std::find_if(t.columns.begin(), t.columns.end(),
                                [&](const Column& x) { return x.name == declared.name; });
    if (c == t.columns.end()) continue;
    const int place = place_of(row, i);
    c->hook_updated = place_of(stored, i);
    c->hook_index = t.without_rowid ? static_cast<int>(i) : c->hook_updated;
    c->has_default = declared.has_default;
    c->hook_rounds = !declared.real && (*all)[static_cast<size_t>(place)].real;
    t.hook_rounds |= c->hook_rounds;
    t.hook_mistakes |= t.rowid_key && c->key_part > 0 && static_cast<size_t>(place) != i;
  }
  t.read_stored = read_stored_sql(t, *all);
  return {};
}

// The groups that rows of before may never have written, though their version rows name none.
std::vector<std::pair<uint32_t, Applied>> later_groups(const Table& t) {
  std::vector<std::pair<uint32_t, Applied>> out;
  for (size_t g = 1; g < t.layout.groups.size(); ++g) {
    const ColumnDef* oldest = nullptr;
    for (const auto& name : t.layout.groups[g].columns) {
      const ColumnDef* c = t.def.find(name);
      if (oldest == nullptr || c->since < oldest->since) oldest = c;
    }
    const auto birth = std::find_if(t.births.begin(), t.births.end(),
                                    [&](const Birth& b) { return b.column == oldest->id; });
    if (birth != t.births.end()) out.emplace_back(t.group_ids[g], birth->applied);
  }
  return out;
}

// A rowid, which has no default, or a number that SQLite would leave NULL.
bool numbers_key(const Table& t) {
  const Column& first = t.columns[t.key.front()];
  const bool number = first.affinity == Affinity::kInteger || first.affinity == Affinity::kNumeric;
  return t.rowid_key || (t.key.size() == 1 && t.nullable_key && number && !first.has_default);
}

}  // namespace

bool Table::can_have(std::string_view row_key) const {
  if (!key_shape.fits(row_key)) return false;
  const auto tag = static_cast<uint8_t>(row_key.front());
  return !rowid_key || tag == kTagInteger || tag >= kTagSmall;
}

const Column* Table::find(std::string_view column) const {
  const auto it = std::find_if(columns.begin(), columns.end(),
                               [&](const Column& c) { return c.name == column; });
  return it == columns.end() ? nullptr : &*it;
}

const Column* Table::with_id(uint32_t column) const {
  const auto it =
      std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.id == column; });
  return it == columns.end() ? nullptr : &*it;
}

std::vector<std::string> Table::unique_names() const {
  std::vector<std::string> names;
  for (const auto& in : unique) {
    for (const size_t i : in.columns) names.push_back(columns[i].name);
  }
  return names;
}

std::string Table::update_sql(const std::vector<size_t>& which) const {
  return update_sql(which, false);
}

std::string Table::put_sql(const std::vector<size_t>& which) const {
  return update_sql(which, respells);
}

std::string Table::update_sql(const std::vector<size_t>& which, bool spell_key) const {
  std::vector<std::string> parts;
  const auto set = [&](size_t i) {
    parts.push_back(quote_name(columns[i].name) + " = ?" + std::to_string(parts.size() + 1));
  };
  std::for_each(which.begin(), which.end(), set);
  if (spell_key) std::for_each(key.begin(), key.end(), set);
  return "UPDATE OR ABORT " + quote_name(def.name) + " SET " + join(parts, ", ") + " WHERE " +
         key_condition(*this, which.size() + 1);
}

std::string Table::increment_sql(const std::vector<size_t>& which) const {
  std::vector<std::string> parts;
  for (const size_t i : which) {
    const std::string name = quote_name(columns[i].name);
    std::string part = name;
    part.append(" = coalesce(").append(name).append(", 0) + ?");
    parts.push_back(part.append(std::to_string(parts.size() + 1)));
  }
  return "UPDATE OR ABORT " + quote_name(def.name) + " SET " + join(parts, ", ") + " WHERE " +
         key_condition(*this, which.size() + 1);
}

std::string Table::insert_sql(const std::vector<size_t>& which) const {
  return "INSERT OR ABORT" + into_sql(which);
}

std::string Table::replace_sql(const std::vector<size_t>& which) const {
  return "INSERT OR REPLACE" + into_sql(which);
}

std::string Table::into_sql(const std::vector<size_t>& which) const {
  std::vector<std::string> names;
  for (const size_t i : which) names.push_back(quote_name(columns[i].name));
  return " INTO " + quote_name(def.name) + " (" + join(names, ", ") + ") VALUES " +
         marks(which.size());
}

std::string Table::insert_rows_sql(const std::vector<size_t>& which) const {
  constexpr size_t kParametersMax = 32'766;
  if (which.size() * kRowsAtOnce > kParametersMax) return {};
  std::string sql = insert_sql(which);
  for (size_t i = 1; i < kRowsAtOnce; ++i) sql += ", " + marks(which.size());
  return sql;
}

std::string Table::upsert_sql(const std::vector<size_t>& which) const {
  std::vector<std::string> target, sets;
  for (const size_t i : key) {
    const ColumnDef& c = def.columns[i];
    target.push_back(quote_name(c.name) +
                     (rowid_key ? "" : std::string(" COLLATE ") + name_of(c.collation)));
  }
  for (const size_t i : by_name.empty() ? key : by_name) {
    sets.push_back(quote_name(columns[i].name) + " = excluded." + quote_name(columns[i].name));
  }
  return insert_sql(which) + " ON CONFLICT (" + join(target, ", ") + ") DO UPDATE SET " +
         join(sets, ", ");
}

const Table* World::named(std::string_view name) const {
  const auto it = tables.find(lower(name));
  return it == tables.end() ? nullptr : it->second.get();
}

const Table* World::find(std::string_view name) const {
  const Table* t = named(name);
  return t != nullptr && t->retired() ? nullptr : t;
}

const Table* World::heir_of(std::string_view name, uint64_t epoch) const {
  for (const auto& [_, table] : tables) {
    if (table->def.absorbed_one_called(name, epoch)) return table.get();
  }
  return nullptr;
}

const Table* World::find(std::string_view name, uint64_t epoch) const {
  for (const auto& [_, table] : tables) {
    if (table->def.was_called(name, epoch)) return table.get();
  }
  return nullptr;
}

const Table* World::same(const TableDef& def) const {
  for (const auto& [_, table] : tables) {
    if (same_table(table->def, def)) return table.get();
  }
  return nullptr;
}

const Table* World::by_id(int64_t id) const {
  for (const auto& [name, table] : tables) {
    if (table->id == id) return table.get();
  }
  return nullptr;
}

Result<TableDef> read_definition(Connection& db, const std::string& name) {
  const auto shape = read_shape(db, name);
  if (!shape) return tl::unexpected(shape.error());
  if (!shape->ordinary) {
    return fail(Code::kRefused, name + " is not an ordinary table", "not_a_table");
  }
  const auto key = key_index(db, name);
  if (!key) return tl::unexpected(key.error());
  return read_columns(db, name, *shape, *key);
}

// A default is an expression; SQLite takes a name there as text.
Result<void> fill_new_columns(Connection& db, TableDef& def) {
  for (auto& c : def.columns) {
    if (c.since != def.changed) continue;
    auto q = db.prepare("SELECT dflt_value FROM pragma_table_xinfo(?1) WHERE name = ?2");
    if (!q) return tl::unexpected(q.error());
    q->bind_all(Text{def.name}, Text{c.name});
    auto row = q->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row || q->is_null(0)) continue;
    const std::string text(q->bytes(0));
    auto value = db.prepare("SELECT " + text);
    auto found = value ? value->step() : Result<bool>(false);
    c.fill = apply_affinity(c.affinity, found && *found ? value->value(0) : Value(unquoted(text)));
  }
  return {};
}

Error not_replicated(const std::string& table) {
  return {
      Code::kRefused,
      "table " + table +
          " does not replicate, so it is not written here: it was in the file before the "
          "gateway was, and other datacenters cannot have it as it is. Make it anew and copy its "
          "rows",
      "not_replicated"};
}

std::string create_sql(const TableDef& def) {
  std::vector<std::string> parts, keys;
  for (const auto& c : def.columns) {
    if (c.rowid) continue;
    std::string part = quote_name(c.name);
    if (!c.type.empty()) part += " " + c.type;
    if (c.not_null) part += " NOT NULL";
    if (c.collation != Collation::kBinary) part += std::string(" COLLATE ") + name_of(c.collation);
    parts.push_back(std::move(part));
  }
  for (const auto* c : def.key()) keys.push_back(quote_name(c->name));
  if (!def.keyless()) parts.push_back("PRIMARY KEY (" + join(keys, ", ") + ")");
  return "CREATE TABLE " + quote_name(def.name) + " (" + join(parts, ", ") + ")";
}

Result<std::shared_ptr<const Table>> make_table(Connection& db, int64_t id, const TableDef& def,
                                                std::vector<Birth> births,
                                                const ConflictRules& rules) {
  const auto shape = read_shape(db, def.name);
  if (!shape) return tl::unexpected(shape.error());
  const auto key = key_index(db, def.name);
  if (!key) return tl::unexpected(key.error());
  auto t = std::make_shared<Table>();
  t->id = id;
  t->def = def;
  t->key_shape = KeyShape(def);
  // A retired table keeps the rules of the name that it had.
  t->rules = rules.of(is_retired(def) ? def.former.back().name : def.name);
  t->layout = Layout(def, t->rules);
  t->without_rowid = shape->without_rowid;
  t->rowid_key = !shape->without_rowid && key->parts.empty();
  for (const auto& c : def.columns) {
    Column column{c.name, c.id, 0, 0, c.rowid, false, false, c.affinity, c.key_part, 0};
    const std::string& group = t->layout.group_of(c.name).name;
    for (size_t g = 0; g < t->layout.groups.size() && c.key_part == 0; ++g) {
      if (t->layout.groups[g].name == group) column.group = g;
    }
    if (c.key_part > 0) {
      t->nullable_key |= !t->rowid_key && !shape->without_rowid && !c.not_null;
      t->respells |=
          !t->rowid_key && (c.collation != Collation::kBinary || c.affinity == Affinity::kBlob);
    } else {
      t->by_name.push_back(t->columns.size());
    }
    t->columns.push_back(std::move(column));
  }
  for (const auto* c : def.key()) {
    t->key.push_back(static_cast<size_t>(c - def.columns.data()));
  }
  std::sort(t->by_name.begin(), t->by_name.end(),
            [&](size_t a, size_t b) { return t->columns[a].name < t->columns[b].name; });
  for (const auto& g : t->layout.groups) {
    t->group_ids.push_back(group_id(*t, g));
    const bool more = !g.columns.empty() && (g.policy.commutes() || g.policy.wants_base());
    t->keeps_more.push_back(more);
    t->any_keeps_more |= more;
  }
  t->births = std::move(births);
  t->later_groups = later_groups(*t);
  ByteWriter full;
  full.string(def.name);
  for (const size_t i : t->by_name) full.string(t->columns[i].name);
  t->full_shape = full.take();
  if (auto done = read_columns(db, *t); !done) {
    return tl::unexpected(done.error());
  }
  t->numbers_key = numbers_key(*t);
  write_sql(*t);
  auto unique = read_unique(db, *t);
  if (!unique) return tl::unexpected(unique.error());
  t->unique = std::move(*unique);
  auto references = t->retired() ? Result<std::vector<ForeignKey>>() : read_foreign_keys(db, *t);
  if (!references) return tl::unexpected(references.error());
  t->foreign_keys = std::move(*references);
  t->refers_to_itself =
      std::any_of(t->foreign_keys.begin(), t->foreign_keys.end(),
                  [&](const ForeignKey& fk) { return lower(fk.parent) == lower(def.name); });
  return t;
}

std::string create_versions_sql(const Table& t) {
  const std::string name = "_entente_v_" + std::to_string(t.id);
  constexpr const char* kVersion =
      "o INTEGER NOT NULL, s INTEGER NOT NULL, h INTEGER NOT NULL, x BLOB";
  if (t.rowid_key) {
    return "CREATE TABLE " + name + " (k INTEGER PRIMARY KEY, " + kVersion + ")";
  }
  std::vector<std::string> columns, keys;
  for (const size_t i : t.key) {
    const ColumnDef& c = t.def.columns[i];
    keys.push_back("k" + std::to_string(keys.size() + 1));
    columns.push_back(keys.back() + " " + name_of(c.affinity) + " COLLATE " + name_of(c.collation));
  }
  return "CREATE TABLE " + name + " (" + join(columns, ", ") + ", " + kVersion + ", PRIMARY KEY (" +
         join(keys, ", ") + ")) WITHOUT ROWID";
}

std::string plain_table_sql(const Table& t, const std::string& name) {
  TableDef def = t.def;
  def.name = name;
  for (auto& c : def.columns) {
    if (c.type == "ANY") c.type = "BLOB";                     // of a STRICT table: kept as it is
    if (c.type == "INTEGER" && !t.rowid_key) c.type = "INT";  // "INTEGER PRIMARY KEY DESC"
  }
  return create_sql(def) + (t.without_rowid ? " WITHOUT ROWID" : "");
}

}  // namespace entente::sqlite
