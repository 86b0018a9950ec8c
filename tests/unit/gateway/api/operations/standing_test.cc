#include "gateway/api/operations/standing.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using namespace std::chrono_literals;
using Detour = Replica::Detour;
using ::testing::Test;

constexpr uint64_t kWall = 1'700'000'000'000;

Origin origin_of(char c) {
  Origin o;
  o.id.fill(static_cast<uint8_t>(c));
  return o;
}

// Datacenter "a" looks at "b" and "c": a has written 10, b 20 and c 30 transactions, and everybody
// has all of them.
class StandingTest : public Test {
 protected:
  StandingTest() {
    for (const std::string dc : {"a", "b", "c"}) {
      Datacenter& added = config_.datacenters.emplace_back();
      added.name = dc;
      vector_.advance(origin_of(dc[0]), 10u * static_cast<uint64_t>(dc[0] - 'a' + 1));
    }
    config_.max_clock_drift = 10s;
    peers_.applied = vector_;
    for (const std::string dc : {"a", "b", "c"}) {
      peers_.members.push_back({dc, origin_of(dc[0]), vector_, {}});
      const bool own = dc == "a";
      const uint64_t seq = vector_.at(origin_of(dc[0]));
      peers_.origins.push_back(
          {origin_of(dc[0]), dc, seq, seq, Hlc::at(kWall - 5'000), own ? "" : dc, own ? "" : dc});
      if (own) continue;
      LinkView& link = peers_.links.emplace_back();
      link.peer = dc;
      link.state = LinkState::kUp;
      link.round_trip_ms = 3;
    }
  }

  Sight sight() const { return {config_, dc_, peers_, origin_of('a'), last_stamp_, kWall}; }
  LinkView& to_b() { return peers_.links.at(0); }
  Replica::OriginStatus& of_b() { return peers_.origins.at(1); }
  MemberVector& member_c() { return peers_.members.at(2); }

  Config config_;
  std::string dc_ = "a";
  VersionVector vector_;
  PeersView peers_;
  Hlc last_stamp_ = Hlc::at(kWall);
};

TEST_F(StandingTest, NothingIsWorthANoteWhileAllIsWell) {
  EXPECT_TRUE(notes(sight()).empty());
  EXPECT_EQ(log_reason(sight()), "");
  const auto b = standing_of(sight(), "b");
  EXPECT_EQ(b.link, "up");
  EXPECT_EQ(b.route, "b");
  EXPECT_EQ(b.detour, "");
  EXPECT_EQ(b.behind, 0u);
  EXPECT_EQ(b.lag_seconds, 0);
  EXPECT_EQ(b.unacknowledged, 0u);
}

TEST_F(StandingTest, LagIsTheAgeOfTheOldestThatIsKnownOfAndNotHere) {
  of_b().known = 25;
  EXPECT_EQ(standing_of(sight(), "b").behind, 5u);
  EXPECT_EQ(standing_of(sight(), "b").lag_seconds, 5);  // of the last that is here
  of_b().held = 2;
  of_b().held_hlc = Hlc::at(kWall - 1'500);
  EXPECT_EQ(standing_of(sight(), "b").lag_seconds, 1.5);
  of_b().held_hlc = Hlc::at(kWall + 1'500);  // its clock is ahead
  EXPECT_EQ(standing_of(sight(), "b").lag_seconds, 0);
}

TEST_F(StandingTest, AnotherRouteSaysWhichOneWasPreferredAndWhy) {
  to_b().state = LinkState::kConnecting;
  to_b().reason = "Connection refused";
  to_b().since_ms = kWall;
  of_b().upstream = "c";
  of_b().detour = Detour::kLinkDown;
  const auto b = standing_of(sight(), "b");
  EXPECT_EQ(b.route, "c");
  EXPECT_EQ(b.preferred, "b");
  EXPECT_EQ(b.detour, "the link to b is down since 2023-11-14T22:13:20.000Z (Connection refused)");
  of_b().detour = Detour::kNothingNew;
  EXPECT_EQ(detour_reason(sight(), of_b()), "b is linked and had nothing new, c had");
  EXPECT_EQ(notes(sight()).at(0),
            "Changes of b come from c rather than b: b is linked and had nothing new, c had.");
  of_b().detour = Detour::kPulled;
  EXPECT_EQ(detour_reason(sight(), of_b()),
            "changes that came from c wait for some that are late from b");
}

TEST_F(StandingTest, NobodyAskedSaysWhy) {
  of_b().upstream = "";
  of_b().detour = Detour::kLinkDown;
  const auto ends_with = [&](const std::string& end) {
    return detour_reason(sight(), of_b()).ends_with(end);
  };
  EXPECT_TRUE(ends_with("; no other neighbour has anything new"));
  of_b().known += 1;
  EXPECT_TRUE(ends_with("; another neighbour is asked after topology.failover_after"));
  config_.topology.reroute = false;
  EXPECT_TRUE(ends_with("; reroute is off: its changes wait for that link"));
  EXPECT_TRUE(notes(sight()).at(0).starts_with("Rerouting is off"));
}

TEST_F(StandingTest, WhoWasRemovedIsNotedAsLongAsSomethingOfHisIsToCome) {
  of_b().detour = Detour::kUnknown;
  of_b().upstream = of_b().preferred = "";
  EXPECT_TRUE(notes(sight()).empty());
  of_b().known += 1;
  EXPECT_EQ(notes(sight()).size(), 1u);
}

TEST_F(StandingTest, ALinkThatHasYetToProveItselfSaysWhyItWasLost) {
  to_b().state = LinkState::kUnsteady;
  to_b().reason = "the peer closed the link";
  EXPECT_EQ(standing_of(sight(), "b").link, "unsteady");
  EXPECT_EQ(standing_of(sight(), "b").reason, "the peer closed the link");
}

TEST_F(StandingTest, WhatCannotBeTakenIsSaidWithItsReason) {
  EXPECT_EQ(refused_changes(sight()), "");
  of_b().detour = Detour::kClock;
  of_b().stamped_ms = kWall + 600'000;
  EXPECT_EQ(
      refused_changes(sight()),
      "changes of b are not taken: the next one is stamped 600 s ahead of the clock here, and "
      "clock.max_drift is 10.0 s; it is asked for again once that has passed");
  of_b().detour = Detour::kTooLong;
  of_b().too_long = {of_b().origin, 21, 100'000'000};
  EXPECT_EQ(refused_changes(sight()),
            "changes of b are not taken: the next one takes a frame of 100000000 bytes, and "
            "limits.frame_bytes here is 83886080");
  of_b().detour = Detour::kNone;
  to_b().state = LinkState::kHeld;
  to_b().reason = "change 7 of a takes a frame of 100 bytes";
  to_b().traffic.too_long = Oversized{origin_of('a'), 7, 100};
  EXPECT_EQ(refused_changes(sight()), to_b().reason);
}

TEST_F(StandingTest, ANeighbourWhoTakesLessThanAClientMayWriteIsNoted) {
  to_b().traffic.frame_bytes = 2 << 20;
  EXPECT_EQ(notes(sight()).at(0),
            "b takes frames of at most 2097152 bytes (its limits.frame_bytes): larger transactions "
            "are refused here, though limits.transaction_bytes is 67108864.");
}

TEST_F(StandingTest, AClockThatIsBehindIsNotSaidToHaveRunAhead) {
  last_stamp_ = Hlc::at(kWall + 3'600'000);
  ASSERT_TRUE(clock_ahead(sight()));
  EXPECT_TRUE(notes(sight()).at(0).starts_with("The clock of a ran ahead"));
  for (auto& link : peers_.links) link.clock_offset_ms = 3'600'000;
  EXPECT_FALSE(clock_ahead(sight()));
  EXPECT_TRUE(notes(sight()).at(0).starts_with("The clock of b is 3600 s ahead of that of a"));
}

TEST_F(StandingTest, TheLogIsKeptForWhoIsFurthestBehind) {
  member_c().applied = VersionVector{};
  member_c().applied.advance(origin_of('b'), 20);
  auto& member_b = peers_.members.at(1);
  member_b.applied = vector_;
  member_b.applied = VersionVector{};
  for (const auto& [origin, seq] : vector_) member_b.applied.advance(origin, seq - 1);
  const auto holders = log_holders(sight());
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_EQ(holders[0].dc, "c");
  EXPECT_EQ(holders[0].behind, 40u);
  EXPECT_EQ(holders[1].behind, 3u);
  EXPECT_TRUE(notes(sight()).empty());  // they are linked and will catch up
  peers_.links.at(1).state = LinkState::kConnecting;
  peers_.links.at(1).since_ms = kWall;
  EXPECT_EQ(notes(sight()).at(0),
            "The log is kept for c, which has not applied 40 of the changes here; its link is down "
            "since 2023-11-14T22:13:20.000Z.");
}

TEST_F(StandingTest, SomebodyNeverHeardOfHoldsTheWholeLog) {
  peers_.members.pop_back();
  peers_.members.at(1).applied = {};
  const auto holders = log_holders(sight());
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_EQ(holders[0].dc, "c");
  EXPECT_FALSE(holders[0].heard);
  EXPECT_EQ(log_reason(sight()),
            "The log is kept for c, which was never heard of: nothing of the log is forgotten "
            "meanwhile.");
}

TEST_F(StandingTest, StampsAheadOfTheClockSayWhenPeersFollowAgain) {
  last_stamp_ = Hlc::at(kWall + 10'000);
  EXPECT_FALSE(clock_ahead(sight()));  // peers follow that far
  last_stamp_ = Hlc::at(kWall + 70'500);
  const auto ahead = clock_ahead(sight());
  ASSERT_TRUE(ahead);
  EXPECT_EQ(ahead->seconds, 70.5);
  EXPECT_EQ(ahead->accepted_again_ms, kWall + 60'500);
  EXPECT_EQ(notes(sight()).at(0),
            "The clock of a ran ahead: what is written here is stamped 70.5 s ahead of it. Peers "
            "accept its changes again at 2023-11-14T22:14:20.500Z; until then they wait here.");
}

TEST_F(StandingTest, ClocksThatDifferByMoreThanIsFollowedAreNoted) {
  to_b().clock_offset_ms = 10'000;
  EXPECT_TRUE(notes(sight()).empty());
  to_b().clock_offset_ms = 12'300;
  EXPECT_TRUE(notes(sight()).at(0).starts_with(
      "The clock of b is 12.3 s ahead of that of a: a refuses what is stamped more than "))
      << notes(sight()).at(0);
  to_b().clock_offset_ms = -3'600'000;
  EXPECT_TRUE(notes(sight()).at(0).starts_with(
      "The clock of a is 3600 s ahead of that of b: b refuses what is stamped more than "))
      << notes(sight()).at(0);
}

}  // namespace
}  // namespace entente
