#include "adapters/sqlite/snapshot.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

// A copy of a site's database, begun anew as another one's.
void begin_copy(const Site& of, const std::filesystem::path& path, const Site& as) {
  ASSERT_TRUE(snapshot_sqlite(of.path, path));
  auto options = as.options;
  options.wall_ms = of.now + 1;
  const auto begun = begin_new_life(path, options);
  ASSERT_TRUE(begun) << begun.error().text;
}

TEST(Snapshot, IsTheDatabaseAsItWasAtOneMoment) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 0), (2, 0)");
  std::atomic<bool> stop{false};
  std::thread writer([&] {  // both rows always the same
    for (int i = 1; !stop; ++i) a.must("UPDATE t SET v = " + std::to_string(i));
  });
  for (int i = 0; i < 5; ++i) {
    const auto path = folder.path() / ("copy" + std::to_string(i));
    const auto info = snapshot_sqlite(a.path, path);
    ASSERT_TRUE(info) << info.error().text;
    EXPECT_EQ(info->dc, "dc1");
    EXPECT_EQ(info->incarnation, origin_of(1));
    auto copy = open_sqlite(path, a.options);
    ASSERT_TRUE(copy);
    EXPECT_EQ((*copy)->state().streams.at(origin_of(1)).seq, info->applied.at(origin_of(1)));
    Statement same;
    same.sql = "SELECT count(DISTINCT v) FROM t";
    const auto reader = (*copy)->reader();
    EXPECT_EQ((*reader)->execute(same)->rows.at(0).at(0), Value(int64_t{1}));
  }
  stop = true;
  writer.join();
  EXPECT_EQ(a.db->foreign_writes(), 0u);
}

// A bulk insert runs ahead of the clock; then the datacenter takes another's copy.
TEST(Snapshot, ANewLifeNumbersItsRowsAboveThoseOfTheOneBefore) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must(
      "CREATE TABLE w (id INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (entente_id()) PRIMARY "
      "KEY, v) WITHOUT ROWID");
  ship(a, b);
  a.must("INSERT INTO t (v) VALUES (1), (2), (3)");
  a.must("INSERT INTO t (v) VALUES (4)");
  a.must("DELETE FROM t WHERE v = 4");
  a.must("INSERT INTO w (v) VALUES (1), (2), (3), (4), (5), (6), (7)");
  a.must("INSERT INTO t VALUES (9007199254740737, 'chosen by somebody')");
  ship(a, b);
  const auto path = folder / "again.db";
  a.options.fresh_origin = origin_of(11);
  begin_copy(b, path, a);
  a.path = path;
  a.open();
  a.must("INSERT INTO t (v) VALUES ('t')");
  a.must("INSERT OR REPLACE INTO w (v) VALUES ('w')");
  EXPECT_EQ(a.count("t"), 5);
  EXPECT_EQ(a.count("w"), 8);
  EXPECT_EQ(a.query("SELECT count(*) FROM t WHERE v <> 't' AND id < 9007199254740737 AND id >= "
                    "(SELECT id FROM t WHERE v = 't')")[0][0],
            Value(int64_t{0}));
}

TEST(Snapshot, NothingIsOverwrittenAndNothingElseIsTaken) {
  Folder folder;
  Site a(folder / "a.db", 1);
  const auto copy = folder / "copy", other = folder / "other.db";
  ASSERT_TRUE(snapshot_sqlite(a.path, copy));
  EXPECT_EQ(snapshot_sqlite(a.path, copy).error().tag, "file_exists");
  EXPECT_EQ(snapshot_sqlite(folder / "none", folder / "x").error().tag, "no_file");
  sqlite3* db = nullptr;
  sqlite3_open(other.c_str(), &db);
  sqlite3_exec(db, "CREATE TABLE t (id)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_EQ(snapshot_sqlite(other, folder / "x").error().tag, "no_gateway");
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(Snapshot, DamagedCopyIsNotTaken) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must(
      "INSERT INTO t (v) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i "
      "< 2000) SELECT hex(randomblob(20)) FROM c");
  const auto copy = folder / "copy";
  ASSERT_TRUE(snapshot_sqlite(a.path, copy));
  std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(copy) / 2));
  file << std::string(5000, '\x55');
  file.close();
  EXPECT_FALSE(check_snapshot(copy));
}

TEST(Snapshot, CopyBecomesAnotherDatacenterAndBothGoOn) {
  Folder folder;
  Site a(folder / "a.db", 1), c(folder / "c.db", 3);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  ship(a, c);
  a.must("INSERT INTO t VALUES (1, 'a')");
  c.must("INSERT INTO t VALUES (1, 'c')");  // in conflict
  c.must("INSERT INTO t VALUES (2, 'c')");
  settle(a, c);
  const Site as(folder / "unused.db", 2);
  begin_copy(a, folder / "b.db", as);
  Site b(folder / "b.db", 2);
  const auto state = b.db->state();
  EXPECT_EQ(state.self, origin_of(2));
  EXPECT_EQ(state.streams.at(origin_of(1)).seq, a.seq());
  EXPECT_EQ(state.streams.at(origin_of(2)).seq, 1u);
  EXPECT_EQ(state.labels.at(origin_of(2)), "dc2");
  expect_same(a, b, "t");
  EXPECT_EQ(b.reader->conflicts({})->size(), a.reader->conflicts({})->size());
  b.must("UPDATE t SET v = 'b' WHERE id = 2");
  a.must("INSERT INTO t VALUES (3, 'a')");
  for (auto* site : {&a, &c}) settle(b, *site);
  settle(a, c);
  settle(b, a);
  expect_same(a, b, "t");
  expect_same(b, c, "t");
  EXPECT_EQ(b.count("t"), 3);
  b.open();
  EXPECT_EQ(b.db->state().self, origin_of(2));
  expect_same(a, b, "t");
}

// What the old life wrote after the copy was made comes back from the others, and the new life's
// writes are not taken for it.
TEST(Snapshot, RestoredStaleCopyGetsItsOwnLaterWritesBack) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  b.must("SELECT 1");
  ship(a, b);
  b.must("INSERT INTO t VALUES (1, 'early')");
  const auto copy = folder / "copy.db";
  ASSERT_TRUE(snapshot_sqlite(b.path, copy));
  b.must("INSERT INTO t VALUES (2, 'late')");
  settle(a, b);
  const Site as(folder / "unused.db", 4);
  auto options = b.options;
  options.fresh_origin = origin_of(9);
  ASSERT_TRUE(begin_new_life(copy, options));
  b.path = copy;
  b.open();
  EXPECT_EQ(b.db->state().self, origin_of(9));
  EXPECT_EQ(b.count("t"), 1);
  auto runs = a.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(runs);
  ship(a, b);
  EXPECT_EQ(b.count("t"), 2);
  b.must("UPDATE t SET v = 'again' WHERE id = 2");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.query("SELECT v FROM t WHERE id = 2")[0][0], Value(std::string("again")));
}

}  // namespace
}  // namespace entente
