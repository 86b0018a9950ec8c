#include "adapters/sqlite/adoption.h"

#include <sqlite3.h>

#include <fstream>
#include <map>

#include "tests/unit/adapters/sql_site.h"

namespace entente::test {
namespace {

class AdoptionTest : public ::testing::Test {
 protected:
  void make(const char* name, const std::string& sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((folder / name).c_str(), &raw), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(raw);
  }
  static DatabaseOptions options(uint8_t n) {
    DatabaseOptions out;
    out.dc = "dc" + std::to_string(n);
    out.fresh_origin = origin_of(n);
    out.key_slot = n;
    out.schema_leader = n == 1;
    out.schema_leader_name = "dc1";
    out.wall_ms = 1'700'000'000'000;
    return out;
  }
  Result<Adoption> adopt(const char* source, const char* destination, uint8_t n) {
    return adopt_sqlite(folder / source, folder / destination, options(n));
  }

  const std::string shop =
      "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT COLLATE NOCASE, price "
      "REAL, twice AS (price * 2));"
      "CREATE TABLE tags (order_id INTEGER REFERENCES orders, tag TEXT, PRIMARY KEY (order_id, "
      "tag)) WITHOUT ROWID;"
      "CREATE INDEX by_what ON orders (what);"
      "CREATE VIEW dear AS SELECT * FROM orders WHERE price > 10;"
      "CREATE TRIGGER tagged AFTER INSERT ON orders BEGIN INSERT INTO tags VALUES (NEW.id, 'new'); "
      "END;"
      "INSERT INTO orders (id, what, price) VALUES (7, 'tea', 3), (8, 'Cake', 12.5), (900, NULL, "
      "NULL);"
      "CREATE TABLE keyless (v);"
      "INSERT INTO keyless VALUES (1);";
  Folder folder;
};

TEST_F(AdoptionTest, OtherDatacentersStartFromIt) {
  make("shop.db", shop);
  const auto adopted = adopt("shop.db", "a.db", 1);
  ASSERT_TRUE(adopted) << adopted.error().text;
  ASSERT_EQ(adopted->tables.size(), 3u);
  EXPECT_EQ(adopted->tables[0].rows, 1u);
  EXPECT_EQ(adopted->tables[1].rows, 3u);
  EXPECT_EQ(adopted->tables[2].rows, 3u);
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  for (const char* table : {"orders", "tags", "keyless"}) expect_same(a, b, table);
  EXPECT_EQ(b.query("SELECT twice FROM dear"), (std::vector<std::vector<Value>>{{25.0}}));
  EXPECT_EQ(b.query("SELECT count(*) FROM sqlite_master WHERE name = 'by_what'")[0][0],
            Value(int64_t{1}));
  b.must("UPDATE orders SET price = 4 WHERE id = 7");
  a.must("UPDATE orders SET what = 'green tea' WHERE id = 7");
  b.must("INSERT INTO orders (what) VALUES ('milk')");
  a.must("ALTER TABLE orders ADD COLUMN paid DEFAULT 0");
  settle(a, b);
  for (const char* table : {"orders", "tags", "keyless"}) expect_same(a, b, table);
  EXPECT_EQ(b.count("orders"), 4);
  EXPECT_EQ(b.query("SELECT what, price, paid FROM orders WHERE id = 7")[0],
            (std::vector<Value>{std::string("green tea"), 4.0, int64_t{0}}));
  EXPECT_EQ(a.reader->conflicts({})->size(), 0u);
}

TEST_F(AdoptionTest, IdenticalCopiesDoNotConflictWithThemselves) {
  make("shop.db", shop);
  const auto one = adopt("shop.db", "a.db", 1), two = adopt("shop.db", "b.db", 2);
  ASSERT_TRUE(one && two) << two.error().text;
  EXPECT_EQ(one->origin, two->origin);
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  const auto before = a.db->state().streams.at(one->origin);
  a.must("UPDATE orders SET price = 4 WHERE id = 7");
  b.must("DELETE FROM tags WHERE order_id = 900");
  settle(a, b);
  for (const char* table : {"orders", "tags", "keyless"}) expect_same(a, b, table);
  EXPECT_EQ(a.db->state().streams.at(one->origin).chain, before.chain);
  EXPECT_EQ(a.db->state().labels.at(one->origin), "dc1");
  EXPECT_EQ(a.reader->conflicts({})->size() + b.reader->conflicts({})->size(), 0u);
}

TEST_F(AdoptionTest, AWriteWithoutHavingSeenTheRowsMeetsTheSameEverywhere) {
  ConflictRules rules;
  rules.defaults.granularity = Granularity::kRow;
  rules.defaults.policy.kind = PolicyKind::kSiblings;
  rules.defaults.policy.run = RunWhen::kRead;
  make("shop.db", "CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'old')");
  auto ruled = options(1);
  ruled.rules = rules;
  ASSERT_TRUE(adopt_sqlite(folder / "shop.db", folder / "a.db", ruled));
  make("other.db", "CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'other')");
  ruled = options(2);
  ruled.rules = rules;
  ASSERT_TRUE(adopt_sqlite(folder / "other.db", folder / "b.db", ruled));
  Site a(folder / "a.db", 1, rules), b(folder / "b.db", 2, rules);
  settle(a, b);
  expect_same(a, b, "t");
  const auto open = a.reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 10});
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().losers.size(), 1u);
}

TEST_F(AdoptionTest, TheSourceStaysAsItIsAndRowsKeepTheirPlaces) {
  make("shop.db", shop);
  const auto size = std::filesystem::file_size(folder / "shop.db");
  ASSERT_TRUE(adopt("shop.db", "a.db", 1));
  EXPECT_EQ(std::filesystem::file_size(folder / "shop.db"), size);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.db.adopting"));
  Site a(folder / "a.db", 1);
  EXPECT_EQ(a.query("SELECT rowid FROM orders ORDER BY rowid LIMIT 1")[0][0], Value(int64_t{7}));
  EXPECT_EQ(a.query("SELECT rowid FROM keyless")[0][0], Value(int64_t{1}));
}

TEST_F(AdoptionTest, WhatCannotBeAdoptedIsRefusedAndLeavesNothing) {
  make("shop.db", shop);
  EXPECT_EQ(adopt("none.db", "a.db", 1).error().tag, "no_file");
  ASSERT_TRUE(adopt("shop.db", "a.db", 1));
  EXPECT_EQ(adopt("shop.db", "a.db", 1).error().tag, "database_exists");
  EXPECT_EQ(adopt("a.db", "b.db", 1).error().tag, "adopted");
  std::ofstream(folder / "text.db") << "this is no database, whatever its name says of it";
  EXPECT_FALSE(adopt("text.db", "b.db", 1));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.db"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.db.adopting"));
}

TEST_F(AdoptionTest, RowsWithoutAKeyAreTheSameRowsWhoeverAdoptsThem) {
  make("shop.db", shop + "INSERT INTO keyless VALUES (2), (2)");
  ASSERT_TRUE(adopt("shop.db", "a.db", 1));
  ASSERT_TRUE(adopt("shop.db", "b.db", 2));
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("UPDATE keyless SET v = 7 WHERE v = 1");
  b.must("DELETE FROM keyless WHERE v = 2");
  b.must("INSERT INTO keyless VALUES (3)");
  settle(a, b);
  expect_same(a, b, "keyless");
  EXPECT_EQ(a.query("SELECT v FROM keyless ORDER BY v"),
            (std::vector<std::vector<Value>>{{int64_t{3}}, {int64_t{7}}}));
}

TEST_F(AdoptionTest, TriggersNumberRowsSoThatSitesDoNotMeet) {
  make("shop.db",
       "CREATE TABLE orders (id INTEGER PRIMARY KEY, v); INSERT INTO orders VALUES (1, 0);"
       "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
       "CREATE TABLE log (v);"
       "CREATE TRIGGER told AFTER UPDATE ON orders BEGIN INSERT INTO audit (v) VALUES (NEW.v); "
       "INSERT INTO log VALUES (NEW.v); END");
  ASSERT_TRUE(adopt("shop.db", "a.db", 1));
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  a.must("UPDATE orders SET v = 1");
  b.must("UPDATE orders SET v = 2");
  settle(a, b);
  for (const char* table : {"audit", "log"}) {
    expect_same(a, b, table);
    EXPECT_EQ(a.count(table), 2) << table;
  }
}

TEST_F(AdoptionTest, JsonFunctionsInASchemaWorkEverywhere) {
  make("shop.db",
       "CREATE TABLE chk (id INTEGER PRIMARY KEY, d TEXT CHECK (json_valid(d)));"
       "INSERT INTO chk VALUES (1, '{}');"
       "CREATE TABLE gen (id INTEGER PRIMARY KEY, d, name AS (d ->> '$.name') STORED);"
       "INSERT INTO gen (id, d) VALUES (1, '{\"name\":\"n\"}');"
       "CREATE UNIQUE INDEX by_k ON chk (json_extract(d, '$.k'));"
       "CREATE VIEW names AS SELECT json_extract(d, '$.name') AS name FROM gen;"
       "CREATE VIEW parts AS SELECT gen.id, e.value FROM gen, json_each(gen.d) AS e;"
       "CREATE TABLE def (id INTEGER PRIMARY KEY, d NOT NULL DEFAULT (json_array()));"
       "CREATE TRIGGER told AFTER UPDATE ON chk BEGIN INSERT INTO def (id, d) VALUES (NEW.id, "
       "json_object('was', OLD.d)); END;");
  const auto adopted = adopt("shop.db", "a.db", 1);
  ASSERT_TRUE(adopted) << adopted.error().text;
  for (const auto& table : adopted->tables) EXPECT_EQ(table.why_not, "") << table.name;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  b.must("INSERT INTO chk VALUES (2, '{\"k\":2}')");
  EXPECT_EQ(b.tag("INSERT INTO chk VALUES (3, '{')"), "SQLITE_CONSTRAINT");
  EXPECT_EQ(b.tag("INSERT INTO chk VALUES (3, '{\"k\":2}')"), "SQLITE_CONSTRAINT");
  b.must("UPDATE chk SET d = '[]' WHERE id = 1");
  b.must("INSERT INTO def (id) VALUES (9)");
  settle(a, b);
  for (const char* table : {"chk", "gen", "def"}) expect_same(a, b, table);
  EXPECT_EQ(a.query("SELECT d FROM def WHERE id = 1")[0][0],
            Value(std::string("{\"was\":\"{}\"}")));
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(site->query("SELECT name FROM names")[0][0], Value(std::string("n")));
    EXPECT_EQ(site->query("SELECT value FROM parts")[0][0], Value(std::string("n")));
  }
}

// A table whose trigger fills what does not replicate could be written nowhere else.
TEST_F(AdoptionTest, SearchIndexesAreLeftOutWithAllThatNeedsThem) {
  make("shop.db",
       "CREATE TABLE doc (id INTEGER PRIMARY KEY, body); INSERT INTO doc VALUES (1, 'tea');"
       "CREATE VIRTUAL TABLE doc_fts USING fts5 (body, content='doc', content_rowid='id');"
       "CREATE TRIGGER doc_ai AFTER INSERT ON doc BEGIN INSERT INTO doc_fts (rowid, body) VALUES "
       "(NEW.id, NEW.body); END;"
       "CREATE VIEW found AS SELECT * FROM doc_fts; CREATE VIEW again AS SELECT * FROM found;");
  const auto adopted = adopt("shop.db", "a.db", 1);
  ASSERT_TRUE(adopted) << adopted.error().text;
  ASSERT_EQ(adopted->tables.size(), 2u);
  EXPECT_EQ(adopted->tables[0].name, "doc_fts");
  for (const char* part : {"fts5", "doc_ai", "found", "again", "LIKE"}) {
    EXPECT_NE(adopted->tables[0].why_not.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(adopted->tables[1].why_not, "");
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  a.must("INSERT INTO doc VALUES (2, 'cake')");
  b.must("INSERT INTO doc VALUES (3, 'milk')");
  settle(a, b);
  expect_same(a, b, "doc");
  EXPECT_EQ(a.count("doc"), 3);
  EXPECT_EQ(a.query("SELECT name FROM sqlite_master WHERE name LIKE 'doc\\__%' ESCAPE '\\'").size(),
            0u);
  EXPECT_TRUE(a.db->left_out().empty() && b.db->left_out().empty());
}

TEST_F(AdoptionTest, WhatNeedsATableThatDoesNotReplicateIsLeftOut) {
  make("shop.db",
       "CREATE TABLE odd (id INTEGER PRIMARY KEY, \"*\"); CREATE TABLE t (id INTEGER PRIMARY KEY, "
       "v);"
       "CREATE TABLE child (id INTEGER PRIMARY KEY, up REFERENCES odd (id));"
       "CREATE TRIGGER told AFTER INSERT ON t BEGIN INSERT INTO odd (id) VALUES (NEW.id); END;"
       "CREATE TRIGGER own AFTER INSERT ON t BEGIN UPDATE t SET v = 1 WHERE id = NEW.id; END;");
  const auto adopted = adopt("shop.db", "a.db", 1);
  ASSERT_TRUE(adopted) << adopted.error().text;
  std::map<std::string, std::string> why;
  for (const auto& table : adopted->tables) why[table.name] = table.why_not;
  EXPECT_NE(why["odd"].find("trigger told"), std::string::npos) << why["odd"];
  EXPECT_NE(why["child"].find("refers to table odd"), std::string::npos) << why["child"];
  EXPECT_EQ(why["t"], "");
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  a.must("INSERT INTO t VALUES (1, 0)");
  b.must("INSERT INTO t VALUES (2, 0)");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.query("SELECT sum(v) FROM t")[0][0], Value(int64_t{2}));
  EXPECT_EQ(a.tag("INSERT INTO child VALUES (1, NULL)"), "not_replicated");
}

TEST_F(AdoptionTest, TheVersionOfTheSchemaTravels) {
  make("shop.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v); PRAGMA user_version = 42");
  ASSERT_TRUE(adopt("shop.db", "a.db", 1));
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  EXPECT_EQ(b.query("PRAGMA user_version")[0][0], Value(int64_t{42}));
  a.must("PRAGMA user_version = 43");
  EXPECT_EQ(b.tag("PRAGMA user_version = 44"), "schema_leader");
  settle(a, b);
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(site->query("PRAGMA main.user_version")[0][0], Value(int64_t{43}));
  }
}

}  // namespace
}  // namespace entente::test
