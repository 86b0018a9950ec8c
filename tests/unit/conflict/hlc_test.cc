#include "conflict/hlc.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

constexpr uint64_t kNow = 1'800'000'000'000;
constexpr uint64_t kTenYears = 10ull * 365 * 24 * 3600 * 1000;

TEST(Hlc, FollowsTheWallClockWhenThatMovesOn) {
  HlcClock clock;
  EXPECT_EQ(clock.tick(kNow), Hlc::at(kNow));
  EXPECT_EQ(clock.tick(kNow + 1), Hlc::at(kNow + 1));
}

TEST(Hlc, CountsWithinOneMillisecond) {
  HlcClock clock;
  clock.tick(kNow);
  EXPECT_EQ(clock.tick(kNow), Hlc::at(kNow, 1));
  EXPECT_EQ(clock.tick(kNow), Hlc::at(kNow, 2));
}

TEST(Hlc, CounterOverflowCarriesIntoTheMilliseconds) {
  HlcClock clock(Hlc::at(kNow, 0xffff));
  EXPECT_EQ(clock.tick(kNow), Hlc::at(kNow + 1, 0));
}

TEST(Hlc, WallClockTenYearsBackStillGrows) {
  HlcClock clock(Hlc::at(kNow, 7));
  EXPECT_EQ(clock.tick(kNow - kTenYears), Hlc::at(kNow, 8));
}

TEST(Hlc, StampAfterOneObservedTenYearsAheadIsLarger) {
  HlcClock clock;
  clock.observe(Hlc::at(kNow + kTenYears));
  EXPECT_EQ(clock.tick(kNow), Hlc::at(kNow + kTenYears, 1));
}

TEST(Hlc, ObservingTheOlderChangesNothing) {
  HlcClock clock(Hlc::at(kNow));
  clock.observe(Hlc::at(kNow - 1, 0xffff));
  EXPECT_EQ(clock.last(), Hlc::at(kNow));
}

TEST(Hlc, SurvivesARestartFromItsLastStamp) {
  HlcClock before;
  const Hlc last = before.tick(kNow);
  HlcClock after(before.last());
  EXPECT_GT(after.tick(kNow - kTenYears), last);
}

TEST(Hlc, EveryStampIsLargerThanAllIssuedOrObserved) {
  test::Random random(1);
  for (int round = 0; round < 200; ++round) {
    HlcClock clock;
    Hlc largest;
    for (int i = 0; i < 100; ++i) {
      const uint64_t wall = kNow + random.below(5) - random.one_in(10) * kTenYears;
      if (random.one_in(3)) {
        const Hlc seen = Hlc::at(wall + random.below(3), static_cast<uint16_t>(random.next()));
        clock.observe(seen);
        largest = std::max(largest, seen);
      } else {
        const Hlc stamp = clock.tick(wall);
        ASSERT_GT(stamp, largest);
        largest = stamp;
      }
    }
  }
}

TEST(Hlc, EqualStampsOnThreeNodesAreOrderedByOrigin) {
  const Hlc stamp = Hlc::at(kNow);
  const Version a{stamp, test::dot(1, 9)}, b{stamp, test::dot(2, 5)}, c{stamp, test::dot(3, 1)};
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
}

}  // namespace
}  // namespace entente
