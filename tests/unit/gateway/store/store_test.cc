#include "gateway/store/store.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/unit/gateway/server/fake_database.h"

namespace entente {
namespace {

using test::FakeDatabase;

// A store over a fake database, with callbacks turned into futures.
class StoreTest : public testing::Test {
 protected:
  void open(Limits limits = {}) {
    auto database = std::make_unique<FakeDatabase>();
    fake_ = database.get();
    store_ = std::make_unique<Store>(std::move(database), limits,
                                     [this](Error e) { fatal_.push_back(std::move(e)); });
    ASSERT_TRUE(store_->start());
  }

  std::future<Result<Committed>> put(int64_t id, bool alone = false) {
    auto promise = std::make_shared<std::promise<Result<Committed>>>();
    const bool queued = store_->submit(
        [id](WriteSession& session) -> Result<void> {
          RowRequest request;
          request.table = "t";
          request.key = {id};
          auto done = session.write(request);
          if (!done) return tl::unexpected(done.error());
          return {};
        },
        alone, [promise](Result<Committed> r) { promise->set_value(std::move(r)); });
    if (!queued) promise->set_value(fail(Code::kBusy, "not queued"));
    return promise->get_future();
  }

  std::future<Result<std::vector<LogChunk>>> apply(entente::Run run) {
    auto promise = std::make_shared<std::promise<Result<std::vector<LogChunk>>>>();
    store_->apply({std::move(run)}, [promise](auto r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }

  std::future<bool> reached(const Origin& o, uint64_t seq, std::chrono::milliseconds patience) {
    auto promise = std::make_shared<std::promise<bool>>();
    VersionVector target;
    target.advance(o, seq);
    store_->when_applied(target, Store::Clock::now() + patience,
                         [promise](bool ok) { promise->set_value(ok); });
    return promise->get_future();
  }

  static Origin other() {
    Origin o;
    o.id[0] = 7;
    return o;
  }

  FakeDatabase* fake_ = nullptr;
  std::unique_ptr<Store> store_;
  std::vector<Error> fatal_;
};

TEST_F(StoreTest, WritesThatWaitedTogetherAreCommittedTogether) {
  open();
  fake_->hold();
  auto first = put(1);
  fake_->wait_until_held();
  std::vector<std::future<Result<Committed>>> rest;
  for (int64_t id = 2; id < 10; ++id) rest.push_back(put(id));
  fake_->let_go();
  EXPECT_TRUE(first.get());
  for (auto& f : rest) EXPECT_TRUE(f.get());
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 8}));
}

TEST_F(StoreTest, GroupIsBounded) {
  Limits limits;
  limits.group_transactions = 3;
  open(limits);
  fake_->hold();
  std::vector<std::future<Result<Committed>>> all;
  all.push_back(put(0));
  fake_->wait_until_held();
  for (int64_t id = 1; id < 8; ++id) all.push_back(put(id));
  fake_->let_go();
  for (auto& f : all) EXPECT_TRUE(f.get());
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 3, 3, 1}));
}

TEST_F(StoreTest, WhatAFullGroupHadNoRoomForIsTheNextOnes) {
  open();
  fake_->full_after(3);
  fake_->hold();
  std::vector<std::future<Result<Committed>>> all;
  all.push_back(put(0));
  fake_->wait_until_held();
  for (int64_t id = 1; id < 6; ++id) all.push_back(put(id));
  all.push_back(put(6, true));
  fake_->let_go();
  std::vector<uint64_t> seqs;
  for (auto& f : all) seqs.push_back(f.get()->dot->seq - seqs.size());
  EXPECT_EQ(seqs, std::vector<uint64_t>(7, seqs.front())) << "one after the other";
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 5, 2, 1}));
}

TEST_F(StoreTest, TransactionAloneSharesNoGroupAndKeepsItsTurn) {
  open();
  fake_->hold();
  std::vector<std::future<Result<Committed>>> all;
  all.push_back(put(0));
  fake_->wait_until_held();
  all.push_back(put(1)), all.push_back(put(2)), all.push_back(put(3, true)), all.push_back(put(4));
  fake_->let_go();
  for (auto& f : all) EXPECT_TRUE(f.get());
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 2, 1, 1}));
}

TEST_F(StoreTest, TransactionsThatWaitForTheirClientsHoldUpOthersOnceEach) {
  open();
  fake_->hold();
  std::vector<std::future<Result<Committed>>> all;
  all.push_back(put(0));
  fake_->wait_until_held();
  for (int64_t id = 1; id < 5; ++id) all.push_back(put(id, true));
  all.push_back(put(5)), all.push_back(put(6));
  fake_->let_go();
  for (auto& f : all) EXPECT_TRUE(f.get());
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 1, 2, 1, 1, 1}));
}

TEST_F(StoreTest, AppliesAndGroupsTakeTurns) {
  Limits limits;
  limits.group_transactions = 1;
  open(limits);
  fake_->hold();
  auto first = put(0);
  fake_->wait_until_held();
  auto write = put(1), write_two = put(2);
  auto one = apply({other(), 1, 1, ""}), two = apply({other(), 2, 1, ""});
  fake_->let_go();
  EXPECT_TRUE(write_two.get());
  EXPECT_TRUE(two.get());
  EXPECT_EQ(fake_->group_sizes(), (std::vector<size_t>{1, 0, 1, 0, 1}));
}

TEST_F(StoreTest, QueueIsBounded) {
  Limits limits;
  limits.queued_writes = 2;
  open(limits);
  fake_->hold();
  auto running = put(0);
  fake_->wait_until_held();
  auto a = put(1), b = put(2), refused = put(3);
  EXPECT_EQ(refused.get().error().code, Code::kBusy);
  fake_->let_go();
  EXPECT_TRUE(a.get());
  EXPECT_TRUE(b.get());
}

TEST_F(StoreTest, WaiterIsCalledWhenItsVectorIsApplied) {
  open();
  EXPECT_TRUE(reached(FakeDatabase::self(), 1, std::chrono::milliseconds(0)).get());
  auto waiting = reached(other(), 2, std::chrono::hours(1));
  EXPECT_TRUE(apply({other(), 1, 1, ""}).get());
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_TRUE(apply({other(), 2, 1, ""}).get());
  EXPECT_TRUE(waiting.get());
}

TEST_F(StoreTest, WaiterIsRefusedAtItsDeadlineWhileTheWriterIsBusy) {
  open();
  fake_->hold();
  auto running = put(0);
  fake_->wait_until_held();
  EXPECT_FALSE(reached(other(), 1, std::chrono::milliseconds(1)).get());
  fake_->let_go();
  EXPECT_TRUE(running.get());
}

TEST_F(StoreTest, AppliedCoversAWriteBeforeItsReply) {
  open();
  const auto committed = put(1).get();
  ASSERT_TRUE(committed);
  EXPECT_TRUE(store_->applied().covers(*committed->dot));
}

TEST_F(StoreTest, FullDiskIsToldUntilAWriteSucceeds) {
  open();
  fake_->fail_with(Error{Code::kExhausted, "the disk is full", ""});
  EXPECT_EQ(put(1).get().error().code, Code::kExhausted);
  EXPECT_TRUE(store_->counters().disk_full);
  fake_->fail_with(std::nullopt);
  EXPECT_TRUE(put(1).get());
  EXPECT_FALSE(store_->counters().disk_full);
}

TEST_F(StoreTest, CorruptDatabaseIsReportedOnceAndNeverWrittenAgain) {
  open();
  fake_->fail_with(Error{Code::kCorrupt, "the file is not what it was", ""});
  EXPECT_EQ(put(1).get().error().code, Code::kCorrupt);
  fake_->fail_with(std::nullopt);
  EXPECT_EQ(put(2).get().error().code, Code::kCorrupt);
  EXPECT_EQ(apply({other(), 1, 1, ""}).get().error().code, Code::kCorrupt);
  store_->stop();
  EXPECT_EQ(fatal_.size(), 1u);
  EXPECT_EQ(fake_->group_sizes().size(), 1u);
}

TEST_F(StoreTest, CommitsAreHeardAndTrimsRunWhenIdle) {
  auto database = std::make_unique<FakeDatabase>();
  fake_ = database.get();
  store_ = std::make_unique<Store>(std::move(database), Limits{}, nullptr);
  std::vector<uint64_t> heard;
  store_->on_commit([&](const LogChunk& chunk) { heard.push_back(chunk.run.last()); });
  ASSERT_TRUE(store_->start());
  EXPECT_TRUE(put(1).get());
  store_->trim_log({}, {});
  store_->stop();
  EXPECT_EQ(heard, std::vector<uint64_t>{2});
  EXPECT_EQ(fake_->trims(), 1u);
}

TEST_F(StoreTest, PromiseIsMadeBeforeItIsReported) {
  open();
  std::promise<VersionVector> told;
  store_->promise(store_->applied(), [&](Result<void> done) {
    told.set_value(done ? fake_->promised() : VersionVector());
  });
  EXPECT_EQ(told.get_future().get(), store_->applied());
}

TEST_F(StoreTest, PromiseThatCannotBeMadeIsReported) {
  open();
  fake_->fail_with(Error{Code::kExhausted, "the disk is full", ""});
  std::promise<Result<void>> told;
  store_->promise(store_->applied(), [&](Result<void> done) { told.set_value(std::move(done)); });
  EXPECT_EQ(told.get_future().get().error().code, Code::kExhausted);
  EXPECT_TRUE(store_->counters().disk_full);
  store_->stop();
  std::promise<Result<void>> stopped;
  store_->promise({}, [&](Result<void> done) { stopped.set_value(std::move(done)); });
  EXPECT_EQ(stopped.get_future().get().error().code, Code::kBusy);
}

TEST_F(StoreTest, CollectingGoesOnUntilTheRoundIsOver) {
  open();
  fake_->set_collect_slices(5);
  store_->collect(store_->applied());
  fake_->wait_for_collects(5);
  store_->stop();
  EXPECT_EQ(fake_->collects(), std::vector<VersionVector>(5, store_->applied()));
  EXPECT_EQ(store_->counters().collected_rows, 5u);
}

TEST_F(StoreTest, CollectingMoreInTheMiddleOfARoundAddsARound) {
  open();
  fake_->set_collect_slices(3);
  VersionVector more = store_->applied();
  more.advance(other(), 4);
  fake_->hold();
  auto blocked = put(1);
  fake_->wait_until_held();
  store_->collect(store_->applied());
  store_->collect(more);
  fake_->let_go();
  EXPECT_TRUE(blocked.get());
  fake_->wait_for_collects(6);
  store_->stop();
  EXPECT_EQ(fake_->collects(), std::vector<VersionVector>(6, more));
}

TEST_F(StoreTest, StopFinishesWhatIsQueued) {
  open();
  std::vector<std::future<Result<Committed>>> all;
  for (int64_t id = 0; id < 100; ++id) all.push_back(put(id));
  store_->stop();
  for (auto& f : all) EXPECT_TRUE(f.get());
  EXPECT_EQ(put(1).get().error().code, Code::kBusy);
}

}  // namespace
}  // namespace entente
