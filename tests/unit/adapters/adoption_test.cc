#include "adapters/sqlite/adoption.h"

#include <sqlite3.h>

#include <fstream>

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
  EXPECT_NE(adopted->tables[0].why_not.find("primary key"), std::string::npos);
  EXPECT_EQ(adopted->tables[1].rows, 3u);
  EXPECT_EQ(adopted->tables[2].rows, 3u);
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  settle(a, b);
  for (const char* table : {"orders", "tags"}) expect_same(a, b, table);
  EXPECT_EQ(b.query("SELECT twice FROM dear"), (std::vector<std::vector<Value>>{{25.0}}));
  EXPECT_EQ(b.query("SELECT count(*) FROM sqlite_master WHERE name = 'by_what'")[0][0],
            Value(int64_t{1}));
  b.must("UPDATE orders SET price = 4 WHERE id = 7");
  a.must("UPDATE orders SET what = 'green tea' WHERE id = 7");
  b.must("INSERT INTO orders (what) VALUES ('milk')");
  a.must("ALTER TABLE orders ADD COLUMN paid DEFAULT 0");
  settle(a, b);
  for (const char* table : {"orders", "tags"}) expect_same(a, b, table);
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
  for (const char* table : {"orders", "tags"}) expect_same(a, b, table);
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
  EXPECT_EQ(a.tag("INSERT INTO keyless VALUES (2)"), "no_primary_key");
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

}  // namespace
}  // namespace entente::test
