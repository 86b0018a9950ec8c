#include "gateway/replica/replica.h"

#include <gtest/gtest.h>

#include "gateway/replica/wire.h"
#include "tests/unit/gateway/replica/replica_fixture.h"

namespace entente {
namespace {

// Ten changes of some 500 bytes.
Run long_run(Author& author) {
  Run run = author.next({}, 500);
  for (int i = 0; i < 9; ++i) run = run + author.next({}, 500);
  return run;
}

TEST_F(ReplicaTest, AsksEachOriginAtTheNeighbourTheTopologyNames) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  a.next(), b.next();
  VersionVector both = a.seen();
  both.join(b.seen());
  connect("a", both);
  connect("b", both);
  const auto ready = replica_->take();
  EXPECT_EQ(sent<Subscribe>(ready, "a"), (std::vector<Subscribe>{{a.origin(), 0}}));
  EXPECT_EQ(sent<Subscribe>(ready, "b"), (std::vector<Subscribe>{{b.origin(), 0}}));
}

TEST_F(ReplicaTest, HandsAChangeToTheDatabaseOnceHoweverOftenItArrives) {
  start({"a", "me"});
  Author a("a");
  const Run first = a.next(), second = a.next();
  connect("a", a.seen());
  receive("a", first);
  receive("a", first + second);
  EXPECT_EQ(apply_one(), 2u);
  receive("a", first + second);
  EXPECT_EQ(apply_one(), 0u);
  EXPECT_EQ(replica_->applied(), a.seen());
}

TEST_F(ReplicaTest, HoldsAChangeBackUntilItsCauseIsHere) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  const Run cause = a.next();
  const Run effect = b.next(a.seen());
  connect("a", {});
  connect("b", b.seen());
  receive("b", effect);
  EXPECT_EQ(apply_one(), 0u);
  receive("a", cause);
  const auto ready = replica_->take();
  ASSERT_TRUE(ready.apply);
  ASSERT_EQ(ready.apply->runs.size(), 2u);
  EXPECT_EQ(ready.apply->runs[0].origin, a.origin());
  EXPECT_EQ(ready.apply->runs[1].origin, b.origin());
}

TEST_F(ReplicaTest, OneApplyAtATime) {
  start({"a", "me"});
  Author a("a");
  connect("a", {});
  receive("a", a.next());
  ASSERT_TRUE(replica_->take().apply);
  receive("a", a.next());
  EXPECT_FALSE(replica_->take().apply);
}

TEST_F(ReplicaTest, PublishesNothingThatIsNotYetDurable) {
  start({"a", "b", "me"});
  Author a("a");
  connect("a", {});
  connect("b", {});
  replica_->take();
  receive("a", a.next());
  ASSERT_TRUE(replica_->take().apply);
  later(Instant{100});
  for (const auto& vectors : sent<Vectors>(replica_->take(), "b")) {
    for (const auto& row : vectors.rows) EXPECT_FALSE(row.applied.covers(a.seen()));
  }
}

TEST_F(ReplicaTest, SendsALocalCommitAtOnceToWhoSubscribed) {
  start({"a", "me"});
  connect("a", {});
  Author me("me");
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->take();
  replica_->committed({1, me.next()}, now_);
  const auto changes = sent<Changes>(replica_->take(), "a");
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].runs[0].last(), 1u);
}

TEST_F(ReplicaTest, WhatSomebodyBroughtOfNobodysLifeGoesOnFromThere) {
  start({"a", "me"});
  connect("a", {});
  Author gone("gone"), other("other");
  receive("a", other.next());
  ASSERT_EQ(apply_one(), 1u);
  replica_->committed({2, gone.next(other.seen())}, now_);
  EXPECT_TRUE(replica_->applied().covers(gone.seen()));
  // The next one's context is relative to the first's.
  receive("a", gone.next());
  const auto apply = replica_->take().apply;
  ASSERT_TRUE(apply);
  EXPECT_EQ(apply->runs.at(0).first, 2u);
}

TEST_F(ReplicaTest, WaitsForCreditAndThenReadsTheLog) {
  start({"a", "me"});
  connect("a", {}, 10);
  Author me("me");
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->committed({1, me.next()}, now_);
  EXPECT_EQ(sent<Changes>(replica_->take(), "a").size(), 1u);
  const Run second = me.next();
  replica_->committed({2, second}, now_);
  auto ready = replica_->take();
  EXPECT_TRUE(sent<Changes>(ready, "a").empty());
  EXPECT_TRUE(ready.reads.empty());
  replica_->receive("a", Credit{1000}, now_, kWall);
  ready = replica_->take();
  ASSERT_EQ(ready.reads.size(), 1u);
  EXPECT_EQ(ready.reads[0].after, 1u);
  replica_->log_read("a", {{2, second}}, now_);
  EXPECT_EQ(sent<Changes>(replica_->take(), "a").at(0).runs[0].first, 2u);
}

// P10, P11: what clients wrote together may be longer than what a peer takes at once.
TEST_F(ReplicaTest, CutsALongRunIntoFramesThatThePeerTakes) {
  start({"a", "me"});
  Author me("me");
  const Run run = long_run(me);
  connect("a", {}, 1 << 20, 2'000);
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->take();
  replica_->committed({1, run}, now_);
  std::string all;
  const auto changes = sent<Changes>(replica_->take(), "a");
  EXPECT_GE(changes.size(), 3u);
  for (const auto& frame : changes) {
    EXPECT_LE(encode_frame(frame).size(), 2'000 + kFrameHeadBytes);
    for (const auto& part : frame.runs) all += part.records;
  }
  EXPECT_EQ(all, run.records);
}

TEST_F(ReplicaTest, ALongRunStopsWhereCreditEndsAndGoesOnFromThere) {
  start({"a", "me"});
  Author me("me");
  const Run run = long_run(me);
  connect("a", {}, 1'000, 1'500);
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->take();
  replica_->committed({1, run}, now_);
  std::string all;
  for (int turn = 0; all.size() < run.records.size() && turn < 20; ++turn) {
    auto ready = replica_->take();
    for (size_t i = 0; i < ready.reads.size(); ++i) {
      replica_->log_read("a", {{1, run}}, now_);
      const auto more = replica_->take();
      ready.sends.insert(ready.sends.end(), more.sends.begin(), more.sends.end());
    }
    const auto changes = sent<Changes>(ready, "a");
    EXPECT_GE(changes.size(), 1u);
    EXPECT_LE(changes.size(), 2u);
    for (const auto& frame : changes) {
      for (const auto& part : frame.runs) all += part.records;
    }
    replica_->receive("a", Credit{2'000}, now_, kWall);
  }
  EXPECT_EQ(all, run.records);
}

TEST_F(ReplicaTest, ATransactionThatNoFrameHoldsIsToldOnceAndCostsNobodyElse) {
  start({"a", "me"});
  Author me("me"), b("b");
  connect("a", {}, 1 << 20, 2'000);
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->receive("a", Subscribe{b.origin(), 0}, now_, kWall);
  replica_->take();
  replica_->committed({1, me.next()}, now_);
  replica_->committed({2, me.next({}, 3'000)}, now_);
  replica_->committed({3, me.next()}, now_);
  auto ready = replica_->take();
  EXPECT_EQ(sent<Changes>(ready, "a").size(), 1u);
  const auto told = sent<Oversized>(ready, "a");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].seq, 2u);
  EXPECT_GT(told[0].bytes, 3'000u);
  EXPECT_TRUE(ready.cuts.empty());
  EXPECT_EQ(replica_->links().at(0).too_long, told[0]);
  EXPECT_EQ(replica_->longest_record(), 2'000 - 3 * kRunRoom);
  receive("a", b.next());
  apply_one();
  EXPECT_TRUE(replica_->links().at(0).too_long);
  VersionVector has = vector_at(me, 2);
  hear("a", "a", has, {});  // somebody else had a larger frame for it
  EXPECT_FALSE(replica_->links().at(0).too_long);
}

TEST_F(ReplicaTest, AsksAnotherForWhatTheFirstCannotSendAndNeverRejoinsForIt) {
  start({"a", "b", "me"});
  Author a("a");
  a.next(), a.next();
  connect("a", a.seen());
  connect("b", vector_at(a, 1));
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").size(), 1u);
  replica_->receive("a", Oversized{a.origin(), 1, 99}, now_, kWall);
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b").size(), 1u);
  EXPECT_EQ(replica_->origins().at(0).too_long.bytes, 99u);
  replica_->receive("b", Oversized{a.origin(), 1, 99}, now_, kWall);
  const auto status = replica_->origins().at(0);
  EXPECT_EQ(status.upstream, "");
  EXPECT_EQ(status.detour, Replica::Detour::kTooLong);
  for (int i = 0; i < 10; ++i) later(Instant{2'000});
  const auto ready = replica_->take();
  EXPECT_TRUE(sent<Subscribe>(ready, "a").empty() && sent<Subscribe>(ready, "b").empty());
  EXPECT_FALSE(ready.rejoin);
}

// Both sides know both windows: who has the larger one neither sends more than the other lets in,
// nor keeps what it owes for longer than the other can wait.
TEST_F(ReplicaTest, OfTwoWindowsTheSmallerCounts) {
  Replica::Options options;
  options.link_window = 100'000;
  start({"a", "me"}, options);
  Author a("a");
  connect("a", {}, 400);
  EXPECT_EQ(replica_->links().at(0).credit, 400);
  receive("a", a.next({}, 200));
  apply_one();
  EXPECT_EQ(sent<Credit>(replica_->take(), "a").size(), 1u);
  options.link_window = 300;
  restart(options);
  connect("a", {}, 100'000);
  EXPECT_EQ(replica_->links().at(0).credit, 300);
}

TEST_F(ReplicaTest, ResumesASubscriptionFromTheMiddleOfTheLog) {
  start({"a", "me"});
  connect("a", {});
  Author me("me");
  const Run one = me.next(), two = me.next(), three = me.next();
  replica_->committed({1, one + two + three}, now_);
  replica_->take();
  replica_->receive("a", Subscribe{me.origin(), 1}, now_, kWall);
  auto ready = replica_->take();
  ASSERT_EQ(ready.locates.size(), 1u);
  EXPECT_EQ(ready.locates[0].seq, 1u);
  replica_->located("a", me.origin(), uint64_t{0}, now_);
  ready = replica_->take();
  ASSERT_EQ(ready.reads.size(), 1u);
  replica_->log_read("a", {{1, one + two + three}}, now_);
  const auto changes = sent<Changes>(replica_->take(), "a");
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].runs[0].first, 2u);
  EXPECT_EQ(changes[0].runs[0].count, 2u);
}

TEST_F(ReplicaTest, HearsOfALaterLifeThroughOthersAndNotOfAnEarlierOne) {
  start({"a", "b", "me"});
  Author a("a"), b("b"), reborn("B");
  a.next(), b.next(), reborn.next();
  connect("a", a.seen());
  const auto hear_of_b = [&](const Author& life, VersionVector applied) {
    applied.join(life.seen());
    replica_->receive("a", Vectors{{{"b", life.origin(), std::move(applied), {}}}, {}}, now_,
                      kWall);
    return replica_->members().at("b").incarnation;
  };
  EXPECT_EQ(hear_of_b(b, {}), b.origin());
  EXPECT_EQ(hear_of_b(reborn, {}), b.origin());  // which of the two came first?
  EXPECT_EQ(hear_of_b(reborn, b.seen()), reborn.origin());
  EXPECT_EQ(hear_of_b(b, a.seen()), reborn.origin());  // an old story
}

TEST_F(ReplicaTest, TellsAPeerThatNeedsMoreThanTheLogStillHas) {
  start({"a", "me"});
  connect("a", {});
  Author me("me");
  replica_->committed({1, me.next()}, now_);
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  replica_->take();
  replica_->located("a", me.origin(), fail(Code::kNotFound, "trimmed"), now_);
  const auto ready = replica_->take();
  EXPECT_EQ(sent<Trimmed>(ready, "a"), (std::vector<Trimmed>{{me.origin()}}));
  EXPECT_TRUE(ready.cuts.empty());
  // It is not sent what follows either.
  replica_->committed({2, me.next()}, now_);
  EXPECT_TRUE(sent<Changes>(replica_->take(), "a").empty());
}

TEST_F(ReplicaTest, SeesThatTheLogWasTrimmedBetweenLookingUpAndReading) {
  start({"a", "me"});
  connect("a", {});
  Author me("me");
  replica_->committed({1, me.next()}, now_);
  replica_->committed({2, me.next()}, now_);
  replica_->receive("a", Subscribe{me.origin(), 0}, now_, kWall);
  ASSERT_EQ(replica_->take().locates.size(), 1u);
  replica_->located("a", me.origin(), uint64_t{0}, now_);
  ASSERT_EQ(replica_->take().reads.size(), 1u);
  replica_->log_read("a", {}, now_);  // both are gone by now
  ASSERT_EQ(replica_->take().locates.size(), 1u);
  replica_->located("a", me.origin(), fail(Code::kNotFound, "trimmed"), now_);
  EXPECT_EQ(sent<Trimmed>(replica_->take(), "a").size(), 1u);
}

TEST_F(ReplicaTest, AsksAnotherForWhatTheFirstsLogHasForgotten) {
  start({"a", "b", "me"});
  Author a("a");
  const Run first = a.next(), second = a.next();
  connect("a", a.seen());
  connect("b", a.seen());
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").size(), 1u);
  replica_->receive("a", Trimmed{a.origin()}, now_, kWall);
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b"), (std::vector<Subscribe>{{a.origin(), 0}}));
  later(Instant{10'000});
  EXPECT_FALSE(replica_->take().rejoin);
  // Once past what was forgotten the first may be asked again.
  receive("b", first + second);
  EXPECT_EQ(apply_one(), 2u);
  later(Instant{20});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a"), (std::vector<Subscribe>{{a.origin(), 2}}));
}

TEST_F(ReplicaTest, WantsToRejoinWhenNobodysLogHasWhatItLacks) {
  start({"a", "b", "me"});
  Author a("a");
  a.next();
  connect("a", a.seen());
  connect("b", a.seen());
  replica_->take();
  replica_->receive("a", Trimmed{a.origin()}, now_, kWall);
  replica_->receive("b", Trimmed{a.origin()}, now_, kWall);
  later(Instant{20});
  EXPECT_FALSE(replica_->take().rejoin);
  later(Instant{3000});
  const auto rejoin = replica_->take().rejoin;
  ASSERT_TRUE(rejoin);
  EXPECT_EQ(rejoin->from, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(replica_->take().rejoin);
  later(Instant{3000});
  EXPECT_TRUE(replica_->take().rejoin);  // said again while it is so
  replica_->link_down("b", now_);
  connect("b", a.seen());  // its log may be another now
  later(Instant{3000});
  EXPECT_FALSE(replica_->take().rejoin);
}

TEST_F(ReplicaTest, WithoutRerouteItRejoinsFromItsOnlyUpstreamsToo) {
  Replica::Options textbook;
  textbook.reroute = false;
  start({"a", "b", "me"}, textbook);
  Author a("a");
  a.next();
  connect("a", a.seen());
  connect("b", a.seen());  // is not asked
  replica_->take();
  replica_->receive("a", Trimmed{a.origin()}, now_, kWall);
  later(Instant{20});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "b").empty());
  later(Instant{3000});
  const auto rejoin = replica_->take().rejoin;
  ASSERT_TRUE(rejoin);
  EXPECT_EQ(rejoin->from, (std::vector<std::string>{"a", "b"}));
}

TEST_F(ReplicaTest, AsksAnotherNeighbourWhenTheFirstStaysAwayAndReturnsToIt) {
  start({"a", "b", "me"});
  Author a("a");
  const Run first = a.next();
  connect("a", a.seen());
  connect("b", a.seen());
  receive("a", first);
  apply_one();
  later(Instant{3'000});  // a link that was of use for a while
  a.next();
  hear("b", "b", a.seen(), {});
  replica_->take();
  replica_->link_down("a", now_);
  later(Instant{1000});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "b").empty());
  later(Instant{2500});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b"), (std::vector<Subscribe>{{a.origin(), 1}}));
  connect("a", a.seen());
  later(Instant{20});
  const auto ready = replica_->take();
  EXPECT_EQ(sent<Unsubscribe>(ready, "b"), (std::vector<Unsubscribe>{{a.origin()}}));
  EXPECT_EQ(sent<Subscribe>(ready, "a"), (std::vector<Subscribe>{{a.origin(), 1}}));
}

// P7: a link that is up again and again, and never of use, is no link.
TEST_F(ReplicaTest, AsksAnotherNeighbourWhenTheFirstComesAndGoes) {
  start({"a", "b", "me"});
  Author a("a");
  a.next();
  connect("b", a.seen());
  bool asked_b = false;
  for (int flap = 0; flap < 10; ++flap) {
    connect("a", a.seen());
    later(Instant{700});
    replica_->link_down("a", now_);
    later(Instant{300});
    asked_b |= !sent<Subscribe>(replica_->take(), "b").empty();
  }
  EXPECT_TRUE(asked_b);
  connect("a", a.seen());  // it stays with b until a has proven itself
  later(Instant{20});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "a").empty());
  for (int i = 0; i < 100; ++i) later(Instant{1'000});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").size(), 1u);
}

// A session waits for what only that link can give: trust is for a choice between two who can.
TEST_F(ReplicaTest, TakesFromAnUnsteadyLinkWhatNobodyElseHas) {
  start({"a", "b", "me"});
  Author a("a");
  const Run first = a.next();
  connect("b", a.seen());
  for (int flap = 0; flap < 10; ++flap) {
    connect("a", a.seen());
    later(Instant{700});
    replica_->link_down("a", now_);
    later(Instant{300});
  }
  ASSERT_EQ(sent<Subscribe>(replica_->take(), "b").size(), 1u);
  receive("b", first);
  apply_one();
  connect("a", a.seen());
  later(Instant{20});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "a").empty()) << "b has as much";
  a.next();
  hear("a", "a", a.seen(), {});
  later(Instant{20});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a"), (std::vector<Subscribe>{{a.origin(), 1}}));
}

// What was received is always newer than what anybody had the time to claim.
TEST_F(ReplicaTest, ReturnsToTheFirstWhileChangesKeepComing) {
  start({"a", "b", "me"});
  Author a("a");
  connect("b", vector_at(a, 2));
  later(Instant{3500});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b"), (std::vector<Subscribe>{{a.origin(), 0}}));
  for (int i = 0; i < 5; ++i) receive("b", a.next());
  connect("a", vector_at(a, 1));  // it lost its link, and is behind
  later(Instant{20});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "a").empty());
  hear("a", "a", vector_at(a, 2), {});
  const auto ready = replica_->take();
  EXPECT_EQ(sent<Unsubscribe>(ready, "b"), (std::vector<Unsubscribe>{{a.origin()}}));
  EXPECT_EQ(sent<Subscribe>(ready, "a"), (std::vector<Subscribe>{{a.origin(), 5}}));
}

TEST_F(ReplicaTest, AsksAnotherNeighbourWhenTheFirstIsThereButHasNothing) {
  start({"a", "b", "me"});
  Author a("a");
  a.next();
  connect("b", {});
  connect("a", {});
  MemberVector row{"b", origin_of('b'), a.seen()};
  replica_->receive("b", Vectors{{row}, {{a.origin(), "a"}}}, now_, kWall);
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").size(), 1u);
  later(Instant{100});
  later(Instant{3100});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b"), (std::vector<Subscribe>{{a.origin(), 0}}));
}

// A busy gateway always has something of somebody under way.
TEST_F(ReplicaTest, AsksAnotherNeighbourThoughOthersChangesAreBeingApplied) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  const Run under_way = b.next();
  a.next();
  VersionVector both = a.seen();
  both.join(b.seen());
  connect("a", {});
  connect("b", both);
  receive("b", under_way);
  auto ready = replica_->take();
  ASSERT_TRUE(ready.apply);  // and is never answered
  EXPECT_EQ(sent<Subscribe>(ready, "a").size(), 1u);
  later(Instant{100});
  later(Instant{3100});
  ready = replica_->take();
  EXPECT_EQ(sent<Subscribe>(ready, "b"), (std::vector<Subscribe>{{a.origin(), 0}}));
}

// The link to a is up, and slow: a claims the change, and it does not come.
TEST_F(ReplicaTest, PullsWhatAChangeWaitsForFromWhoSentThat) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  const Run cause = a.next(), later_one = a.next();
  const Run effect = b.next(vector_at(a, 1));
  connect("a", a.seen());
  connect("b", b.seen());
  receive("b", effect);
  later(Instant{1});
  later(Instant{700});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "b"), (std::vector<Subscribe>{{b.origin(), 0}}));
  later(Instant{100});
  auto ready = replica_->take();
  EXPECT_EQ(sent<Unsubscribe>(ready, "a"), (std::vector<Unsubscribe>{{a.origin()}}));
  EXPECT_EQ(sent<Subscribe>(ready, "b"), (std::vector<Subscribe>{{a.origin(), 0}}));
  EXPECT_EQ(replica_->origins().at(0).detour, Replica::Detour::kPulled);
  receive("b", cause);
  EXPECT_EQ(apply_one(), 2u);
  later(Instant{1});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a"), (std::vector<Subscribe>{{a.origin(), 1}}));
  receive("a", cause + later_one);
  EXPECT_EQ(apply_one(), 1u);
}

// What is pulled waits in turn, for what nobody has sent, until it is too much.
TEST_F(ReplicaTest, SaysThatNobodyIsAskedForWhatIsPulledAndPaused) {
  Replica::Options options;
  options.link_window = 4'000;
  start({"a", "b", "c", "me"}, options);
  Author a("a"), b("b"), c("c");
  c.next();
  const Run waits = a.next(c.seen(), 2'000);
  a.next();
  connect("a", a.seen());
  connect("b", b.seen());
  receive("b", b.next(a.seen()));
  later(Instant{1});
  later(Instant{800});
  const auto of_a = [&] { return replica_->origins().at(0); };
  EXPECT_EQ(of_a().detour, Replica::Detour::kPulled);
  receive("b", waits);
  replica_->take();
  EXPECT_EQ(of_a().upstream, "");
  EXPECT_EQ(of_a().detour, Replica::Detour::kPaused);
}

TEST_F(ReplicaTest, PullsNothingWithoutReroute) {
  Replica::Options options;
  options.reroute = false;
  start({"a", "b", "me"}, options);
  Author a("a"), b("b");
  a.next();
  const Run effect = b.next(a.seen());
  connect("a", a.seen());
  connect("b", b.seen());
  receive("b", effect);
  later(Instant{1});
  later(Instant{60'000});
  for (const auto& asked : sent<Subscribe>(replica_->take(), "b")) {
    EXPECT_EQ(asked.origin, b.origin());
  }
}

TEST_F(ReplicaTest, SaysWhyAnOriginIsNotAskedForWhereTheTopologyNames) {
  start({"a", "b", "me"});
  Author a("a");
  const Run first = a.next();
  const auto status = [&] {
    for (const auto& origin : replica_->origins()) {
      if (origin.origin == a.origin()) return origin;
    }
    return Replica::OriginStatus{};
  };
  connect("b", a.seen());
  EXPECT_EQ(status().detour, Replica::Detour::kLinkDown);
  later(Instant{4'000});
  EXPECT_EQ(status().upstream, "b");
  EXPECT_EQ(status().preferred, "a");
  EXPECT_EQ(status().detour, Replica::Detour::kLinkDown);
  connect("a", {});  // it lost what it had, and says so
  later(Instant{20});
  EXPECT_EQ(status().upstream, "b");
  EXPECT_EQ(status().detour, Replica::Detour::kNothingNew);
  replica_->receive("a", Vectors{{{"a", origin_of('a'), a.seen(), {}}}, {}}, now_, kWall);
  later(Instant{20});
  EXPECT_EQ(status().upstream, "a");
  EXPECT_EQ(status().detour, Replica::Detour::kNone);
}

TEST_F(ReplicaTest, CountsPerLinkWhatCameOverItAndWaits) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  connect("a", {});
  connect("b", {});
  a.next();
  const Run effect = b.next(a.seen());
  receive("b", effect + b.next());
  ASSERT_EQ(replica_->links().at(1).peer, "b");
  EXPECT_EQ(replica_->links().at(1).held, 2u);
  EXPECT_GT(replica_->links().at(1).held_bytes, 2u * 10);
  EXPECT_EQ(replica_->links().at(1).held_bytes, replica_->held_bytes());
  EXPECT_EQ(replica_->links().at(0).held, 0u);
}

// Never clamped: the same bytes, later, with the stamp they always had.
TEST_F(ReplicaTest, AChangeStampedTooFarAheadIsTakenOnceTimeHasCaughtUp) {
  start({"a", "me"});
  Author a("a");
  const Run early = a.next({}, 10, kWall + 60'000);
  connect("a", a.seen());
  replica_->take();
  receive("a", early);
  EXPECT_EQ(sent<Unsubscribe>(replica_->take(), "a").size(), 1u);
  later(Instant{16'000});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a"), (std::vector<Subscribe>{{a.origin(), 0}}));
  replica_->receive("a", Changes{{early}}, now_, kWall + 49'999);
  EXPECT_FALSE(replica_->take().apply);
  later(Instant{1});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").size(), 1u);
  replica_->receive("a", Changes{{early}}, now_, kWall + 50'000);
  const auto ready = replica_->take();
  EXPECT_TRUE(ready.cuts.empty());
  ASSERT_TRUE(ready.apply);
  EXPECT_EQ(ready.apply->runs.at(0).records, early.records);
}

// P11: one fast clock costs nobody what others write, though it all comes over one link.
TEST_F(ReplicaTest, AChangeStampedTooFarAheadHoldsUpItsOriginAndNobodyElse) {
  start({"a", "me"});
  Author a("a"), b("b");
  const Run early = a.next({}, 10, kWall + 60'000), after = a.next();
  const Run first = b.next(), second = b.next();
  connect("a", {});
  replica_->take();
  replica_->receive("a", Changes{{first, early, after, second}}, now_, kWall);
  const auto ready = replica_->take();
  EXPECT_TRUE(ready.cuts.empty());
  ASSERT_TRUE(ready.apply);
  ASSERT_EQ(ready.apply->runs.size(), 1u);
  EXPECT_EQ(ready.apply->runs[0].origin, b.origin());
  EXPECT_EQ(ready.apply->runs[0].count, 2u);
  EXPECT_EQ(replica_->held_bytes(), 0u);
  for (const auto& origin : replica_->origins()) {
    const bool is_early = origin.origin == a.origin();
    EXPECT_EQ(origin.detour == Replica::Detour::kClock, is_early);
    EXPECT_EQ(origin.stamped_ms, is_early ? kWall + 60'000 : 0);
  }
}

TEST_F(ReplicaTest, NeverAsksAnotherNeighbourWithoutReroute) {
  Replica::Options options;
  options.reroute = false;
  start({"a", "b", "me"}, options);
  Author a("a");
  a.next();
  connect("b", a.seen());
  later(Instant{10'000});
  later(Instant{10'000});
  EXPECT_TRUE(sent<Subscribe>(replica_->take(), "b").empty());
}

TEST_F(ReplicaTest, AsksWhoeverHasItForWhatTheTopologyHasNoNameForEvenWithoutReroute) {
  Replica::Options options;
  options.reroute = false;
  start({"a", "me"}, options);
  Author removed("r");
  removed.next();
  connect("a", removed.seen());
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a"),
            (std::vector<Subscribe>{{removed.origin(), 0}}));
}

TEST_F(ReplicaTest, TellsARestoredPeerWhatWasHeardOfIt) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  a.next(), a.next(), b.next();
  VersionVector before = vector_at(a, 2);
  before.join(b.seen());
  connect("a", before);
  replica_->take();
  replica_->link_down("a", now_);
  connect("a", vector_at(a, 1));
  const auto told = sent<Vectors>(replica_->take(), "a");
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].rows.at(0).dc, "a");
  EXPECT_EQ(told[0].rows.at(0).applied, before);
}

TEST_F(ReplicaTest, SaysNothingMoreOnceOthersKnowMoreOfItThanItDoes) {
  start({"a", "b", "me"});
  Author me("me"), a("a");
  const Run first = me.next();
  replica_->committed({1, first}, now_);
  connect("a", me.seen());
  replica_->receive("a", Subscribe{me.origin(), 1}, now_, kWall);
  EXPECT_FALSE(replica_->take().rejoin);
  VersionVector lost = me.seen();
  lost.join(vector_at(a, 1));
  hear("a", "me", lost, {});
  const auto ready = replica_->take();
  ASSERT_TRUE(ready.rejoin);
  EXPECT_TRUE(ready.rejoin->restored);
  EXPECT_EQ(ready.rejoin->from, (std::vector<std::string>{"a"}));
  replica_->committed({2, me.next()}, now_);
  later(Instant{100});
  const auto mute = replica_->take();
  EXPECT_TRUE(mute.sends.empty());
  EXPECT_FALSE(mute.rejoin);
  later(Replica::Options().failover_after);  // a may not have been able to give a copy
  EXPECT_TRUE(replica_->take().rejoin);
}

// P7, P11: what one neighbour says counts while it is there to be asked.
TEST_F(ReplicaTest, SpeaksAgainOnceNobodyIsThereWhoKnowsMoreOfIt) {
  start({"a", "b", "me"});
  Author me("me");
  replica_->committed({1, me.next()}, now_);
  connect("a", me.seen());
  connect("b", {});
  hear("a", "a", vector_at(me, 1'000'000), {});
  EXPECT_TRUE(replica_->take().rejoin);
  replica_->link_down("a", now_);
  later(Instant{100});
  EXPECT_TRUE(replica_->take().sends.empty());
  later(2 * Replica::Options().failover_after);
  EXPECT_FALSE(replica_->restored());
  const auto ready = replica_->take();  // what was not sent is asked for over a new link
  ASSERT_EQ(ready.cuts.size(), 1u);
  EXPECT_EQ(ready.cuts[0].peer, "b");
  connect("b", {});
  later(Instant{20});
  const auto told = sent<Vectors>(replica_->take(), "b");
  ASSERT_FALSE(told.empty());
  for (const auto& news : told) {  // and it does not tell on what it does not believe
    for (const auto& row : news.rows) EXPECT_LE(row.applied.at(me.origin()), 1u) << row.dc;
  }
  replica_->receive("b", Subscribe{me.origin(), 1}, now_, kWall);
  replica_->committed({2, me.next()}, now_);
  EXPECT_EQ(sent<Changes>(replica_->take(), "b").size(), 1u);
}

TEST_F(ReplicaTest, WhatIsSaidOfSomebodyWhoIsLinkedIsHisToSay) {
  start({"a", "b", "me"});
  Author me("me"), b("b");
  replica_->committed({1, me.next()}, now_);
  connect("a", {});
  connect("b", {});
  hear("a", "b", vector_at(me, 1'000'000), {});
  EXPECT_FALSE(replica_->restored());
  b.next();
  hear("a", "b", b.seen(), {});
  EXPECT_TRUE(replica_->members().at("b").applied.empty());
  hear("b", "b", b.seen(), {});
  EXPECT_EQ(replica_->members().at("b").applied, b.seen());
}

TEST_F(ReplicaTest, AnEarlierLifeOfItsDatacenterJoinsAgain) {
  start({"a", "me"});
  Author me("me"), later_life("L");
  replica_->committed({1, me.next()}, now_);
  later_life.next();
  connect("a", me.seen());
  VersionVector has = me.seen();
  has.join(later_life.seen());
  replica_->receive("a", Vectors{{{"me", later_life.origin(), has, {}}}, {}}, now_, kWall);
  EXPECT_TRUE(replica_->take().rejoin);
}

TEST_F(ReplicaTest, ForgetsTheTailOfABlockedStreamAndAsksAgainOnceItDrained) {
  Replica::Options options;
  options.hold_back_bytes = 4000;
  start({"a", "b", "me"}, options);
  Author a("a"), b("b");
  const Run cause = a.next();
  connect("a", {});
  connect("b", {});
  std::vector<Run> effects;
  for (int i = 0; i < 20; ++i) effects.push_back(b.next(a.seen(), 500));
  replica_->receive("b", Vectors{{{"b", origin_of('b'), b.seen()}}, {{b.origin(), "b"}}}, now_,
                    kWall);
  replica_->take();
  for (const auto& run : effects) receive("b", run);
  const auto blocked = replica_->take();
  EXPECT_FALSE(blocked.apply);
  EXPECT_LE(replica_->held_bytes(), options.hold_back_bytes);
  EXPECT_EQ(sent<Unsubscribe>(blocked, "b").size(), 1u);
  receive("a", cause);
  const size_t applied = apply_one();
  EXPECT_GT(applied, 1u);
  EXPECT_LT(applied, 21u);
  later(Instant{20});
  const auto again = sent<Subscribe>(replica_->take(), "b");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].after, applied - 1);
}

TEST_F(ReplicaTest, GivesCreditBackOnlyForWhatItIsDoneWith) {
  Replica::Options options;
  options.link_window = 400;
  start({"a", "me"}, options);
  Author a("a");
  connect("a", {});
  receive("a", a.next({}, 200));
  auto ready = replica_->take();
  EXPECT_TRUE(sent<Credit>(ready, "a").empty());
  replica_->applied({}, now_);
  ready = replica_->take();
  ASSERT_EQ(sent<Credit>(ready, "a").size(), 1u);
  EXPECT_GT(sent<Credit>(ready, "a")[0].bytes, 200u);
}

TEST_F(ReplicaTest, AsksLessAndLessOftenForWhatIsStampedTooFarAhead) {
  start({"a", "me"});
  Author a("a");
  const Run early = a.next({}, 10, kWall + 600'000);
  connect("a", a.seen());
  replica_->take();
  size_t asked = 0;
  for (int second = 0; second < 60; ++second) {
    receive("a", early);
    later(Instant{1'000});
    asked += sent<Subscribe>(replica_->take(), "a").size();
  }
  EXPECT_GE(asked, 3u);
  EXPECT_LE(asked, 10u);
}

TEST_F(ReplicaTest, CutsAPeerWhoSendsUsOurOwnChanges) {
  start({"a", "me"});
  Author me("me");
  connect("a", {});
  receive("a", me.next());
  EXPECT_EQ(replica_->take().cuts.size(), 1u);
}

TEST_F(ReplicaTest, CutsAPeerWhoNamesOriginsWithoutEnd) {
  start({"a", "b", "me"});
  connect("a", {});
  Origin made_up = origin_of('x');
  const auto news = [&](size_t count) {
    Vectors out{{{"b", origin_of('b'), {}, {}}}, {}};
    for (size_t i = 0; i < count; ++i) {
      for (size_t digit = 0; ++made_up.id[digit] == 0;) ++digit;
      out.rows[0].applied.advance(made_up, 1);
      out.labels.emplace_back(made_up, "b");
    }
    return out;
  };
  for (int i = 0; i < 3; ++i) replica_->receive("a", news(kMostOrigins / 2), now_, kWall);
  EXPECT_TRUE(replica_->take().cuts.empty());
  for (int i = 0; i < 2; ++i) replica_->receive("a", news(kMostOrigins / 2), now_, kWall);
  EXPECT_EQ(replica_->take().cuts.size(), 1u);
}

TEST_F(ReplicaTest, CutsAPeerWhoSubscribesWithoutEnd) {
  start({"a", "me"});
  connect("a", {});
  Origin made_up = origin_of('x');
  const auto subscribe = [&](size_t times) {
    for (size_t i = 0; i < times; ++i) {
      for (size_t digit = 0; ++made_up.id[digit] == 0;) ++digit;
      replica_->receive("a", Subscribe{made_up, 0}, now_, kWall);
    }
  };
  subscribe(kMostOrigins);
  EXPECT_TRUE(replica_->take().cuts.empty());
  subscribe(2 * kMostOrigins);
  EXPECT_EQ(replica_->take().cuts.size(), 1u);
}

TEST_F(ReplicaTest, CutsAPeerWhoseManyLivesNameOriginsWithoutEnd) {
  start({"a", "me"});
  Origin made_up = origin_of('x');
  for (int life = 0; life < 4; ++life) {
    Hello hello;
    hello.dc = "a";
    hello.incarnation = origin_of(static_cast<char>('A' + life));
    for (size_t i = 0; i < kMostOrigins * 6 / 10; ++i) {
      for (size_t digit = 0; ++made_up.id[digit] == 0;) ++digit;
      hello.applied.push_back({made_up, "", 1, {}});
    }
    replica_->link_up(hello, now_);
    EXPECT_EQ(replica_->take().cuts.size(), life < 3 ? 0u : 1u) << life;
    replica_->link_down("a", now_);
  }
}

TEST_F(ReplicaTest, APoisonedChangeCostsItsSenderTheLinkAndNobodyElse) {
  start({"a", "b", "me"});
  Author a("a"), b("b");
  connect("a", a.seen());
  connect("b", b.seen());
  replica_->take();
  receive("a", a.next());
  receive("b", b.next());
  ASSERT_EQ(replica_->take().apply->runs.size(), 2u);
  replica_->apply_failed({Code::kInvalid, "bad bytes", ""}, now_);
  EXPECT_TRUE(replica_->take().cuts.empty()) << "it cannot be known yet whose bytes they were";
  later(Instant{150});
  Author again("a");
  receive("a", again.next());
  ASSERT_EQ(replica_->take().apply->runs.size(), 1u);
  replica_->apply_failed({Code::kInvalid, "bad bytes", ""}, now_);
  const auto ready = replica_->take();
  ASSERT_EQ(ready.cuts.size(), 1u);
  EXPECT_EQ(ready.cuts[0].peer, "a");
}

TEST_F(ReplicaTest, OffersAnApplyAgainAfterADiskThatWasFull) {
  start({"a", "me"});
  Author a("a");
  const Run run = a.next();
  connect("a", a.seen());
  receive("a", run);
  ASSERT_TRUE(replica_->take().apply);
  replica_->apply_failed({Code::kExhausted, "disk full", ""}, now_);
  later(Instant{200});
  EXPECT_EQ(sent<Subscribe>(replica_->take(), "a").back(), (Subscribe{a.origin(), 0}));
  receive("a", run);
  EXPECT_EQ(apply_one(), 1u);
}

TEST_F(ReplicaTest, ChangesOfAFormerLifeAreAskedOfWhoHasThemWithoutReroutingToo) {
  Replica::Options options;
  options.reroute = false;
  start({"a", "b", "me"}, options);
  Author b("b");
  b.next();
  Hello reborn;  // it has nothing of what it wrote before
  reborn.dc = "b";
  reborn.incarnation = origin_of('B');
  reborn.applied.push_back({origin_of('B'), "b", 1, {}});
  replica_->link_up(reborn, now_);
  connect("a", b.seen());
  later(Instant{20});
  const auto ready = replica_->take();
  EXPECT_EQ(sent<Subscribe>(ready, "b"), (std::vector<Subscribe>{{origin_of('B'), 0}}));
  EXPECT_EQ(sent<Subscribe>(ready, "a"), (std::vector<Subscribe>{{b.origin(), 0}}));
}

}  // namespace
}  // namespace entente
