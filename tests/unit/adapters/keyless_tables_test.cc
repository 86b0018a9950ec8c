#include <gtest/gtest.h>

#include "tests/unit/adapters/sql_site.h"

// Tables without a primary key. Invariant: each row has one key that no other row of any datacenter
// has, the same everywhere, whatever its columns say; and of rows that are equal where a UNIQUE
// index lets only one be, users meet one.

namespace entente::test {
namespace {

using Rows = std::vector<std::vector<Value>>;

constexpr const char* kLinks = "CREATE TABLE \"_AToB\" (\"A\" TEXT NOT NULL, \"B\" TEXT NOT NULL)";
constexpr const char* kOnce = "CREATE UNIQUE INDEX \"_AToB_AB_unique\" ON \"_AToB\" (\"A\", \"B\")";

class KeylessTables : public ::testing::Test {
 protected:
  KeylessTables() : a(folder / "a.db", 1), b(folder / "b.db", 2) {}

  size_t open_conflicts(Site& site) {
    const auto open = site.reader->conflicts({ConflictQuery::State::kOpen, "", {}, 0, 100});
    return open ? open->size() : SIZE_MAX;
  }

  Folder folder;
  Site a, b;
};

TEST_F(KeylessTables, ReplicateWhateverIsDoneToThem) {
  a.must("CREATE TABLE log (what, n INTEGER, twice AS (n * 2), at REAL DEFAULT 1.5)");
  ship(a, b);
  a.must("INSERT INTO log VALUES ('a', 1, 2)");
  b.must("INSERT INTO log (n) VALUES (2), (2)");
  b.must("INSERT INTO log DEFAULT VALUES");
  a.must("INSERT INTO log (what, n) SELECT 'copied', n FROM log");
  settle(a, b);
  expect_same(a, b, "log");
  EXPECT_EQ(a.count("log"), 5);
  b.must("UPDATE log SET what = 'b' WHERE n = 1");
  b.must("DELETE FROM log WHERE n IS NULL");
  a.must("UPDATE log SET rowid = 77 WHERE what = 'a'");
  settle(a, b);
  expect_same(a, b, "log");
  a.must("INSERT INTO log (rowid, what) VALUES (5, 'named'), (NULL, 'numbered')");
  a.must("REPLACE INTO log (rowid, what) VALUES (5, 'named again')");
  settle(a, b);
  expect_same(a, b, "log");
  EXPECT_EQ(b.query("SELECT what FROM log WHERE rowid = 5"), (Rows{{std::string("named again")}}));
}

TEST_F(KeylessTables, TellTheRowTheyMade) {
  a.must("CREATE TABLE t (v)");
  const auto made = a.run("INSERT INTO t VALUES (1), (2) RETURNING rowid, v");
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(Value(*made->last_insert_rowid), made->rows[1][0]);
  EXPECT_EQ(a.query("SELECT count(*) FROM t WHERE rowid = " +
                    std::to_string(*made->last_insert_rowid))[0][0],
            Value(int64_t{1}));
}

TEST_F(KeylessTables, RowsOfTwoDatacentersAreTwo) {
  a.must("CREATE TABLE t (v)");
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO t VALUES ('same')");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.count("t"), 2);
  a.must("DELETE FROM t WHERE rowid = (SELECT min(rowid) FROM t)");
  settle(a, b);
  EXPECT_EQ(b.count("t"), 1);
}

TEST_F(KeylessTables, ColumnsThatAreCalledLikeTheRowidAreColumns) {
  a.must("CREATE TABLE t (rowid TEXT, _rowid_ TEXT)");
  ship(a, b);
  a.must("INSERT INTO t VALUES ('x', 'y')");
  b.must("INSERT INTO t (rowid) VALUES ('x')");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.query("SELECT rowid, _rowid_ FROM t WHERE _rowid_ IS NOT NULL"),
            (Rows{{std::string("x"), std::string("y")}}));
  EXPECT_EQ(a.tag("CREATE TABLE u (rowid, _rowid_, oid)"), "no_primary_key");
  a.must("CREATE TABLE w (v)");
  EXPECT_EQ(a.tag("ALTER TABLE w ADD COLUMN rowid"), "column_name");
  EXPECT_EQ(a.tag("ALTER TABLE w RENAME COLUMN v TO rowid"), "column_name");
  a.must("ALTER TABLE w ADD COLUMN oid");
}

TEST_F(KeylessTables, AnInlineUniqueOverColumnsThatAreNeverNullIsTheKey) {
  a.must(
      "CREATE TABLE m (note, n INTEGER UNIQUE, g TEXT NOT NULL COLLATE NOCASE, u TEXT NOT NULL, "
      "UNIQUE (u, g))");
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO m (g, u) VALUES ('G', 'ann')");
  settle(a, b);
  expect_same(a, b, "m");
  EXPECT_EQ(a.count("m"), 1);
  EXPECT_EQ(a.query("SELECT u, g FROM m"), (Rows{{std::string("ann"), std::string("G")}}));
  const auto def = *a.reader->find_table("m");
  ASSERT_EQ(def->key().size(), 2u);
  EXPECT_EQ(def->key()[0]->name, "u");
  b.must(
      "INSERT INTO m (g, u, note) VALUES ('g', 'ann', 1) ON CONFLICT (u, g) DO UPDATE SET note = "
      "excluded.note");
  b.must("UPDATE m SET u = 'bob'");
  settle(a, b);
  expect_same(a, b, "m");
  EXPECT_EQ(a.query("SELECT u, note FROM m"), (Rows{{std::string("bob"), int64_t{1}}}));
}

TEST_F(KeylessTables, TheSameLinkMadeTwiceIsShownOnceAndNobodyIsAsked) {
  a.must(kLinks);
  a.must(kOnce);
  ship(a, b);
  for (Site* site : {&a, &b}) {
    site->must("INSERT INTO \"_AToB\" VALUES ('x', 'y') ON CONFLICT (\"A\", \"B\") DO NOTHING");
    site->must("INSERT INTO \"_AToB\" VALUES ('x', 'y') ON CONFLICT DO NOTHING");
    site->must("INSERT OR IGNORE INTO \"_AToB\" (\"A\", \"B\") VALUES ('x', 'y')");
  }
  settle(a, b);
  expect_same(a, b, "_AToB");
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(site->count("\"_AToB\""), 1);
    EXPECT_EQ(open_conflicts(*site), 0u);
  }
}

TEST_F(KeylessTables, DeletingALinkDeletesItsHiddenTwins) {
  a.must(kLinks);
  a.must(kOnce);
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  settle(a, b);
  b.must("DELETE FROM \"_AToB\" WHERE \"A\" = 'x'");
  for (Site* site : {&b, &a}) {
    EXPECT_EQ(site->count("\"_AToB\""), 0);
    if (site == &b) settle(a, b);
  }
  a.must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  settle(a, b);
  expect_same(a, b, "_AToB");
  EXPECT_EQ(b.count("\"_AToB\""), 1);
  EXPECT_EQ(open_conflicts(a) + open_conflicts(b), 0u);
}

TEST_F(KeylessTables, MovingALinkLeavesNoTwinBehind) {
  a.must(kLinks);
  a.must(kOnce);
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  settle(a, b);
  a.must("UPDATE \"_AToB\" SET \"B\" = 'z'");
  settle(a, b);
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(site->query("SELECT * FROM \"_AToB\""), (Rows{{std::string("x"), std::string("z")}}));
  }
}

TEST_F(KeylessTables, ATwinThatTheDeleterHadNotSeenStays) {
  a.must(kLinks);
  a.must(kOnce);
  ship(a, b);
  a.must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  ship(a, b);
  a.must("DELETE FROM \"_AToB\"");
  b.must("DELETE FROM \"_AToB\"");
  b.must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  settle(a, b);
  expect_same(a, b, "_AToB");
  EXPECT_EQ(a.count("\"_AToB\""), 1);
}

// They differ in what no UNIQUE index says: somebody must look at them.
TEST_F(KeylessTables, LosersThatAreNotEqualAreListed) {
  a.must("CREATE TABLE l (x, y, note)");
  a.must("CREATE UNIQUE INDEX once ON l (x, y)");
  ship(a, b);
  a.must("INSERT INTO l VALUES (1, 2, 'of a')");
  b.must("INSERT INTO l VALUES (1, 2, 'of b')");
  settle(a, b);
  expect_same(a, b, "l");
  EXPECT_EQ(open_conflicts(a), 1u);
  EXPECT_EQ(open_conflicts(b), 1u);
  // What is changed to be equal is settled, and what is changed to differ is listed again.
  const bool a_won = a.query("SELECT note FROM l")[0][0] == Value(std::string("of a"));
  a.must(std::string("UPDATE l SET note = '") + (a_won ? "of b" : "of a") + "'");
  settle(a, b);
  for (Site* site : {&a, &b}) EXPECT_EQ(open_conflicts(*site), 0u);
  expect_same(a, b, "l");
}

TEST_F(KeylessTables, AUniqueIndexThatComesLaterLeavesOneOfEach) {
  a.must(kLinks);
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO \"_AToB\" VALUES ('x', 'y')");
  a.must(kOnce);
  settle(a, b);
  expect_same(a, b, "_AToB");
  EXPECT_EQ(a.count("\"_AToB\""), 1);
  EXPECT_EQ(open_conflicts(a) + open_conflicts(b), 0u);
  b.must("DELETE FROM \"_AToB\"");
  settle(a, b);
  EXPECT_EQ(a.count("\"_AToB\"") + b.count("\"_AToB\""), 0);
}

TEST_F(KeylessTables, TriggersNumberTheRowsThatTheyInsert) {
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must("CREATE TABLE audit (id, v)");
  a.must(
      "CREATE TRIGGER told AFTER UPDATE ON t BEGIN INSERT INTO audit VALUES (NEW.id, NEW.v); END");
  a.must("INSERT INTO t VALUES (1, 0)");
  settle(a, b);
  for (Site* site : {&a, &b}) {
    for (const char* v : {"1", "2"}) site->must(std::string("UPDATE t SET v = ") + v);
  }
  settle(a, b);
  expect_same(a, b, "audit");
  EXPECT_EQ(a.count("audit"), 4);
  a.must("ALTER TABLE audit RENAME TO history");
  settle(a, b);
  b.must("UPDATE t SET v = 9");
  settle(a, b);
  expect_same(a, b, "history");
  EXPECT_EQ(a.count("history"), 5);
}

TEST_F(KeylessTables, MadeAnewTheyKeepTheirRowsAndWhatOthersWroteMeanwhile) {
  a.must("CREATE TABLE t (v, w)");
  a.must("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
  settle(a, b);
  const uint64_t before = a.seq();
  ASSERT_TRUE(a.transaction([](WriteSession& s) -> Result<void> {
    for (const char* sql : {"CREATE TABLE new_t (v INTEGER, w TEXT, x DEFAULT 7)",
                            "INSERT INTO new_t (v, w) SELECT v, w FROM t", "DROP TABLE t",
                            "ALTER TABLE new_t RENAME TO t"}) {
      Statement statement;
      statement.sql = sql;
      if (auto done = s.execute(statement); !done) return tl::unexpected(done.error());
    }
    return {};
  }));
  EXPECT_EQ(a.seq(), before + 1);
  b.must("UPDATE t SET w = 'zwei' WHERE v = 2");
  b.must("DELETE FROM t WHERE v = 3");
  b.must("INSERT INTO t VALUES (4, 'four')");
  settle(a, b);
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.query("SELECT v, w, x FROM t ORDER BY v"),
            (Rows{{int64_t{1}, std::string("one"), int64_t{7}},
                  {int64_t{2}, std::string("zwei"), int64_t{7}},
                  {int64_t{4}, std::string("four"), int64_t{7}}}));
}

// Copied into a table that has rows, they are new ones.
TEST_F(KeylessTables, RowsThatAreCopiedTwiceAreTwo) {
  a.must("CREATE TABLE t (v)");
  a.must("CREATE TABLE archive (v)");
  a.must("INSERT INTO t VALUES (1), (2)");
  for (int i = 0; i < 2; ++i) a.must("INSERT INTO archive SELECT v FROM t WHERE v > 0 ORDER BY v");
  a.must("INSERT INTO archive SELECT max(v) FROM t");
  a.must("INSERT INTO archive SELECT DISTINCT x.v FROM t AS x, t AS y");
  settle(a, b);
  expect_same(a, b, "archive");
  EXPECT_EQ(b.count("archive"), 7);
}

TEST_F(KeylessTables, ColumnsComeAndGo) {
  a.must("CREATE TABLE t (v, w)");
  a.must("INSERT INTO t VALUES (1, 2)");
  settle(a, b);
  a.must("ALTER TABLE t ADD COLUMN x DEFAULT 'd'");
  b.must("UPDATE t SET w = 3");
  a.must("ALTER TABLE t RENAME COLUMN v TO vv");
  a.must("ALTER TABLE t DROP COLUMN w");
  a.must("INSERT INTO t VALUES (5, 6)");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.query("SELECT vv, x FROM t ORDER BY vv"),
            (Rows{{int64_t{1}, std::string("d")}, {int64_t{5}, int64_t{6}}}));
}

TEST_F(KeylessTables, TheRowApiNamesRowsByTheirNumber) {
  a.must("CREATE TABLE t (v, w)");
  const auto made = a.run("INSERT INTO t VALUES (1, 2)");
  const Value key = *made->last_insert_rowid;
  const auto read = a.reader->row("t", std::span(&key, 1), false);
  ASSERT_TRUE(read && read->row);
  EXPECT_EQ(read->row->at("w"), Value(int64_t{2}));
  RowRequest put;
  put.table = "t";
  put.key = {key};
  put.columns = {{"v", int64_t{8}}, {"w", int64_t{9}}};
  ASSERT_TRUE(a.transaction(
      [&](WriteSession& s) -> Result<void> { return s.write(put).map([](const auto&) {}); }));
  put.key = {int64_t{4711}};
  ASSERT_TRUE(a.transaction(
      [&](WriteSession& s) -> Result<void> { return s.write(put).map([](const auto&) {}); }));
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.query("SELECT v, w FROM t WHERE rowid = 4711"), (Rows{{int64_t{8}, int64_t{9}}}));
  EXPECT_EQ(b.count("t"), 2);
}

TEST_F(KeylessTables, KeepTheirRowsOverARestart) {
  a.must("CREATE TABLE t (v)");
  a.must("INSERT INTO t VALUES (1)");
  a.open();
  a.must("INSERT INTO t VALUES (2)");
  a.must("UPDATE t SET v = v + 10");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.query("SELECT v FROM t ORDER BY v"), (Rows{{int64_t{11}}, {int64_t{12}}}));
}

}  // namespace
}  // namespace entente::test
