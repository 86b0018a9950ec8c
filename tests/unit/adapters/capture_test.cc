// Tables of every shape that SQLite's preupdate hook has its own view of, and every kind of
// statement: what a transaction's record says is the difference of the table before and after, and
// applied elsewhere it makes the same table.

#include "adapters/sqlite/capture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;
using Rng = std::mt19937_64;

size_t below(Rng& rng, size_t n) { return rng() % n; }
template <class T>
T one_of(Rng& rng, const std::vector<T>& list) {
  return list[below(rng, list.size())];
}

struct ShapeColumn {
  std::string name, type;
  bool key = false, generated = false;
};

// One table, and statements for it.
struct Shape {
  std::vector<ShapeColumn> columns;
  std::string sql;
  bool rowid_key = false;

  std::vector<std::string> names(bool keys, bool values) const {
    std::vector<std::string> out;
    for (const auto& c : columns) {
      if (!c.generated && (c.key ? keys : values)) out.push_back(c.name);
    }
    return out;
  }
};

std::string joined(const std::vector<std::string>& parts, const std::string& separator = ", ") {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : separator) + part;
  return out;
}

std::string literal(Rng& rng, const std::string& type, bool key) {
  static const std::vector<std::string> kIntegers = {"0", "1", "2", "3", "-7", "9007199254740993"};
  static const std::vector<std::string> kReals = {"0.5", "1.0", "2.0", "1e300"};
  static const std::vector<std::string> kTexts = {"'a'", "'b'", "'1'", "'1.0'", "''"};
  if (!key && below(rng, 6) == 0) return "NULL";
  if (type == "INTEGER") return one_of(rng, kIntegers);
  if (type == "REAL") return one_of(rng, kReals);
  if (type == "TEXT") return one_of(rng, kTexts);
  return one_of(rng, one_of(rng, std::vector{kIntegers, kReals, kTexts}));
}

Shape random_shape(Rng& rng) {
  Shape shape;
  const bool strict = below(rng, 4) == 0;
  const std::vector<std::string> types = {"INTEGER", "REAL", "TEXT", strict ? "ANY" : ""};
  shape.rowid_key = below(rng, 3) == 0;
  const size_t keys = shape.rowid_key ? 1 : 1 + below(rng, 2);
  std::vector<std::string> constraints, key_names;
  for (size_t i = 0; i < keys; ++i) {
    key_names.push_back("k" + std::to_string(i));
    shape.columns.push_back(
        {key_names.back(), shape.rowid_key ? "INTEGER" : one_of(rng, types), true});
  }
  for (size_t i = 0; i <= below(rng, 4); ++i) {
    shape.columns.push_back({"v" + std::to_string(i), one_of(rng, types)});
  }
  for (size_t i = 0; i < below(rng, 4); ++i) {
    shape.columns.push_back({"g" + std::to_string(i),
                             one_of(rng, std::vector<std::string>{"INTEGER", "REAL"}), false,
                             true});
  }
  std::shuffle(shape.columns.begin(), shape.columns.end(), rng);
  std::shuffle(key_names.begin(), key_names.end(), rng);
  for (const auto& c : shape.columns) {
    std::string part = c.name + " " + c.type;
    if (c.generated) {
      part += " AS (length(v0) + 1) " + std::string(below(rng, 3) == 0 ? "STORED" : "VIRTUAL");
    }
    if (c.key && !shape.rowid_key) part += " NOT NULL";
    constraints.push_back(part);
  }
  constraints.push_back("PRIMARY KEY (" + joined(key_names) + ")");
  const bool without = !shape.rowid_key && below(rng, 2) == 0;
  shape.sql = "CREATE TABLE t (" + joined(constraints) + ")";
  if (without) shape.sql += " WITHOUT ROWID";
  if (strict) shape.sql += without ? ", STRICT" : " STRICT";
  return shape;
}

std::string random_values(const Shape& shape, Rng& rng) {
  std::vector<std::string> values;
  for (const auto& c : shape.columns) {
    if (!c.generated) values.push_back(literal(rng, c.type, c.key));
  }
  return "(" + joined(values) + ")";
}

std::string random_statement(const Shape& shape, Rng& rng) {
  const auto names = joined(shape.names(true, true));
  const auto keys = shape.names(true, false), values = shape.names(false, true);
  const auto find = [&](const std::string& name) {
    return *std::find_if(shape.columns.begin(), shape.columns.end(),
                         [&](const auto& c) { return c.name == name; });
  };
  const auto set = [&](const std::string& name) {
    const ShapeColumn c = find(name);
    return name + " = " + literal(rng, c.type, c.key);
  };
  const std::string some = one_of(
      rng, std::vector<std::string>{"", " WHERE " + set(one_of(rng, keys)),
                                    " WHERE " + set(one_of(rng, values)), " WHERE length(v0) < 2"});
  const auto rows = [&] { return random_values(shape, rng) + ", " + random_values(shape, rng); };
  switch (below(rng, 9)) {
    case 0:
      return "INSERT INTO t (" + names + ") VALUES " + random_values(shape, rng);
    case 1:
      return "INSERT OR REPLACE INTO t (" + names + ") VALUES " + rows();
    case 2:
      return "INSERT OR IGNORE INTO t (" + names + ") VALUES " + rows();
    case 3: {
      const auto v = one_of(rng, values);
      return "INSERT INTO t (" + names + ") VALUES " + random_values(shape, rng) +
             " ON CONFLICT DO UPDATE SET " + v + " = excluded." + v;
    }
    case 4:
      return "UPDATE t SET " + set(one_of(rng, keys)) + some;
    case 5:
      return "UPDATE OR REPLACE t SET " + set(one_of(rng, keys)) + ", " + set(one_of(rng, values)) +
             some;
    case 6: {
      const auto v = one_of(rng, values);
      return "UPDATE t SET " + v + " = s.x FROM (SELECT " + literal(rng, find(v).type, false) +
             " AS x) AS s" + some;
    }
    case 7:
      return below(rng, 3) == 0 ? "DELETE FROM t" + some
                                : "DELETE FROM t WHERE " + set(one_of(rng, keys));
    default:
      return "UPDATE t SET " + set(one_of(rng, values)) + some;
  }
}

class CaptureSweep : public ::testing::Test {
 protected:
  using Table = std::map<Key, Row>;

  Table table(Site& site) const {
    Table out;
    const auto def = *site.reader->find_table("t");
    const auto names = shape_.names(true, true);
    for (auto& values : site.query("SELECT " + joined(names) + " FROM t")) {
      Row row;
      for (size_t i = 0; i < names.size(); ++i) row.emplace(names[i], values[i]);
      std::vector<Value> parts;
      for (const auto* c : def->key()) parts.push_back(row.find(c->name)->second);
      out.emplace(*canonical_key(*def, parts), std::move(row));
    }
    return out;
  }

  // What one put or erase must say.
  RowChange expected(const Key& key, const Row* before, const Row* after) const {
    RowChange change{"t", key, after == nullptr, before == nullptr, {}, {}, {}, {}};
    for (const auto& name : shape_.names(false, true)) {
      const Value was = before != nullptr ? before->find(name)->second : Value{};
      if (after == nullptr) {
        change.old.emplace(name, was);
      } else if (before == nullptr || after->find(name)->second != was) {
        change.columns.emplace(name, after->find(name)->second);
        if (before != nullptr) change.old.emplace(name, was);
      }
    }
    return change;
  }

  static std::string describe(const RowChange& c) {
    std::string out = c.erase ? "erase" : c.inserted ? "insert" : "put";
    for (const auto& [name, v] : c.columns) out += " " + name + "=" + entente::describe(v);
    for (const auto& [name, v] : c.old) out += " " + name + " was " + entente::describe(v);
    return out;
  }

  std::map<Key, std::string> difference(const Table& before, const Table& after) const {
    std::map<Key, std::string> out;
    for (const auto& [key, row] : before) {
      const auto now = after.find(key);
      const Row* then = now != after.end() ? &now->second : nullptr;
      if (then == nullptr || *then != row) out[key] = describe(expected(key, &row, then));
    }
    for (const auto& [key, row] : after) {
      if (!before.contains(key)) out[key] = describe(expected(key, nullptr, &row));
    }
    return out;
  }

  std::map<Key, std::string> recorded(Site& site, const StreamState& before) const {
    std::map<Key, std::string> out;
    const auto chunks = site.db->read_log(0, SIZE_MAX);
    EXPECT_TRUE(chunks);
    if (!chunks || site.seq() == before.seq) return out;
    const auto run = slice_after(chunks->back().run, before.seq);
    EXPECT_TRUE(run) << run.error().text;
    if (!run) return out;
    ByteReader in(run->records);
    const auto transaction = decode_record(site.db->state().self, in.string(), before);
    EXPECT_TRUE(transaction) << transaction.error().text;
    if (!transaction) return out;
    for (const auto& change : transaction->changes) {
      RowChange row = std::get<RowChange>(change);
      for (const auto& name : shape_.names(true, false))
        row.columns.erase(name), row.old.erase(name);
      out[row.key] = describe(row);
    }
    return out;
  }

  void step(Site& a, Site& b, const std::string& sql) {
    const Table before = table(a);
    const StreamState stream = a.db->state().streams.at(a.db->state().self);
    const auto done = a.run(sql);
    const Table after = table(a);
    if (!done) {
      EXPECT_EQ(before, after) << sql;
      refused_ += done.error().tag == "key_rounded";
      return;
    }
    EXPECT_EQ(recorded(a, stream), difference(before, after)) << sql;
    ship(a, b);
    EXPECT_EQ(table(b), after) << sql;
  }

  void sweep(uint64_t seed) {
    Rng rng(seed);
    shape_ = random_shape(rng);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + shape_.sql);
    const Folder folder;
    ConflictRules rules;
    rules.defaults.old_values = true;
    Site a(folder / "a.db", 1, rules), b(folder / "b.db", 2, rules);
    a.must(shape_.sql);
    a.run("CREATE TABLE other (id INTEGER PRIMARY KEY, v)");
    ship(a, b);
    for (int i = 0; i < 6; ++i) step(a, b, random_statement(shape_, rng));
    if (below(rng, 2) == 0) {
      const std::string type = one_of(rng, std::vector<std::string>{"INTEGER", "REAL", "TEXT"});
      const std::string added = "ALTER TABLE t ADD COLUMN v9 " + type + " DEFAULT " +
                                literal(rng, type, below(rng, 3) > 0);
      SCOPED_TRACE(added);
      a.must(added);
      ship(a, b);
      shape_.columns.push_back({"v9", type});
      for (int i = 0; i < 6; ++i) step(a, b, random_statement(shape_, rng));
    }
    const auto v = one_of(rng, shape_.names(false, true));
    a.must("CREATE TRIGGER deep AFTER UPDATE ON t BEGIN UPDATE t SET " + v + " = NULL WHERE v0 = " +
           "new.v0; INSERT OR REPLACE INTO other VALUES (1, new." + v + "); END");
    a.must("CREATE TRIGGER gone AFTER DELETE ON t BEGIN UPDATE t SET " + v + " = old." + v +
           "; END");
    for (int i = 0; i < 6; ++i) step_with_triggers(a, b, random_statement(shape_, rng));
  }

  // Other tables change, too: the record is not compared, the table is.
  void step_with_triggers(Site& a, Site& b, const std::string& sql) {
    if (!a.run(sql)) return;
    ship(a, b);
    EXPECT_EQ(table(b), table(a)) << sql;
  }

  Shape shape_;
  int refused_ = 0;
};

TEST_F(CaptureSweep, RecordsAreWhatChangedWhateverTheTableIsLike) {
  const char* wanted = std::getenv("ENTENTE_CAPTURE_SEEDS");
  const uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 60;
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) sweep(seed);
}

// A cascade writes the child as a statement would.
TEST_F(CaptureSweep, CascadesAreCapturedBehindVirtualColumns) {
  const Folder folder;
  ConflictRules rules;
  rules.defaults.old_values = true;
  Site a(folder / "a.db", 1, rules), b(folder / "b.db", 2, rules);
  a.must("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  a.must(
      "CREATE TABLE t (g AS (v0 || '!'), r REAL, k0 TEXT NOT NULL PRIMARY KEY, p INTEGER "
      "REFERENCES "
      "parent ON UPDATE CASCADE ON DELETE SET NULL, h AS (p + 1), v0) WITHOUT ROWID");
  shape_.columns = {{"r", "REAL"}, {"k0", "TEXT", true}, {"p", "INTEGER"}, {"v0", ""}};
  a.must("INSERT INTO parent VALUES (1), (2)");
  a.must("INSERT INTO t VALUES (1, 'a', 1, 'x'), (2.5, 'b', 2, 'y')");
  ship(a, b);
  for (const char* sql :
       {"UPDATE parent SET id = 3 WHERE id = 1", "DELETE FROM parent WHERE id = 2"}) {
    a.must(sql);
    ship(a, b);
    EXPECT_EQ(table(a), table(b)) << sql;
  }
}

// SQLite rounds such a key before it shows it: two rows could have it.
TEST_F(CaptureSweep, RowsWhoseKeyTheHookRoundsAreRefusedRatherThanTakenForOthers) {
  const Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (r REAL, id INTEGER, PRIMARY KEY (id)) WITHOUT ROWID");
  a.must("INSERT INTO t VALUES (1, 9007199254740993), (2, 7)");
  EXPECT_EQ(a.tag("DELETE FROM t WHERE id = 9007199254740993"), "key_rounded");
  a.must("UPDATE t SET r = 3 WHERE id = 7");
  a.must("DELETE FROM t WHERE id = 7");
  EXPECT_EQ(a.count("t"), 1);
}

}  // namespace
}  // namespace entente
