#include "adapters/replay.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/snapshot.h"
#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

// A datacenter's database is replaced by a copy of another's, and its own is brought over.
class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() : a_(folder_ / "a.db", 1), b_(folder_ / "b.db", 2), c_(folder_ / "c.db", 3) {
    a_.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v, n INTEGER)");
    for (auto* site : {&b_, &c_}) ship(a_, *site);
    b_.must("INSERT INTO t VALUES (1, 'shared', 10)");
    settle(a_, b_);
    ship(b_, c_);
  }

  // Copies a file that nobody has open.
  static void copy(const std::filesystem::path& from, const std::filesystem::path& to) {
    ASSERT_TRUE(snapshot_sqlite(from, to));
  }

  // Replaces the database of b by a copy of `source`, which b then is; b's own stays as old_.
  Result<Replayed> rejoin(Site& source, const std::optional<Doubt>& doubt = std::nullopt) {
    const auto path = folder_ / "fresh.db";
    copy(source.path, path);
    auto options = b_.options;
    options.fresh_origin = origin_of(22);
    options.wall_ms = source.now + 1;
    const auto begun = begin_new_life(path, options);
    if (!begun) return tl::unexpected(begun.error());
    const auto fresh = open_sqlite(path, options);
    const auto done = replay(*b_.db, **fresh, origin_of(21), doubt, source.now + 2);
    b_.path = path;
    return done;
  }

  static void forget_log(Site& site) {
    VersionVector everything;
    for (const auto& [origin, stream] : site.db->state().streams)
      everything.set(origin, stream.seq);
    ASSERT_TRUE(site.db->trim_log(everything, {}));
  }

  // Everybody hears of everything.
  void settle_all() {
    for (int i = 0; i < 2; ++i) {
      settle(a_, b_);
      settle(a_, c_);
    }
    expect_same(a_, b_, "t");
    expect_same(a_, c_, "t");
  }

  Folder folder_;
  Site a_, b_, c_;
};

TEST_F(ReplayTest, WhatNobodyElseHasIsBroughtOverAsItWas) {
  a_.must("UPDATE t SET v = 'theirs' WHERE id = 1");
  b_.must("INSERT INTO t VALUES (2, 'unshipped', 0)");
  c_.must("INSERT INTO t VALUES (3, 'only b has it', 0)");
  ship(c_, b_);  // and c burns
  const auto done = rejoin(a_);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->changes, 3u);  // c's first ones too: a had never heard of it
  EXPECT_EQ(done->reissued, 0u);
  const auto b2 = b_.seq();
  b_.open();
  EXPECT_EQ(b_.db->state().self, origin_of(22));
  EXPECT_EQ(b_.db->state().streams.at(origin_of(2)).seq, b2);
  EXPECT_EQ(b_.count("t"), 3);
  b_.must("INSERT INTO t VALUES (4, 'new life', 0)");
  settle_all();
  EXPECT_EQ(a_.count("t"), 4);
}

// Others may have collected what only this promise allows them to.
TEST_F(ReplayTest, WhatWasPromisedIsPromisedInTheNewLifeToo) {
  VersionVector floor;
  for (const auto& [origin, stream] : b_.db->state().streams) floor.set(origin, stream.seq);
  ASSERT_TRUE(b_.db->promise(floor));
  a_.must("UPDATE t SET v = 'theirs' WHERE id = 1");
  ASSERT_TRUE(rejoin(a_));
  b_.open();
  EXPECT_EQ(b_.db->state().promised, floor);
}

TEST_F(ReplayTest, WhatARestoredBackupWroteUnderItsOldNameComesBackUnderAnother) {
  const auto backup = folder_ / "backup.db";
  copy(b_.path, backup);
  b_.must("INSERT INTO t VALUES (2, 'after the backup', 0)");
  b_.must("UPDATE t SET v = 'after the backup' WHERE id = 1");
  settle(a_, b_);
  b_.path = backup;
  b_.open();
  b_.must("INSERT INTO t VALUES (5, 'orphan', 0)");
  b_.must("INSERT INTO t VALUES (6, 'orphan', 0)");
  b_.must("DELETE FROM t WHERE id = 6");
  b_.must("UPDATE t SET n = 11 WHERE id = 1");
  b_.must("UPDATE t SET v = 'seen by its writer' WHERE id = 5");
  const auto done = rejoin(a_);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->reissued, 5u);
  b_.open();
  settle_all();
  EXPECT_EQ(a_.count("t"), 3);
  const auto one = a_.query("SELECT v, n FROM t WHERE id = 1").at(0);
  EXPECT_EQ(one, (std::vector<Value>{"after the backup", int64_t{11}}));
  EXPECT_EQ(a_.query("SELECT v FROM t WHERE id = 5").at(0).at(0), Value("seen by its writer"));
  EXPECT_TRUE(a_.reader->conflicts({})->empty());
  EXPECT_EQ(a_.db->state().labels.at(origin_of(21)), "dc2");
}

TEST_F(ReplayTest, OfARestoredBackupThatWroteNothingThereIsNothingToBringOver) {
  const auto backup = folder_ / "backup.db";
  copy(b_.path, backup);
  b_.must("INSERT INTO t VALUES (2, 'after the backup', 0)");
  settle(a_, b_);
  b_.path = backup;
  b_.open();
  const auto done = rejoin(a_);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->changes, 0u);
  b_.open();
  EXPECT_EQ(b_.count("t"), 2);
}

// P6: c has what a lacks. Nobody can tell whether b's database is the newest, but it is whole.
TEST_F(ReplayTest, WhatAThirdMayHaveUnderTheOldNameKeepsIt) {
  b_.must("INSERT INTO t VALUES (2, 'b', 0)");
  b_.must("UPDATE t SET n = n + 5 WHERE id = 1");
  ship(b_, c_);
  c_.must("DELETE FROM t WHERE id = 2");
  settle(b_, c_);  // a's copy has to take a change that depends on what it lacks
  b_.must("INSERT INTO t VALUES (3, 'only b has it', 0)");
  const auto done = rejoin(a_, Doubt());
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->reissued, 0u);
  b_.open();
  b_.must("INSERT INTO t VALUES (4, 'new life', 0)");
  settle_all();
  EXPECT_EQ(a_.count("t"), 3);
  EXPECT_FALSE(a_.db->state().streams.contains(origin_of(21)));
}

// … and what it wrote since it was opened, before anybody confirmed its history, does not.
TEST_F(ReplayTest, OnlyWhatWasWrittenUnconfirmedBecomesAnothersHistory) {
  b_.must("INSERT INTO t VALUES (2, 'b', 0)");
  ship(b_, c_);
  const uint64_t opened_at = b_.seq();
  b_.must("UPDATE t SET v = 'unconfirmed' WHERE id = 2");
  b_.must("INSERT INTO t VALUES (3, 'unconfirmed', 0)");
  const auto done = rejoin(a_, Doubt{opened_at});
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->changes, 3u);
  EXPECT_EQ(done->reissued, 2u);
  b_.open();
  EXPECT_EQ(b_.db->state().streams.at(origin_of(2)).seq, opened_at);
  EXPECT_EQ(b_.db->state().streams.at(origin_of(21)).seq, 2u);
  settle_all();
  EXPECT_EQ(c_.query("SELECT v FROM t WHERE id = 2").at(0).at(0), Value("unconfirmed"));
  EXPECT_TRUE(c_.reader->conflicts({})->empty());
}

// … unless it was sent to somebody meanwhile: c has it.
TEST_F(ReplayTest, WhatWasShippedUnconfirmedKeepsItsName) {
  const uint64_t opened_at = b_.seq();
  b_.must("UPDATE t SET n = n + 5 WHERE id = 1");
  b_.must("INSERT INTO t VALUES (2, 'b', 0)");
  ship(b_, c_);
  c_.must("DELETE FROM t WHERE id = 2");
  const auto done = rejoin(a_, Doubt{opened_at, true});
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->reissued, 0u);
  b_.open();
  settle_all();
  EXPECT_EQ(a_.count("t"), 1);
}

// There is a way out: nothing would get another name.
TEST_F(ReplayTest, OfAWholeDatabaseWhoseLogHasForgottenTheRowsComeOver) {
  b_.must("INSERT INTO t VALUES (2, 'unshipped', 0)");
  forget_log(b_);
  const auto done = rejoin(a_, Doubt());
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->joined, done->changes);
  b_.open();
  EXPECT_EQ(b_.count("t"), 2);
}

TEST_F(ReplayTest, SchemaChangesOfAnOrphanHistoryAreLeftOutAndItsRowsAreNot) {
  const auto backup = folder_ / "backup.db";
  copy(a_.path, backup);
  a_.must("INSERT INTO t VALUES (2, 'after the backup', 0)");
  settle(a_, b_);
  // Here dc1 is restored: it leads the schema.
  Site restored(backup, 1);
  restored.must("CREATE TABLE forgotten (id INTEGER PRIMARY KEY)");
  restored.must("INSERT INTO forgotten VALUES (1)");
  restored.must("ALTER TABLE t ADD COLUMN forgotten TEXT");
  restored.must("INSERT INTO t VALUES (7, 'orphan', 0, 'not this')");
  const auto path = folder_ / "fresh.db";
  copy(b_.path, path);
  auto options = a_.options;
  options.fresh_origin = origin_of(12);
  ASSERT_TRUE(begin_new_life(path, options));
  const auto fresh = open_sqlite(path, options);
  const auto done = replay(*restored.db, **fresh, origin_of(11), std::nullopt, a_.now + 10);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->reissued, 4u);
  EXPECT_EQ(done->dropped_schema_changes, 3u);
  const auto rows = (*(*fresh)->reader())->table("t");
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_FALSE(rows->rbegin()->second.contains("forgotten"));
  EXPECT_EQ(rows->rbegin()->second.at("v"), Value("orphan"));
}

TEST_F(ReplayTest, OfWhatTheLogHasForgottenTheRowsComeOver) {
  b_.must("INSERT INTO t VALUES (2, 'b, and a deletes it', 0)");
  settle(a_, b_);
  const auto early = folder_ / "early.db";
  copy(a_.path, early);
  for (int i = 3; i < 6; ++i) b_.must("INSERT INTO t VALUES (" + std::to_string(i) + ", 'b', 0)");
  b_.must("DELETE FROM t WHERE id = 1");
  a_.must("DELETE FROM t WHERE id = 2");
  ship(a_, b_);
  forget_log(b_);
  b_.must("INSERT INTO t VALUES (9, 'unshipped', 0)");
  a_.path = early;
  const auto done = rejoin(a_);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->changes, 6u);  // b's five, and a's own
  EXPECT_EQ(done->joined, 6u);
  b_.open();
  EXPECT_EQ(b_.count("t"), 4);
  EXPECT_EQ(b_.query("SELECT v FROM t WHERE id = 9").at(0).at(0), Value("unshipped"));
  // Others are told that it is not in the log, and get the rest from it.
  const uint64_t last = b_.db->state().streams.at(origin_of(2)).seq;
  EXPECT_FALSE(b_.db->position_before(origin_of(2), last - 2));
  b_.must("INSERT INTO t VALUES (10, 'new life', 0)");
  EXPECT_TRUE(b_.db->position_before(origin_of(22), 1));
}

TEST_F(ReplayTest, AForkWhoseChangesTheLogHasForgottenIsRefused) {
  const auto backup = folder_ / "backup.db";
  copy(b_.path, backup);
  b_.must("INSERT INTO t VALUES (2, 'after the backup', 0)");
  settle(a_, b_);
  b_.path = backup;
  b_.open();
  b_.must("INSERT INTO t VALUES (5, 'orphan', 0)");
  forget_log(b_);
  const auto refused = rejoin(a_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, "copy_too_old");
}

TEST_F(ReplayTest, WhereTheLogBeginsLaterWritersCountAsHavingSeenLess) {
  a_.must("INSERT INTO t VALUES (2, 'a', 0)");
  settle(a_, b_);
  b_.must("UPDATE t SET v = 'b' WHERE id = 2");
  settle(a_, b_);
  forget_log(b_);
  const auto backup = folder_ / "backup.db";
  copy(b_.path, backup);
  b_.must("INSERT INTO t VALUES (3, 'after the backup', 0)");
  settle(a_, b_);
  b_.path = backup;
  b_.open();
  b_.must("UPDATE t SET v = 'orphan' WHERE id = 2");
  const auto done = rejoin(a_);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->reissued, 1u);
  b_.open();
  settle_all();
  EXPECT_EQ(a_.query("SELECT v FROM t WHERE id = 2").at(0).at(0), Value("orphan"));
}

}  // namespace
}  // namespace entente
