// What a client who may not read or write every table gets from SQLite, however he asks.

#include "adapters/table_rights.h"

#include <gtest/gtest.h>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

std::shared_ptr<const TableRights> rights(std::map<std::string, TableRights::Of> named,
                                          TableRights::Of others = {}) {
  return std::make_shared<TableRights>(TableRights{others, std::move(named)});
}

class TableRightsTest : public ::testing::Test {
 protected:
  TableRightsTest() {
    a.must("CREATE TABLE carts (id INTEGER PRIMARY KEY, v TEXT, owner INTEGER)");
    a.must("CREATE TABLE secret (id INTEGER PRIMARY KEY, v TEXT)");
    a.must("CREATE TABLE looks (id INTEGER PRIMARY KEY)");
    a.must("CREATE TABLE lines (id INTEGER PRIMARY KEY, secret_id REFERENCES secret (id))");
    a.must("CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
    a.must("CREATE VIEW shown AS SELECT id, v FROM secret");
    a.must("CREATE VIEW deep AS WITH inner_ AS (SELECT v FROM secret) SELECT v FROM inner_");
    a.must("CREATE TRIGGER tells AFTER INSERT ON carts BEGIN UPDATE secret SET v = v; END");
    a.must("INSERT INTO secret VALUES (1, 'hidden')");
    a.must("INSERT INTO carts (id, v) VALUES (1, 'seen')");
  }

  Statement statement(std::string sql) const {
    Statement s;
    s.sql = std::move(sql);
    s.rights = may;
    return s;
  }
  // Where statements that only read are run, and where all others are.
  std::string read(const std::string& sql) {
    const auto done = a.reader->execute(statement(sql));
    return done ? "accepted" : done.error().tag;
  }
  std::string write(const std::string& sql) {
    const auto done = a.run(statement(sql));
    return done ? "accepted" : done.error().tag;
  }

  Folder folder;
  Site a{folder / "a.db", 1};
  std::shared_ptr<const TableRights> may = rights({{"carts", {true, true}},
                                                   {"shown", {true, false}},
                                                   {"deep", {true, false}},
                                                   {"lines", {true, true}},
                                                   {"numbered", {true, true}}});
};

TEST_F(TableRightsTest, TablesThatAreNamedAreReadAndWritten) {
  for (const char* sql :
       {"SELECT * FROM carts", "SELECT v FROM CARTS", "SELECT count(*) FROM \"carts\"",
        "WITH x AS (SELECT v FROM carts) SELECT count(*) FROM x",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT "
        "count(*) "
        "FROM n, carts",
        "SELECT value FROM json_each('[1]')", "SELECT name FROM sqlite_schema",
        "SELECT name FROM sqlite_master", "SELECT name FROM pragma_table_info('carts')",
        "PRAGMA table_info(carts)", "EXPLAIN QUERY PLAN SELECT * FROM carts", "SELECT 1"}) {
    EXPECT_EQ(read(sql), "accepted") << sql;
  }
  for (const char* sql :
       {"INSERT INTO carts (id, v) VALUES (2, 'x')", "UPDATE carts SET v = 'y' WHERE id = 2",
        "INSERT INTO carts (id) VALUES (2) ON CONFLICT DO UPDATE SET v = 'z' RETURNING v",
        "DELETE FROM carts WHERE id = 2", "REPLACE INTO carts (id, v) VALUES (1, 'w')"}) {
    EXPECT_EQ(write(sql), "accepted") << sql;
  }
}

TEST_F(TableRightsTest, OtherTablesAreNotReadInAnyWay) {
  for (const char* sql : {"SELECT * FROM secret",
                          "SELECT count(*) FROM secret",
                          "SELECT 1 FROM secret",
                          "SELECT * FROM SECRET",
                          "SELECT * FROM main.secret",
                          "SELECT * FROM [secret]",
                          "SELECT * FROM `secret`",
                          "SELECT * FROM 'secret'",
                          "SELECT * FROM \"main\".\"secret\"",
                          "SELECT * FROM carts, secret",
                          "SELECT carts.v FROM carts JOIN secret USING (id)",
                          "SELECT (SELECT v FROM secret)",
                          "SELECT 1 WHERE EXISTS (SELECT 1 FROM secret)",
                          "SELECT v FROM carts WHERE id IN (SELECT id FROM secret)",
                          "SELECT 1 WHERE 1 IN secret",
                          "SELECT v FROM carts UNION SELECT v FROM secret",
                          "SELECT 1 FROM (SELECT 1 FROM secret)",
                          "SELECT v FROM carts ORDER BY (SELECT v FROM secret)",
                          "TABLE secret",
                          "SELECT s.v FROM secret AS s",
                          "SELECT s.v FROM secret s, carts",
                          "EXPLAIN SELECT * FROM secret",
                          "VALUES ((SELECT v FROM secret))",
                          "SELECT * FROM lines LEFT JOIN secret ON secret.id = secret_id",
                          "PRAGMA foreign_key_check",
                          "PRAGMA foreign_key_check(secret)",
                          "SELECT * FROM pragma_foreign_key_check",
                          "SELECT * FROM looks",
                          "SELECT * FROM sqlite_sequence",
                          "SELECT * FROM dbstat",
                          "SELECT data FROM sqlite_dbpage"}) {
    EXPECT_NE(read(sql), "accepted") << sql;
  }
  for (const char* sql :
       {"INSERT INTO carts (v) SELECT v FROM secret", "UPDATE carts SET v = (SELECT v FROM secret)",
        "UPDATE carts SET v = s.v FROM secret AS s",
        "DELETE FROM carts WHERE v IN (SELECT v FROM secret)",
        "INSERT INTO carts (v) VALUES ('x') RETURNING (SELECT v FROM secret)",
        "WITH x AS (SELECT v FROM secret) INSERT INTO carts (v) SELECT v FROM x"}) {
    EXPECT_EQ(write(sql), kNotPermitted) << sql;
  }
}

// SQLite tells an authorizer the name of a WITH where it tells that of a view.
TEST_F(TableRightsTest, NameOfAWithPassesForNoView) {
  for (const char* sql : {"WITH shown AS (SELECT v FROM secret) SELECT v FROM shown",
                          "WITH \"Shown\" AS (SELECT v FROM secret) SELECT v FROM shown",
                          "WITH 'shown' AS (SELECT v FROM [secret]) SELECT v FROM shown",
                          "WITH tells AS (SELECT v FROM secret) SELECT v FROM tells",
                          "WITH carts AS (SELECT v FROM secret) SELECT v FROM carts"}) {
    EXPECT_EQ(read(sql), kNotPermitted) << sql;
  }
}

// Whoever defined them had the right.
TEST_F(TableRightsTest, ViewsTriggersAndForeignKeysReachFurther) {
  EXPECT_EQ(read("SELECT v FROM shown"), "accepted");
  EXPECT_EQ(read("SELECT count(*) FROM shown"), "accepted");
  EXPECT_EQ(read("SELECT v FROM deep"), "accepted");
  EXPECT_EQ(write("INSERT INTO carts (v) VALUES ('fires tells')"), "accepted");
  EXPECT_EQ(write("INSERT INTO lines VALUES (1, 1)"), "accepted");
  may = rights({{"carts", {true, true}}});
  EXPECT_EQ(read("SELECT v FROM shown"), kNotPermitted);
}

TEST_F(TableRightsTest, WritingNeedsItsOwnRight) {
  may = rights({{"carts", {true, false}}, {"secret", {false, true}}}, {true, false});
  for (const char* sql : {"INSERT INTO carts (v) VALUES ('x')", "UPDATE carts SET v = 1",
                          "DELETE FROM carts", "UPDATE looks SET id = 1"}) {
    EXPECT_EQ(write(sql), kNotPermitted) << sql;
  }
  EXPECT_EQ(write("INSERT INTO secret (v) VALUES ('x')"), "accepted");
  EXPECT_EQ(write("INSERT INTO secret (v) VALUES ('x') RETURNING id"), kNotPermitted);
  EXPECT_EQ(write("UPDATE secret SET v = v || 'x'"), kNotPermitted);
  EXPECT_EQ(read("SELECT * FROM looks"), "accepted");
}

// Nor of a table that a trigger reaches.
TEST_F(TableRightsTest, ErrorOfAConstraintTellsNothingOfTheRowInTheWay) {
  a.must(
      "CREATE TRIGGER copies AFTER INSERT ON carts BEGIN INSERT INTO secret VALUES (1, 'x'); END");
  may = rights({{"carts", {false, true}}});
  for (const char* sql :
       {"INSERT INTO carts (id) VALUES (1)", "INSERT INTO carts (id) VALUES (50)"}) {
    const auto done = a.run(statement(sql));
    ASSERT_FALSE(done) << sql;
    EXPECT_EQ(done.error().tag, "SQLITE_CONSTRAINT") << sql;
    EXPECT_EQ(done.error().text.find("hidden"), std::string::npos) << done.error().text;
    EXPECT_EQ(done.error().text.find("seen"), std::string::npos) << done.error().text;
  }
}

TEST_F(TableRightsTest, SchemaIsNotChanged) {
  may = rights({}, {true, true});
  for (const char* sql :
       {"CREATE TABLE IF NOT EXISTS carts (id INTEGER PRIMARY KEY)", "DROP TABLE carts",
        "ALTER TABLE carts ADD COLUMN w", "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX i ON carts (v)", "CREATE TRIGGER t AFTER INSERT ON carts BEGIN SELECT 1; END",
        "VACUUM", "ANALYZE"}) {
    EXPECT_EQ(write(sql), kNotPermitted) << sql;
  }
}

// Compiled statements are kept by their text, for everybody.
TEST_F(TableRightsTest, StatementThatSomebodyElseHadCompiledIsLookedAt) {
  for (int i = 0; i < 2; ++i) {
    may = nullptr;
    EXPECT_EQ(read("SELECT v FROM secret"), "accepted");
    EXPECT_EQ(write("UPDATE secret SET v = v"), "accepted");
    may = rights({{"carts", {true, true}}});
    EXPECT_EQ(read("SELECT v FROM secret"), kNotPermitted);
    EXPECT_EQ(write("UPDATE secret SET v = v"), kNotPermitted);
  }
}

TEST_F(TableRightsTest, ViewThatBecomesATableIsTheSameName) {
  EXPECT_EQ(read("SELECT v FROM shown"), "accepted");
  a.must("DROP VIEW shown");
  a.must("CREATE VIEW shown AS SELECT v, 1 AS again FROM secret");
  EXPECT_EQ(read("SELECT v FROM shown"), "accepted");
  may = rights({{"carts", {true, true}}});
  EXPECT_EQ(read("SELECT v FROM shown"), kNotPermitted);
}

TEST_F(TableRightsTest, DescriptionTellsNothingOfOtherTables) {
  EXPECT_TRUE(a.reader->describe(statement("SELECT v FROM carts")));
  const auto refused = a.reader->describe(statement("SELECT v FROM secret"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, kNotPermitted);
}

TEST_F(TableRightsTest, FunctionsThatTakeATablesNameLookOnlyIntoThoseThatMayBeRead) {
  for (const char* function : {"entente_siblings", "entente_conflict", "entente_version"}) {
    const std::string ask = std::string("SELECT ") + function;
    EXPECT_EQ(read(ask + "('carts', 1)"), "accepted") << function;
    EXPECT_NE(read(ask + "('secret', 1)"), "accepted") << function;
    EXPECT_NE(read(ask + "('sec' || 'ret', 1)"), "accepted") << function;
    EXPECT_NE(write("UPDATE carts SET v = " + std::string(function) + "('SECRET', 1)"), "accepted")
        << function;
  }
}

}  // namespace
}  // namespace entente
