// What a client's statements, triggers and schema must never reach.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

void with_plain_sqlite(const std::filesystem::path& path, const char* sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

Result<Committed> put(Site& site, const char* table, int64_t key) {
  return site.transaction([&](WriteSession& s) -> Result<void> {
    RowRequest request;
    request.table = table;
    request.key = {key};
    request.columns = {{"v", std::string("x")}};
    return s.write(request).map([](const auto&) {});
  });
}

class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    a.must("CREATE TABLE notes (id INTEGER PRIMARY KEY, v TEXT)");
    a.must("CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)");
    a.must("INSERT INTO notes VALUES (1, 'kept')");
  }

  Folder folder;
  Site a{folder / "a.db", 1};
};

TEST_F(GuardTest, ObjectsStandInSchemaMainAlone) {
  for (const char* sql :
       {"CREATE TABLE temp.notes (id INTEGER PRIMARY KEY, v TEXT)",
        "CREATE TABLE \"TEMP\".x (id INTEGER PRIMARY KEY)", "CREATE VIEW temp.v AS SELECT 1",
        "CREATE TABLE IF NOT EXISTS [temp] . notes (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER temp.spy AFTER INSERT ON notes BEGIN DELETE FROM notes; END",
        "CREATE INDEX temp.i ON notes (v)", "CREATE UNIQUE INDEX other.i ON notes (v)",
        "DROP TABLE temp.notes", "DROP TABLE aux.notes", "DROP TABLE 'nosuch'.notes",
        "DROP VIEW temp.notes", "ALTER TABLE temp.notes RENAME TO gone",
        "ALTER TABLE /**/ aux /**/ . notes ADD COLUMN w", "ALTER TABLE aux.notes DROP COLUMN v"}) {
    EXPECT_EQ(a.tag(sql), "no_such_schema") << sql;
  }
  for (const char* sql : {"DROP TABLE IF EXISTS temp.notes", "DROP VIEW IF EXISTS aux.notes"}) {
    const uint64_t before = a.seq();
    EXPECT_EQ(a.tag(sql), "accepted") << sql;
    EXPECT_EQ(a.seq(), before) << sql;
  }
  a.must("CREATE INDEX main.by_value ON notes (v)");
  a.must("DROP INDEX \"Main\".by_value");
  EXPECT_EQ(a.count("notes"), 1);
}

TEST_F(GuardTest, SystemTablesAreReadOnly) {
  for (const char* sql :
       {"INSERT INTO sqlite_sequence VALUES ('_entente_conflicts', 9223372036854775807)",
        "UPDATE sqlite_sequence SET seq = 9", "DELETE FROM main.sqlite_sequence",
        "DELETE FROM sqlite_master", "UPDATE sqlite_schema SET sql = ''"}) {
    EXPECT_NE(a.tag(sql), "accepted") << sql;
  }
}

TEST_F(GuardTest, TableValuedFunctionsAreAtHand) {
  a.must("UPDATE notes SET v = (SELECT json_group_array(value) FROM json_each('[1, 2]'))");
  EXPECT_EQ(a.query("SELECT name FROM pragma_table_info('notes')").size(), 2u);
}

TEST_F(GuardTest, NoSchemaNamesWhatIsTheGateways) {
  for (const char* sql :
       {"CREATE TRIGGER g AFTER INSERT ON notes BEGIN DELETE FROM _entente_state; END",
        "CREATE TRIGGER g AFTER INSERT ON notes BEGIN DELETE FROM \"_Entente_state\"; END",
        "CREATE TRIGGER g AFTER INSERT ON notes BEGIN SELECT 1 FROM '_entente_log'; END",
        "CREATE VIEW g AS SELECT * FROM main.[_ENTENTE_state]",
        "CREATE TABLE g (id INTEGER PRIMARY KEY REFERENCES `_entente_state` (one))",
        "CREATE INDEX _entente_i ON notes (v)", "CREATE INDEX i ON _entente_state (one)",
        "ALTER TABLE notes RENAME TO _entente_x"}) {
    EXPECT_EQ(a.tag(sql), "SQLITE_AUTH") << sql;
  }
}

// A file from before such triggers were refused may hold one.
TEST_F(GuardTest, ARowRequestsTriggersReachNoMoreThanAStatementsDo) {
  a.db.reset();
  a.reader.reset();
  with_plain_sqlite(
      a.path, "CREATE TRIGGER g AFTER INSERT ON notes BEGIN DELETE FROM _entente_origins; END");
  a.open();
  const auto done = put(a, "notes", 7);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().tag, "SQLITE_AUTH");
  EXPECT_EQ(a.tag("INSERT INTO notes VALUES (8, 'x')"), "SQLITE_AUTH");
  EXPECT_EQ(a.count("notes"), 1);
}

TEST_F(GuardTest, ATriggerWithoutEndIsStoppedHoweverItIsFired) {
  a.options.statement_ms = 50;
  a.open();
  a.must(
      "CREATE TRIGGER g AFTER INSERT ON notes BEGIN UPDATE notes SET v = (WITH RECURSIVE n (i) AS "
      "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) WHERE id = new.id; END");
  a.must("CREATE TRIGGER d AFTER DELETE ON notes BEGIN INSERT INTO notes VALUES (2, 'again'); END");
  const auto done = put(a, "notes", 7);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kTimeout);
  const auto erased = a.transaction([&](WriteSession& s) -> Result<void> {
    RowRequest request;
    request.kind = RowRequest::Kind::kErase;
    request.table = "notes";
    request.key = {int64_t{1}};
    return s.write(request).map([](const auto&) {});
  });
  ASSERT_FALSE(erased);
  EXPECT_EQ(erased.error().code, Code::kTimeout);
  EXPECT_EQ(a.count("notes"), 1);
}

TEST_F(GuardTest, ChecksGiveTheSameEverywhere) {
  for (const char* sql :
       {"CREATE TABLE d (id INTEGER PRIMARY KEY, CHECK (last_insert_rowid() < 5))",
        "CREATE TABLE d (id INTEGER PRIMARY KEY CHECK (abs(\"random\" ()) % 4 <> 0))",
        "CREATE TABLE d (id INTEGER PRIMARY KEY, at TEXT CHECK (at < current_timestamp))",
        "CREATE TABLE d (id INTEGER PRIMARY KEY, v CHECK ((v = 1) OR (changes() = 0)))",
        "ALTER TABLE notes ADD COLUMN w CHECK (w <> sqlite_version())"}) {
    EXPECT_EQ(a.tag(sql), "check_changes") << sql;
  }
  a.must(
      "CREATE TABLE d (id INTEGER PRIMARY KEY, v DEFAULT (random()), random TEXT CHECK (random <> "
      "'changes()'), at TEXT DEFAULT CURRENT_TIMESTAMP)");
}

// LIKE and copies of long values see no deadline.
TEST_F(GuardTest, OneOperationCannotTakeLong) {
  EXPECT_NE(a.tag("SELECT 'x' LIKE '" + std::string(500, 'a') + "'"), "accepted");
  EXPECT_EQ(a.tag("SELECT length(hex(zeroblob(40000000)))"), "SQLITE_TOOBIG");
  a.must("INSERT INTO notes VALUES (3, hex(zeroblob(100000)))");
  Statement brief;
  brief.sql = "SELECT v FROM notes WHERE id = 3";
  brief.briefly = true;
  const auto read = a.reader->execute(brief);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().tag, "not_brief");
  brief.briefly = false;
  EXPECT_TRUE(a.reader->execute(brief));
}

TEST_F(GuardTest, AByteOrderMarkHidesNothing) {
  EXPECT_EQ(a.tag("CREATE TRIGGER r BEFORE INSERT ON notes BEGIN SELECT RAISE(\xEF\xBB\xBFROLLBACK,"
                  " 'gotcha'); END"),
            "on_conflict_rollback");
  EXPECT_EQ(a.tag("\xEF\xBB\xBFINSERT INTO notes VALUES (9, 'x')"), "accepted");
}

}  // namespace
}  // namespace entente
