// What a replica promises, what it counts of the others' promises, and what may be collected.

#include <gtest/gtest.h>

#include <iterator>
#include <map>

#include "tests/unit/gateway/replica/replica_fixture.h"

namespace entente {
namespace {

constexpr Instant kLifetime{1600};

Replica::Options short_lived() {
  Replica::Options options;
  options.context_lifetime = kLifetime;
  return options;
}

TEST_F(ReplicaTest, PromisesNothingBeforeItHasMetSomebody) {
  start({"a", "me"}, short_lived());
  Author me("me");
  replica_->committed({++position_, me.next()}, now_);
  EXPECT_EQ(live(3 * kLifetime), std::nullopt) << "it may have forgotten a promise";
  connect("a", {});
  replica_->link_down("a", now_);
  EXPECT_EQ(live(kLifetime), me.seen());
  start({"me"}, short_lived());
  Author alone("me");
  replica_->committed({1, alone.next()}, now_);
  EXPECT_EQ(live(2 * kLifetime), alone.seen()) << "there is nobody to meet";
}

TEST_F(ReplicaTest, PromisesNothingNewerThanALifetime) {
  start({"a", "me"}, short_lived());
  connect("a", {});
  Author me("me");
  std::map<Instant, VersionVector> history{{now_, {}}};
  size_t promises = 0;
  for (int i = 0; i < 300; ++i) {
    if (i % 7 == 0) replica_->committed({++position_, me.next()}, now_);
    history[now_] = replica_->applied();
    later(Instant{20});
    const auto promise = replica_->take().promise;
    if (!promise) continue;
    ++promises;
    ASSERT_GE(now_, Instant{1000} + kLifetime);
    EXPECT_TRUE(std::prev(history.upper_bound(now_ - kLifetime))->second.covers(*promise));
    replica_->promised(now_);
  }
  EXPECT_GT(promises, 20u);
  EXPECT_EQ(live(kLifetime + Instant{200}), me.seen()) << "in the end everything is promised";
  EXPECT_EQ(live(10 * kLifetime), std::nullopt) << "and then there is nothing to say";
}

TEST_F(ReplicaTest, OffersOnePromiseAtATimeAndTellsItOnceItIsDurable) {
  start({"a", "me"}, short_lived());
  connect("a", {});
  Author me("me");
  replica_->committed({++position_, me.next()}, now_);
  later(Instant{100});
  const auto first = me.seen();
  later(kLifetime);
  replica_->committed({++position_, me.next()}, now_);
  later(Instant{20});
  auto ready = replica_->take();
  ASSERT_EQ(ready.promise, first);
  later(kLifetime);
  ready = replica_->take();
  EXPECT_FALSE(ready.promise) << "one is on its way";
  for (const auto& vectors : sent<Vectors>(ready, "a")) {
    for (const auto& row : vectors.rows) EXPECT_EQ(row.promise, Promise{});
  }
  replica_->promised(now_);
  later(Instant{20});
  const auto told = sent<Vectors>(replica_->take(), "a");
  ASSERT_EQ(told.size(), 1u);
  ASSERT_EQ(told[0].rows.size(), 1u);
  EXPECT_EQ(told[0].rows[0].promise, (Promise{first, 2})) << "2: what it had written by now";
}

TEST_F(ReplicaTest, TellsAPromiseOncePerLink) {
  start({"a", "b", "me"}, short_lived());
  connect("a", {});
  connect("b", {});
  Author me("me");
  replica_->committed({++position_, me.next()}, now_);
  live(2 * kLifetime);
  hear("b", "b", me.seen(), {me.seen(), 0});
  replica_->committed({++position_, me.next()}, now_);
  later(Instant{20});
  const auto told = sent<Vectors>(replica_->take(), "a");
  ASSERT_EQ(told.size(), 1u);
  ASSERT_EQ(told[0].rows.size(), 2u);
  EXPECT_EQ(told[0].rows[0].promise, (Promise{vector_at(me, 1), 0})) << "of b, relayed";
  EXPECT_EQ(told[0].rows[1].promise, Promise{}) << "its own it has told";
}

TEST_F(ReplicaTest, APromiseThatFailedIsOfferedAgainAfterAPause) {
  start({"a", "me"}, short_lived());
  connect("a", {});
  Author me("me");
  replica_->committed({++position_, me.next()}, now_);
  later(Instant{100});
  later(kLifetime);
  ASSERT_TRUE(replica_->take().promise);
  replica_->promise_failed(now_);
  EXPECT_FALSE(replica_->take().promise);
  EXPECT_TRUE(replica_->collectable().empty());
  later(Instant{2000});
  EXPECT_EQ(replica_->take().promise, me.seen());
}

TEST_F(ReplicaTest, PromisesNothingWhileSomebodyBeginsANewLifeWithItsCopy) {
  start({"b", "me"}, short_lived());
  Author me("me"), b("b"), reborn("B");
  replica_->committed({1, me.next()}, now_);
  b.next(), reborn.next();
  connect("b", {});
  hear("b", "b", b.seen(), {});
  replica_->copied_by("b");
  EXPECT_EQ(live(2 * kLifetime), std::nullopt);
  VersionVector has = b.seen();
  has.join(reborn.seen());
  replica_->link_down("b", now_);
  Hello hello;
  hello.dc = "b";
  hello.incarnation = reborn.origin();
  hello.window = 1 << 20;
  for (const auto& d : has) hello.applied.push_back({d.origin, "b", d.seq, {}});
  replica_->link_up(hello, now_);
  EXPECT_EQ(live(kLifetime / 2), std::nullopt) << "what it brings is not here yet";
  Author b_again("b"), reborn_again("B");
  receive("b", b_again.next());
  receive("b", reborn_again.next());
  EXPECT_EQ(apply_one(), 2u);
  EXPECT_TRUE(live(2 * kLifetime));
}

TEST_F(ReplicaTest, CollectableIsWhatEverybodyPromised) {
  start({"a", "b", "me"}, short_lived());
  Author a("a");
  const Run one = a.next(), two = a.next();
  connect("a", {});
  receive("a", one);
  apply_one();
  receive("a", two);
  apply_one();
  live(2 * kLifetime);
  EXPECT_TRUE(replica_->collectable().empty()) << "b was never heard of";
  hear("a", "a", a.seen(), {a.seen(), 2});
  EXPECT_TRUE(replica_->collectable().empty());
  hear("a", "b", a.seen(), {vector_at(a, 1), 0});
  EXPECT_EQ(replica_->collectable(), vector_at(a, 1));
  hear("a", "b", a.seen(), {a.seen(), 0});
  EXPECT_EQ(replica_->collectable(), a.seen());
  hear("a", "b", a.seen(), {vector_at(a, 1), 0});
  EXPECT_EQ(replica_->collectable(), a.seen()) << "late news are no news";
}

TEST_F(ReplicaTest, APromiseCountsOnceItsMakersChangesUpToItAreApplied) {
  start({"a", "me"}, short_lived());
  Author a("a");
  connect("a", {});
  receive("a", a.next());
  apply_one();
  live(2 * kLifetime);
  const auto first = a.seen();
  const Run second = a.next(), third = a.next();
  hear("a", "a", first, {first, 1});
  EXPECT_EQ(replica_->collectable(), first);
  receive("a", second);
  apply_one();
  live(2 * kLifetime);
  hear("a", "a", a.seen(), {vector_at(a, 2), 3});
  EXPECT_EQ(replica_->collectable(), first) << "the third may have seen less than the promise";
  hear("a", "a", a.seen(), {a.seen(), 9});
  receive("a", third);
  apply_one();
  EXPECT_EQ(replica_->collectable(), vector_at(a, 2)) << "the one it waited for, not the latest";
}

TEST_F(ReplicaTest, WhatADatacentersFormerLifePromisedDoesNotCount) {
  start({"a", "me"}, short_lived());
  Author a("a");
  connect("a", {});
  receive("a", a.next());
  apply_one();
  live(2 * kLifetime);
  hear("a", "a", a.seen(), {a.seen(), 1});
  EXPECT_EQ(replica_->collectable(), a.seen());
  Hello reborn;
  reborn.dc = "a";
  reborn.incarnation = origin_of('A');
  reborn.window = 1 << 20;
  replica_->link_up(reborn, now_);
  EXPECT_TRUE(replica_->collectable().empty());
  const auto says = [&](const VersionVector& applied) {
    const MemberVector row{"a", origin_of('A'), applied, {vector_at(a, 1), 0}};
    replica_->receive("a", Vectors{{row}, {}}, now_, kWall);
  };
  says(a.seen());
  EXPECT_EQ(replica_->collectable(), a.seen());
  a.next();
  says(a.seen());
  EXPECT_TRUE(replica_->collectable().empty()) << "a change of its former life is on its way";
}

TEST_F(ReplicaTest, APromiseSurvivesARestartAndTheNextComesALifetimeLater) {
  start({"a", "me"}, short_lived());
  Author me("me");
  me.next(), me.next();
  Replica::State state{origin_of('m'), {}, {}, 2, vector_at(me, 1)};
  state.streams[origin_of('m')].seq = 2;
  restart(short_lived(), state);
  connect("a", {});
  later(Instant{20});
  const auto told = sent<Vectors>(replica_->take(), "a");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].rows.at(0).promise, (Promise{vector_at(me, 1), 2}));
  EXPECT_EQ(live(kLifetime - Instant{100}), std::nullopt);
  EXPECT_EQ(live(Instant{200}), me.seen());
}

TEST_F(ReplicaTest, NothingIsStableBeforeEveryDatacenterWasHeardOf) {
  start({"a", "b", "me"});
  Author a("a");
  const Run run = a.next();
  connect("a", a.seen());
  receive("a", run);
  apply_one();
  EXPECT_TRUE(replica_->stable().empty());
  MemberVector row{"b", origin_of('b'), a.seen()};
  replica_->receive("a", Vectors{{row}, {}}, now_, kWall);
  EXPECT_EQ(replica_->stable(), a.seen());
}

}  // namespace
}  // namespace entente
