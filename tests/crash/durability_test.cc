#include <gtest/gtest.h>

#include "tests/crash/world.h"

// One test for each way in which something that counted was not durable.
namespace entente::crash {
namespace {

class Durability : public testing::Test {
 protected:
  void SetUp() override {
    seed_sqlite(1);
    ASSERT_TRUE(live_.open());
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    must("INSERT INTO t VALUES (1, 'kept')");
  }

  Result<void> run(const std::string& sql) {
    const ClientTransaction work = [&](WriteSession& session) -> Result<void> {
      Statement statement;
      statement.sql = sql;
      auto done = session.execute(statement);
      if (!done) return tl::unexpected(done.error());
      return {};
    };
    auto done = live_.db().commit(std::span(&work, 1), ++world_.now);
    if (!done) return tl::unexpected(done.error());
    if (!done->results.front()) return tl::unexpected(done->results.front().error());
    return {};
  }
  void must(const std::string& sql) {
    const auto done = run(sql);
    ASSERT_TRUE(done) << sql << ": " << done.error().text;
  }
  size_t count(const std::string& table = "t") {
    auto reader = live_.db().reader();
    return (*reader)->table(table)->size();
  }

  void restart_with(Disk disk) {
    live_.end(std::move(disk));
    const auto opened = live_.open();
    ASSERT_TRUE(opened) << opened.error().text;
  }
  void kill() { restart_with(live_.machine().disk()); }
  // All that was not synced is gone.
  void lose_power() { restart_with(live_.machine().disk().after({})); }
  // The n-th sync from here fails, and what it should have made durable is lost.
  void lie_at_sync(uint64_t n) { live_.machine().arm(Fault{Fault::Kind::kSyncLie, n, false}); }
  // The disk when the first sync of what `sql` did was done, or when it was yet to do.
  Disk at_first_sync_of(const std::string& sql, bool synced) {
    Disk disk = live_.machine().disk();
    live_.machine().record();
    must(sql);
    for (const auto& op : live_.machine().take_record()) {
      const bool sync = op.kind == DiskOp::Kind::kSync;
      if (!sync || synced) disk.apply(op);
      if (sync) break;
    }
    return disk;
  }
  // Of rows 1 and 2 in `email`, the second is hidden, because the first has its address.
  void hide_a_row() {
    must("CREATE TABLE email (id INTEGER PRIMARY KEY, address TEXT UNIQUE)");
    auto peer = open_memory(world_.peers[0].disk, options_of(world_, 2));
    const auto schema = live_.db().read_log(0, SIZE_MAX);
    for (const auto& chunk : *schema) {
      ASSERT_TRUE(peer->apply(std::span(&chunk.run, 1), world_.now));
    }
    must("INSERT INTO email VALUES (1, 'x')");
    world_.now += 10;
    const ClientTransaction put = [](WriteSession& s) -> Result<void> {
      RowRequest r;
      r.table = "email";
      r.key = {int64_t{2}};
      r.columns = {{"address", std::string("x")}};
      auto done = s.write(r);
      if (!done) return tl::unexpected(done.error());
      return {};
    };
    auto written = peer->commit(std::span(&put, 1), world_.now);
    ASSERT_TRUE(written && written->chunk);
    const auto log = peer->read_log(0, SIZE_MAX);
    std::vector<entente::Run> own;
    for (const auto& c : *log) {
      if (c.run.origin == origin_of(2)) own.push_back(c.run);
    }
    ASSERT_TRUE(live_.db().apply(own, ++world_.now));
    ASSERT_EQ(count("email"), 1u);
  }

  World world_{1};
  Live live_{world_};
};

TEST_F(Durability, P3WhatAKilledProcessHadNotSyncedIsDurableBeforeItCounts) {
  restart_with(at_first_sync_of("INSERT INTO t VALUES (2, 'written')", false));
  ASSERT_EQ(count(), 2u) << "the kernel has it";
  lose_power();
  EXPECT_EQ(count(), 2u);
}

TEST_F(Durability, P3NothingIsBuiltUponWhatAFailedSyncLost) {
  lie_at_sync(1);
  const auto refused = run("INSERT INTO t VALUES (2, 'lost')");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kCorrupt);
  kill();
  const size_t there = count();
  must("INSERT INTO t VALUES (3, 'kept')");
  lose_power();
  EXPECT_EQ(count(), there + 1);
}

TEST_F(Durability, NothingIsWrittenAfterASyncFailed) {
  lie_at_sync(1);
  ASSERT_FALSE(run("INSERT INTO t VALUES (2, 'lost')"));
  const auto refused = run("INSERT INTO t VALUES (3, 'refused')");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kCorrupt);
  EXPECT_EQ(live_.db().promise({}).error().code, Code::kCorrupt);
  EXPECT_EQ(live_.db().apply({}, world_.now).error().code, Code::kCorrupt);
  EXPECT_EQ(live_.db().collect({}, 1).error().code, Code::kCorrupt);
  EXPECT_EQ(count(), 1u) << "reads go on";
}

// The first copy from the WAL stops at what a reader holds, unsynced; the second, of the rest,
// fails in its sync. A third would copy that rest only, and let the WAL go.
TEST_F(Durability, P3WalIsNotLetGoAfterItsCopyFailed) {
  size_t acknowledged = 1;
  const auto insert = [&] {
    const auto done =
        run("INSERT INTO t VALUES (" + std::to_string(acknowledged + 1) + ", randomblob(9000))");
    acknowledged += done.has_value();
    return done;
  };
  auto reader = live_.db().reader();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(insert());
  ASSERT_TRUE((*reader)->begin());
  ASSERT_TRUE((*reader)->applied());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(insert());
  (*reader)->end();
  lie_at_sync(3);  // of the commit, of the WAL before it is copied, of the file
  ASSERT_TRUE(insert()) << "it is in the WAL";
  ASSERT_TRUE(live_.machine().struck());
  for (int i = 0; i < 20; ++i) {
    const auto refused = insert();
    EXPECT_TRUE(refused || refused.error().code == Code::kCorrupt);
  }
  reader->reset();
  live_.close();
  kill();
  ASSERT_TRUE(insert()) << "and syncs which files there are";
  lose_power();
  EXPECT_EQ(count(), acknowledged);
  EXPECT_EQ(check_integrity(live_), std::nullopt);
}

TEST_F(Durability, P3WhatIsAcknowledgedWhileTheCheckpointersThreadWorksIsDurable) {
  live_.wal_pages = 0;
  kill();
  size_t acknowledged = 1;
  for (uint64_t round = 1; round <= 8; ++round) {
    for (int i = 0; i < 12; ++i) {
      must("INSERT INTO t VALUES (" + std::to_string(++acknowledged) + ", randomblob(300000))");
    }
    restart_with(live_.machine().disk().after({round, round % 2 == 0 ? 512u : 4096u}));
    ASSERT_EQ(count(), acknowledged);
    ASSERT_EQ(check_integrity(live_), std::nullopt);
  }
}

TEST_F(Durability, P1RowIsShownAlthoughTheMachineStoppedBeforeItCouldBe) {
  hide_a_row();
  restart_with(at_first_sync_of("DELETE FROM email WHERE id = 1", true).after({}));
  EXPECT_EQ(count("email"), 1u);
}

TEST_F(Durability, P1RowThatTheDiskHadNoRoomToShowIsShownLater) {
  hide_a_row();
  Disk before = live_.machine().disk();
  live_.machine().arm({});
  must("DELETE FROM email WHERE id = 1");
  const size_t all = live_.machine().met(Fault::Kind::kFull).size();
  restart_with(before);
  live_.machine().arm(Fault{Fault::Kind::kFull, all, true});
  must("DELETE FROM email WHERE id = 1");
  ASSERT_TRUE(live_.machine().struck());
  ASSERT_EQ(count("email"), 0u) << "the group stands";
  live_.machine().disarm();
  ASSERT_TRUE(live_.db().judge_again(++world_.now));
  EXPECT_EQ(count("email"), 1u);
}

TEST_F(Durability, SnapshotIsDurableWhenItReturns) {
  ASSERT_TRUE(live_.db().snapshot(live_.machine().folder() + "/copy.db"));
  const std::string copied = dump(live_.path());
  lose_power();
  EXPECT_EQ(dump(live_.machine().folder() + "/copy.db"), copied);
}

}  // namespace
}  // namespace entente::crash
