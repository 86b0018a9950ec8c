#include "adapters/sqlite/sqlite_database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <random>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

Result<StatementDescription> described(Reader& reader, std::string sql) {
  Statement statement;
  statement.sql = std::move(sql);
  return reader.describe(statement);
}

using namespace test;

TEST(SqliteDatabase, FileThatIsNoDatabaseIsRefused) {
  Folder folder;
  std::ofstream(folder / "x.db") << std::string(8192, 'x');
  DatabaseOptions options;
  options.dc = "dc1";
  options.fresh_origin = origin_of(1);
  const auto out = open_sqlite(folder / "x.db", options);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::kCorrupt);
  EXPECT_NE(out.error().text.find("not a SQLite database"), std::string::npos);
}

TEST(SqliteDatabase, ValuesOfEveryTypeArriveExactly) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must(
      "CREATE TABLE v (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, n NUMERIC, x)");
  const std::vector<Value> row = {int64_t{1},
                                  int64_t{INT64_MIN},
                                  3.0,
                                  std::string("a\0b\xc3\xa9", 5),
                                  Blob{std::string("\0\xff", 2)},
                                  std::string("1e2"),
                                  0.1};
  ASSERT_TRUE(a.run("INSERT INTO v VALUES (?,?,?,?,?,?,?)", row));
  ASSERT_TRUE(a.run("INSERT INTO v VALUES (?,?,?,?,?,?,?)",
                    {int64_t{9007199254740993}, int64_t{9007199254740993}, 1e300, std::string(),
                     Blob{}, Null{}, Blob{"x"}}));
  ship(a, b);
  expect_same(a, b, "v");
  const auto rows = b.query("SELECT i, r, typeof(r), t, b, n, x FROM v WHERE id = 1");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0][0], Value(int64_t{INT64_MIN}));
  EXPECT_EQ(rows[0][1], Value(3.0));
  EXPECT_EQ(rows[0][2], Value(std::string("real")));
  EXPECT_EQ(rows[0][3], row[3]);
  EXPECT_EQ(rows[0][4], row[4]);
  EXPECT_EQ(rows[0][5], Value(int64_t{100}));
}

TEST(SqliteDatabase, KeysOfEveryShapeReplicate) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE n (k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v)");
  a.must("CREATE TABLE d (k INTEGER PRIMARY KEY DESC, v)");
  a.must("CREATE TABLE c (a TEXT, b REAL, v, PRIMARY KEY (b, a)) WITHOUT ROWID");
  a.must("CREATE TABLE f (k PRIMARY KEY NOT NULL, v)");
  a.must(
      "CREATE TABLE g (id INTEGER PRIMARY KEY, a, s AS (a || 's') VIRTUAL, b, "
      "t AS (b || 't') STORED, c)");
  a.must("INSERT INTO n VALUES ('Ada', 1), ('bob', 2)");
  a.must("UPDATE n SET v = 3 WHERE k = 'ADA'");
  a.must("UPDATE n SET k = 'BOB' WHERE k = 'bob'");
  a.must("INSERT INTO d VALUES (1, 'x'), ('2', 'y')");
  a.must("INSERT INTO c VALUES ('p', 1, 'x'), ('q', 1.5, 'y')");
  a.must("UPDATE c SET a = 'z' WHERE a = 'p'");
  a.must("INSERT INTO f VALUES (1, 'int'), (2.0, 'real'), ('1', 'text'), (x'31', 'blob')");
  a.must("INSERT INTO g (id, a, b, c) VALUES (1, 'A', 'B', 'C')");
  a.must("UPDATE g SET c = 'CC', id = 7");
  ship(a, b);
  for (const char* t : {"n", "d", "c", "f", "g"}) expect_same(a, b, t);
  EXPECT_EQ(b.query("SELECT k FROM n WHERE v = 2")[0][0], Value(std::string("BOB")));
  EXPECT_EQ(b.query("SELECT a, s, b, t, c FROM g WHERE id = 7").size(), 1u);
  a.must("DELETE FROM f");
  a.must("DELETE FROM c WHERE b = 1.5");
  ship(a, b);
  for (const char* t : {"f", "c"}) expect_same(a, b, t);
}

TEST(SqliteDatabase, NetEffectOfATransactionIsWhatTravels) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)");
  a.must("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
  const uint64_t before = a.seq();
  a.must("UPDATE t SET v = v");
  EXPECT_EQ(a.seq(), before);
  ASSERT_TRUE(a.transaction([](WriteSession& s) -> Result<void> {
    for (const char* sql : {"INSERT INTO t VALUES (9, 'x')", "DELETE FROM t WHERE id = 9",
                            "DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (1, 'a')"}) {
      Statement statement;
      statement.sql = sql;
      if (auto done = s.execute(statement); !done) return tl::unexpected(done.error());
    }
    return {};
  }));
  EXPECT_EQ(a.seq(), before);
  a.must("REPLACE INTO t VALUES (4, 'b')");
  a.must("UPDATE t SET id = 30 WHERE id = 3");
  a.must("UPDATE t SET v = CASE id WHEN 1 THEN 'q' ELSE v END");
  ship(a, b);
  expect_same(a, b, "t");
}

TEST(SqliteDatabase, UniqueValuesSwappedInOneTransactionArrive) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)");
  a.must("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
  ship(a, b);
  ASSERT_TRUE(a.transaction([](WriteSession& s) -> Result<void> {
    for (const char* sql :
         {"UPDATE t SET v = 'tmp' WHERE id = 1", "UPDATE t SET v = 'a' WHERE id = 2",
          "UPDATE t SET v = 'b' WHERE id = 3", "UPDATE t SET v = 'c' WHERE id = 1"}) {
      Statement statement;
      statement.sql = sql;
      if (auto done = s.execute(statement); !done) return tl::unexpected(done.error());
    }
    return {};
  }));
  ship(a, b);
  expect_same(a, b, "t");
  const auto open = b.reader->conflicts({ConflictQuery::State::kOpen, "", {}, 0, 10});
  ASSERT_TRUE(open);
  EXPECT_TRUE(open->empty());
}

TEST(SqliteDatabase, P11RowThatAConstraintRefusesWaitsAndComesBack) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE, w)");
  ship(a, b);
  a.must("INSERT INTO t VALUES (1, 'same', 'from a')");
  b.must("INSERT INTO t VALUES (2, 'same', 'from b')");
  a.must("INSERT INTO t VALUES (3, 'other', 'flows on')");
  ship(a, b);
  EXPECT_EQ(b.count("t"), 2);
  const auto open = b.reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 10});
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().kind, "unique");
  ASSERT_TRUE(open->front().winner.row);
  EXPECT_EQ(open->front().winner.row->at("w"), Value(std::string("from b")))
      << "a took the key first";
  b.open();
  b.must("DELETE FROM t WHERE id = 1");
  EXPECT_EQ(b.query("SELECT w FROM t WHERE id = 2").size(), 1u);
  ship(b, a);
  ship(a, b);
  expect_same(a, b, "t");
}

TEST(SqliteDatabase, CascadesTravelAsRowChangesAndForeignKeysHoldLocally) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE p (id INTEGER PRIMARY KEY)");
  a.must("CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)");
  a.must("CREATE TABLE d (id INTEGER PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
  a.must("INSERT INTO p VALUES (1), (2)");
  a.must("INSERT INTO c VALUES (10, 1), (20, 2)");
  EXPECT_EQ(a.tag("INSERT INTO c VALUES (30, 9)"), "SQLITE_CONSTRAINT");
  EXPECT_EQ(a.tag("INSERT INTO d VALUES (30, 9)"), "SQLITE_CONSTRAINT");
  EXPECT_EQ(a.count("d"), 0);
  a.must("DELETE FROM p WHERE id = 1");
  ship(a, b);
  for (const char* t : {"p", "c", "d"}) expect_same(a, b, t);
  EXPECT_EQ(b.count("c"), 1);
}

TEST(SqliteDatabase, FailedStatementLeavesItsTransactionAndNothingBehind) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v NOT NULL)");
  ASSERT_TRUE(a.transaction([](WriteSession& s) -> Result<void> {
    Statement good, bad;
    good.sql = "INSERT INTO t VALUES (1, 'a')";
    bad.sql = "INSERT INTO t VALUES (2, 'b'), (3, NULL)";
    EXPECT_TRUE(s.execute(good));
    const auto refused = s.execute(bad);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kConstraint);
    return {};
  }));
  a.run("INSERT OR FAIL INTO t VALUES (5, 'e'), (6, NULL)");
  ship(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.count("t"), 1);
}

// What replicates is what the transaction left, however often it went back.
TEST(SqliteDatabase, SavepointsUndoWhatReplicates) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  std::mt19937 random(5);
  const char* const kControls[] = {"SAVEPOINT s%", "SAVEPOINT \"S%\"", "RELEASE s%",
                                   "ROLLBACK TO SAVEPOINT s%;", "ROLLBACK TO s%"};
  int refused = 0, undone = 0;
  for (int round = 0; round < 200; ++round) {
    const auto done = a.transaction([&](WriteSession& session) -> Result<void> {
      for (int i = 0; i < 20; ++i) {
        const auto number = [&](uint32_t n) { return std::to_string(random() % n); };
        Statement s;
        if (random() % 2 == 0) {
          s.sql = kControls[random() % 5];
          s.sql.replace(s.sql.find('%'), 1, number(3));
          const auto out = session.execute(s);
          refused += !out && out.error().text.starts_with("no such savepoint");
          undone += out && s.sql.starts_with("ROLLBACK");
          EXPECT_TRUE(out || out.error().text.starts_with("no such savepoint")) << s.sql;
          continue;
        }
        s.sql = random() % 3 == 0
                    ? "DELETE FROM t WHERE id = " + number(8)
                    : "INSERT OR REPLACE INTO t VALUES (" + number(8) + ", " + number(1000) + ")";
        EXPECT_TRUE(session.execute(s)) << s.sql;
      }
      if (random() % 5 == 0) return fail(Code::kInvalid, "rolled back");
      return {};
    });
    EXPECT_TRUE(done || done.error().text == "rolled back") << done.error().text;
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(undone, 100);
  ship(a, b);
  expect_same(a, b, "t");
  EXPECT_GT(b.count("t"), 0);
}

TEST(SqliteDatabase, ASavepointUndoesATable) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  const auto done = a.transaction([&](WriteSession& session) -> Result<void> {
    for (const auto* sql :
         {"CREATE TABLE kept (id INTEGER PRIMARY KEY)", "SAVEPOINT s",
          "CREATE TABLE gone (id INTEGER PRIMARY KEY)", "INSERT INTO gone VALUES (1)",
          "ROLLBACK TO s", "INSERT INTO kept VALUES (1)", "CREATE TABLE gone (id TEXT PRIMARY KEY)",
          "INSERT INTO gone VALUES ('x')"}) {
      Statement s;
      s.sql = sql;
      const auto out = session.execute(s);
      EXPECT_TRUE(out) << sql << ": " << out.error().text;
    }
    return {};
  });
  ASSERT_TRUE(done) << done.error().text;
  ship(a, b);
  expect_same(a, b, "kept");
  expect_same(a, b, "gone");
  EXPECT_EQ(b.query("SELECT id FROM gone")[0][0], Value(std::string("x")));
}

TEST(SqliteDatabase, AffectedRowsAreThoseOfTheStatementItself) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE p (id INTEGER PRIMARY KEY)");
  a.must("CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)");
  a.must("INSERT INTO p VALUES (1)");
  a.must("INSERT INTO c VALUES (1, 1), (2, 1)");
  EXPECT_EQ(a.run("DELETE FROM p WHERE id = 1")->affected, 1u);
  EXPECT_EQ(a.count("c"), 0);
  EXPECT_EQ(a.run("DELETE FROM p WHERE id = 1")->affected, 0u);
  EXPECT_EQ(a.query("PRAGMA foreign_keys")[0][0], Value(int64_t{1}));
}

TEST(SqliteDatabase, DescribesWithoutRunning) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  const auto d = described(*a.reader, "INSERT INTO t VALUES (?, :v) RETURNING id, v || '!'");
  ASSERT_TRUE(d);
  EXPECT_EQ(d->parameters, (std::vector<std::optional<std::string>>{std::nullopt, ":v"}));
  ASSERT_EQ(d->columns.size(), 2u);
  EXPECT_EQ(d->columns[0].name, "id");
  EXPECT_EQ(d->columns[0].decltype_, "INTEGER");
  EXPECT_FALSE(d->is_readonly || d->is_explain);
  EXPECT_TRUE(described(*a.reader, "EXPLAIN SELECT 1")->is_explain);
  EXPECT_TRUE(described(*a.reader, "SELECT 1")->is_readonly);
  EXPECT_FALSE(described(*a.reader, "SELEC 1"));
  EXPECT_FALSE(described(*a.reader, "CREATE TABLE u (id)")->is_readonly);
  EXPECT_EQ(a.count("t"), 0);
}

TEST(SqliteDatabase, WhatClientsMayNotDoIsRefusedByName) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  EXPECT_EQ(a.tag(""), "SQL_NO_STATEMENT");
  EXPECT_EQ(a.tag(" -- nothing\n;"), "SQL_NO_STATEMENT");
  EXPECT_EQ(a.tag("SELECT 1; SELECT 2"), "SQL_MANY_STATEMENTS");
  EXPECT_NE(a.tag("SELECT 1 ; -- end"), "SQL_MANY_STATEMENTS");
  EXPECT_EQ(a.tag("SELEC 1"), "SQLITE_ERROR");
  EXPECT_EQ(a.tag("SELECT ?1"), "ARGS_INVALID");
  EXPECT_EQ(a.tag("/* x */ begin"), "transaction_control");
  EXPECT_EQ(a.tag("ROLLBACK"), "transaction_control");
  EXPECT_EQ(a.tag("INSERT OR ROLLBACK INTO t VALUES (1, 1)"), "on_conflict_rollback");
  EXPECT_EQ(a.tag("CREATE TABLE r (id INTEGER PRIMARY KEY, v UNIQUE ON CONFLICT ROLLBACK)"),
            "on_conflict_rollback");
  EXPECT_EQ(a.tag("ATTACH ':memory:' AS x"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("SELECT load_extension('x')"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("PRAGMA journal_mode = DELETE"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("PRAGMA foreign_keys = 0"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("PRAGMA foreign_keys"), "accepted");
  EXPECT_EQ(a.tag("PRAGMA table_info(t)"), "accepted");
  EXPECT_EQ(a.tag("DELETE FROM _entente_log"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("SELECT * FROM _ENTENTE_state"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("INSERT INTO sqlite_master VALUES (1,1,1,1,1)"), "SQLITE_ERROR");
  EXPECT_EQ(a.tag("CREATE TABLE _entente_x (id INTEGER PRIMARY KEY)"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("CREATE TEMP TABLE n (id INTEGER PRIMARY KEY)"), "temporary_table");
  EXPECT_EQ(a.tag("CREATE TABLE n AS SELECT 1"), "create_table_as");
  EXPECT_EQ(a.tag("ANALYZE"), "schema_statement");
  EXPECT_EQ(a.tag("REINDEX"), "schema_statement");
  EXPECT_EQ(a.tag("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v)"), "accepted");
  EXPECT_EQ(a.count("t"), 0);
  EXPECT_EQ(a.query("SELECT name FROM sqlite_master WHERE name = 'n'").size(), 0u);
  EXPECT_EQ(a.db->state().epoch, 1u);
}

TEST(SqliteDatabase, ReaderRefusesWritesAndReservedTables) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  const auto code = [&](const char* sql) {
    Statement s;
    s.sql = sql;
    const auto out = a.reader->execute(s);
    return out ? std::optional<Code>() : std::optional(out.error().code);
  };
  EXPECT_EQ(code("INSERT INTO t VALUES (1, 2)"), Code::kRefused);
  EXPECT_EQ(code("CREATE TABLE u (id INTEGER PRIMARY KEY)"), Code::kRefused);
  EXPECT_EQ(code("SELECT * FROM _entente_log"), Code::kRefused);
  EXPECT_EQ(code("SELECT * FROM t"), std::nullopt);
}

TEST(SqliteDatabase, ResultsSayWhatHappened) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9))");
  auto inserted = a.run("WITH x(n) AS (VALUES (5), (6)) INSERT INTO t SELECT n, 'v' FROM x");
  ASSERT_TRUE(inserted);
  EXPECT_EQ(inserted->affected, 2u);
  EXPECT_EQ(inserted->last_insert_rowid, 6);
  auto returned = a.run("INSERT INTO t VALUES (NULL, 'w') RETURNING id, v, 1");
  ASSERT_TRUE(returned);
  ASSERT_EQ(returned->rows.size(), 1u);
  EXPECT_EQ(returned->rows[0][0], Value(returned->last_insert_rowid.value_or(0)));
  EXPECT_EQ(returned->columns[1].decltype_, "VARCHAR(9)");
  EXPECT_EQ(returned->columns[2].decltype_, std::nullopt);
  auto selected = a.run("SELECT * FROM t");
  ASSERT_TRUE(selected);
  EXPECT_EQ(selected->affected, 0u);
  Statement named;
  named.sql = "SELECT :a, @b, $c";
  named.named = {{"b", int64_t{2}}, {":a", int64_t{1}}, {"c", int64_t{3}}};
  auto values = a.run(named);
  ASSERT_TRUE(values) << values.error().text;
  EXPECT_EQ(values->rows[0], (std::vector<Value>{int64_t{1}, int64_t{2}, int64_t{3}}));
}

TEST(SqliteDatabase, LimitsAreErrorsAndChangeNothing) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.options.result_bytes = 10'000;
  a.options.transaction_bytes = 10'000;
  a.options.sql_bytes = 1'000;
  a.options.statement_ms = 30;
  a.open();
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  const uint64_t before = a.seq();
  EXPECT_EQ(a.tag("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 2000) "
                  "SELECT x, 'aaaaaaaaaaaaaa' FROM c"),
            "RESPONSE_TOO_LARGE");
  EXPECT_EQ(a.tag("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 2000) "
                  "INSERT INTO t SELECT x, 'aaaaaaaaaaaaaa' FROM c"),
            "transaction_too_large");
  EXPECT_EQ(a.tag("SELECT '" + std::string(2'000, 'x') + "'"), "SQL_TOO_LARGE");
  const auto slow = a.run(
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c) "
      "SELECT count(*) FROM c");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, Code::kTimeout);
  EXPECT_EQ(a.seq(), before);
  EXPECT_EQ(a.count("t"), 0);
  a.must("INSERT INTO t VALUES (1, 'fine')");
}

// A disk that fails: what writes to the WAL, or syncs it, gets this code.
int g_write_fails = SQLITE_OK, g_sync_fails = SQLITE_OK;
sqlite3_io_methods g_failing;
const sqlite3_io_methods* g_real = nullptr;
sqlite3_vfs* g_base = nullptr;

int open_failing(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  const int code = g_base->xOpen(g_base, name, file, flags, out);
  if (code != SQLITE_OK || !(flags & SQLITE_OPEN_WAL)) return code;
  g_real = file->pMethods;
  g_failing = *g_real;
  g_failing.xWrite = [](sqlite3_file* f, const void* bytes, int n, sqlite3_int64 at) {
    return g_write_fails != SQLITE_OK ? g_write_fails : g_real->xWrite(f, bytes, n, at);
  };
  g_failing.xSync = [](sqlite3_file* f, int how) {
    return g_sync_fails != SQLITE_OK ? g_sync_fails : g_real->xSync(f, how);
  };
  file->pMethods = &g_failing;
  return code;
}

class FailingDisk {
 public:
  FailingDisk() {
    g_base = sqlite3_vfs_find(nullptr);
    vfs_ = *g_base;
    vfs_.zName = "failing";
    vfs_.xOpen = open_failing;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~FailingDisk() {
    g_write_fails = g_sync_fails = SQLITE_OK;
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(g_base, 1);
  }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

 private:
  sqlite3_vfs vfs_;
};

TEST(SqliteDatabase, FullDiskRefusesTheGroupAndReadsGoOn) {
  const FailingDisk disk;
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 'kept')");
  const auto before = a.db->state();
  g_write_fails = SQLITE_FULL;
  const auto refused = a.run("INSERT INTO t VALUES (2, 'lost')");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  EXPECT_EQ(a.count("t"), 1);
  EXPECT_EQ(a.db->state().log_head, before.log_head);
  EXPECT_EQ(a.seq(), before.streams.at(before.self).seq);
  auto log = a.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(log);
  const auto not_applied = b.db->apply(std::span(&log->front().run, 1), ++b.now);
  ASSERT_FALSE(not_applied);
  EXPECT_EQ(not_applied.error().code, Code::kExhausted);
  g_write_fails = SQLITE_OK;
  a.must("INSERT INTO t VALUES (3, 'fine')");
  EXPECT_EQ(a.seq(), before.streams.at(before.self).seq + 1);
  ship(a, b);
  expect_same(a, b, "t");
}

TEST(SqliteDatabase, P3FailedSyncIsNeverAcknowledged) {
  const FailingDisk disk;
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  g_sync_fails = SQLITE_IOERR_FSYNC;
  const auto refused = a.run("INSERT INTO t VALUES (2, 'lost')");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kCorrupt);
}

TEST(SqliteDatabase, AloneStatementThatFailsLeavesItsNeighbours) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v NOT NULL)");
  std::vector<ClientTransaction> group;
  for (const char* sql : {"INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, NULL)",
                          "INSERT INTO t VALUES (3, 'c')", "UPDATE t SET v = 'd' WHERE id = 1",
                          "DELETE FROM t WHERE id = 3"}) {
    group.push_back([sql](WriteSession& s) -> Result<void> {
      Statement statement;
      statement.sql = sql;
      statement.alone = true;
      auto done = s.execute(statement);
      if (!done) return tl::unexpected(done.error());
      return {};
    });
  }
  const auto out = a.db->commit(group, ++a.now);
  ASSERT_TRUE(out);
  EXPECT_FALSE(out->results[1]);
  ASSERT_TRUE(out->chunk);
  EXPECT_EQ(out->chunk->run.count, 4u);
  ship(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(b.count("t"), 1);
}

TEST(SqliteDatabase, TablesThatWereThereBeforeJoinAndAreOverwrittenByAnyWrite) {
  Folder folder;
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "a.db").c_str(), &raw), SQLITE_OK);
  sqlite3_exec(raw,
               "CREATE TABLE old (id INTEGER PRIMARY KEY, v, w); CREATE TABLE keyless (v);"
               "INSERT INTO old VALUES (1, 'a', 'b')",
               nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  Site a(folder / "a.db", 1);
  EXPECT_TRUE(*a.reader->find_table("old"));
  a.must("INSERT INTO keyless VALUES (1)");
  a.must("UPDATE old SET v = 'c' WHERE id = 1");
  a.must("UPDATE old SET w = 'd' WHERE id = 1");
  a.must("DELETE FROM old WHERE id = 1");
  EXPECT_EQ(a.count("old"), 0);
}

// The short cuts and the general path must leave the same rows, values and conflicts.
TEST(SqliteDatabase, ShortCutsEqualTheGeneralPath) {
  for (const auto policy : {PolicyKind::kLww, PolicyKind::kPriority, PolicyKind::kSiblings}) {
    for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
      for (uint32_t seed = 0; seed < 3; ++seed) {
        Folder fast_folder, slow_folder;
        ConflictRules rules;
        rules.defaults.policy.kind = policy;
        rules.defaults.granularity = granularity;
        rules.defaults.old_values = seed % 2 == 0;
        rules.priorities = {{"dc1", 1}, {"dc2", 2}};
        std::vector<std::unique_ptr<Site>> sites;
        for (const bool slow : {false, true}) {
          Folder& folder = slow ? slow_folder : fast_folder;
          auto a = std::make_unique<Site>(folder / "a.db", uint8_t{1}, rules, SqliteTuning{slow});
          auto b = std::make_unique<Site>(folder / "b.db", uint8_t{2}, rules, SqliteTuning{slow});
          a->must("CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v, w REAL UNIQUE)");
          ship(*a, *b);
          std::mt19937 random(seed);
          for (int step = 0; step < 150; ++step) {
            Site& site = random() % 2 == 0 ? *a : *b;
            Site& other = &site == a.get() ? *b : *a;
            const std::string key = std::string("'") + "aAbBcC"[random() % 6] + "'";
            const std::string v = std::to_string(random() % 4), w = std::to_string(random() % 40);
            switch (random() % 7) {
              case 0:
                ship(other, site);
                break;
              case 1:
                site.run("DELETE FROM t WHERE k = " + key);
                break;
              case 2:
                site.run("UPDATE t SET v = " + v + " WHERE k = " + key);
                break;
              case 3:
                site.run("UPDATE t SET w = " + w + ", k = " + key + " WHERE k = " + key);
                break;
              case 4:
                site.run("REPLACE INTO t VALUES (" + key + ", " + v + ", " + w + ")");
                break;
              default:
                site.run("INSERT INTO t VALUES (" + key + ", " + v + ", " + w + ")");
            }
          }
          settle(*a, *b);
          sites.push_back(std::move(a));
          sites.push_back(std::move(b));
        }
        for (size_t i : {0u, 1u}) {
          Site &fast = *sites[i], &slow = *sites[i + 2];
          SCOPED_TRACE(std::string(to_string(policy)) + " seed " + std::to_string(seed));
          expect_same(fast, slow, "t");
          EXPECT_EQ(fast.db->state().streams.at(origin_of(1)).chain,
                    slow.db->state().streams.at(origin_of(1)).chain);
          for (const char* key : {"a", "b", "c"}) {
            const Value k = std::string(key);
            const auto x = fast.reader->row("t", std::span(&k, 1), true);
            const auto y = slow.reader->row("t", std::span(&k, 1), true);
            ASSERT_TRUE(x && y);
            EXPECT_EQ(x->etag, y->etag);
            EXPECT_EQ(x->row, y->row);
            EXPECT_EQ(x->conflict, y->conflict);
            ASSERT_EQ(x->values.size(), y->values.size());
            for (size_t n = 0; n < x->values.size(); ++n) {
              EXPECT_EQ(x->values[n].row, y->values[n].row);
            }
          }
        }
      }
    }
  }
}

// Everything of one datacenter as one run, as it comes when somebody was away.
void ship_together(Site& from, Site& to) {
  auto chunks = from.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(chunks);
  Run all{from.db->state().self, 1, 0, {}};
  for (const auto& c : *chunks) {
    if (c.run.origin != all.origin) continue;
    all.count += c.run.count;
    all.records += c.run.records;
  }
  const auto done = to.db->apply(std::span(&all, 1), ++to.now);
  ASSERT_TRUE(done) << done.error().text;
}

// With two tables, rows written twice or deleted at once, and keys that somebody else took.
TEST(SqliteDatabase, P11NewRowsThatComeTogetherAreWhatTheyAreOneByOne) {
  for (uint32_t seed = 0; seed < 2; ++seed) {
    SCOPED_TRACE(seed);
    Folder folder;
    Site a(folder / "a.db", 1);
    Site together(folder / "b1.db", 2), apart(folder / "b2.db", 2, {}, SqliteTuning{true});
    a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w TEXT UNIQUE)");
    a.must("CREATE TABLE u (k TEXT PRIMARY KEY NOT NULL, v) WITHOUT ROWID");
    for (Site* b : {&together, &apart}) {
      ship(a, *b);
      b->now = a.now;
      b->must("INSERT INTO t VALUES (1000, 0, 'w13'), (1001, 0, 'w77')");
      b->must("INSERT INTO u VALUES ('k40', 'here first')");
    }
    std::mt19937 random(seed);
    for (int64_t id = 0; id < 120; ++id) {
      const std::string n = std::to_string(id),
                        m = std::to_string(id - static_cast<int>(random() % 4));
      a.must("INSERT INTO t VALUES (" + n + ", " + n + ", 'w" + n + "')");
      if (random() % 20 == 0) a.must("UPDATE t SET v = v + 1000 WHERE id = " + m);
      const bool refused = m == "13" || m == "77";
      if (random() % 30 == 0 && !refused) a.must("DELETE FROM t WHERE id = " + m);
      if (random() % 30 == 0) a.must("INSERT INTO u VALUES ('k" + n + "', 'now')");
      if (id == 40) a.must("INSERT INTO u VALUES ('k40', 'later')");
    }
    a.must(
        "WITH RECURSIVE n(i) AS (VALUES (2000) UNION ALL SELECT i + 1 FROM n WHERE i < 2200) "
        "INSERT INTO t SELECT i, i, 'w' || i FROM n");
    ship_together(a, together);
    ship(a, apart);
    for (const char* table : {"t", "u"}) expect_same(together, apart, table);
    for (Site* b : {&together, &apart}) {
      const auto open = b->reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 10});
      ASSERT_TRUE(open);
      EXPECT_EQ(open->size(), 2u) << "w13 and w77";
    }
    together.must("DELETE FROM t WHERE id >= 1000 AND id < 1002");
    EXPECT_EQ(together.query("SELECT id FROM t WHERE w IN ('w13', 'w77')").size(), 2u);
    ship(together, a);
    for (const char* table : {"t", "u"}) expect_same(together, a, table);
  }
}

Statement brief(std::string sql) {
  Statement s;
  s.sql = std::move(sql);
  s.briefly = true;
  return s;
}

TEST(SqliteDatabase, BriefReadsAnswerOrSayAtOnceThatTheyAreNot) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  a.must("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
  for (int i = 0; i < 1000; ++i) {
    const auto row = a.reader->execute(brief("SELECT v FROM t WHERE id = 2"));
    ASSERT_TRUE(row) << i << ": " << row.error().text;
    ASSERT_EQ(row->rows, (std::vector<std::vector<Value>>{{std::string("two")}}));
  }
  EXPECT_TRUE(a.reader->execute(brief("SELECT count(*), max(id) FROM t")));
  for (const auto* sql :
       {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "SELECT max(i) FROM n",
        "SELECT length(randomblob(1))", "SELECT id FROM t WHERE v LIKE 'o%'"}) {
    for (int i = 0; i < 3; ++i) {
      const auto refused = a.reader->execute(brief(sql));
      ASSERT_FALSE(refused) << sql;
      EXPECT_EQ(refused.error().tag, "not_brief") << sql;
    }
    EXPECT_EQ(a.query(sql).size(), 1u) << sql;
  }
  EXPECT_EQ(a.reader->execute(brief("DELETE FROM t")).error().code, Code::kRefused);
  EXPECT_EQ(a.reader->execute(brief("SELECT nothing FROM t")).error().code, Code::kSql);
}

TEST(SqliteDatabase, SnapshotIsHeldFromBeginToEndAcrossCommits) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  a.must("INSERT INTO t VALUES (1)");
  ASSERT_TRUE(a.reader->begin());
  const auto before = a.reader->applied();
  ASSERT_TRUE(before);
  a.must("INSERT INTO t VALUES (2)");
  EXPECT_EQ(a.count("t"), 1);
  EXPECT_FALSE(a.reader->execute(brief("SELECT nothing FROM t")));
  EXPECT_EQ(a.count("t"), 1);
  EXPECT_EQ(a.reader->applied().value(), *before);
  a.reader->end();
  EXPECT_EQ(a.count("t"), 2);
  const auto after = a.reader->applied();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->at(origin_of(1)), before->at(origin_of(1)) + 1);
}

TEST(SqliteDatabase, StatementThatTakesTooMuchMemoryIsStopped) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.options.statement_memory = 96u << 20;
  a.open();
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, n)");
  const std::string rows =
      "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) ";
  const std::string greedy = rows + "SELECT count(DISTINCT randomblob(50000)) FROM c";
  Statement select;
  select.sql = greedy;
  const auto refused = a.reader->execute(select);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, "SQLITE_NOMEM") << refused.error().text;
  EXPECT_EQ(a.tag("INSERT INTO t (n) " + greedy), "SQLITE_NOMEM");
  EXPECT_EQ(a.query(rows + "SELECT count(DISTINCT randomblob(500)) FROM c").size(), 1u);
  a.must("INSERT INTO t (n) " + rows + "SELECT count(DISTINCT randomblob(500)) FROM c");
  EXPECT_EQ(a.query("SELECT n FROM t"), (std::vector<std::vector<Value>>{{int64_t{5000}}}));
}

// Somebody else's connection to the file.
class OtherProcess {
 public:
  explicit OtherProcess(const std::filesystem::path& path) { sqlite3_open(path.c_str(), &db_); }
  ~OtherProcess() { sqlite3_close(db_); }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  void must(const char* sql) {
    ASSERT_EQ(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
  }

 private:
  sqlite3* db_ = nullptr;
};

void do_everything(Site& a, Site& b) {
  a.must("INSERT INTO t (v) VALUES ('a')");
  b.must("INSERT INTO t (v) VALUES ('b')");
  settle(a, b);
  const auto applied = a.reader->applied();
  ASSERT_TRUE(applied && a.db->promise(*applied));
  ASSERT_TRUE(a.db->collect(*applied, 10) && a.db->judge_again(a.now));
  ASSERT_TRUE(a.db->trim_log(*applied, {UINT64_MAX, 0}));
  EXPECT_TRUE(a.run("DELETE FROM t WHERE v = 'a'") && !a.run("INSERT INTO t VALUES ('x', 'y')"));
}

TEST(SqliteDatabase, WhatTheGatewayWritesItselfIsNotForeign) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  ship(a, b);
  OtherProcess reader(a.path);
  for (int i = 0; i < 5; ++i) {
    do_everything(a, b);
    reader.must("SELECT * FROM t");
  }
  EXPECT_EQ(a.db->foreign_writes(), 0u);
  a.open();
  do_everything(a, b);
  EXPECT_EQ(a.db->foreign_writes(), 0u);
}

TEST(SqliteDatabase, WriteOfAnotherProcessIsNoticed) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  ship(a, b);
  OtherProcess other(a.path);
  uint64_t expected = 0;
  const auto noticed = [&] { EXPECT_EQ(a.db->foreign_writes(), ++expected); };
  other.must("INSERT INTO t VALUES (1, 'x')");
  a.must("INSERT INTO t (v) VALUES ('a')");
  noticed();
  other.must("INSERT INTO t VALUES (2, 'x')");
  b.must("INSERT INTO t (v) VALUES ('b')");
  ship(b, a);
  noticed();
  other.must("UPDATE t SET v = 'y' WHERE id = 1");
  ASSERT_TRUE(a.db->judge_again(a.now));
  noticed();
  other.must("DELETE FROM t WHERE id = 1");
  a.must("INSERT INTO t (v) VALUES ('a')");
  noticed();
  a.must("INSERT INTO t (v) VALUES ('a')");
  ship(b, a);
  EXPECT_EQ(a.db->foreign_writes(), expected);
}

}  // namespace
}  // namespace entente
