#include "conflict/new_key.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

constexpr uint64_t kNow = 1'800'000'000'000;
constexpr int64_t kExactInJavaScript = int64_t{1} << 53;

TEST(NewKeys, OfTwoSlotsNeverMeet) {
  NewKeys a, b;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = kNow + static_cast<uint64_t>(i % 7);
    EXPECT_NE(*a.next(now, 1), *b.next(now, 255));
    EXPECT_EQ(*a.next(now, 1) % NewKeys::kSlots, 1);
  }
}

TEST(NewKeys, GrowWithTheClockAndWithoutIt) {
  NewKeys keys;
  int64_t last = 0;
  for (const uint64_t now : std::initializer_list<uint64_t>{kNow, kNow, 0, kNow - 9, UINT64_MAX}) {
    const int64_t next = *keys.next(now, 7);
    EXPECT_GT(next, last);
    last = next;
  }
  // A minute later it is above all that a minute's worth of inserts could have taken.
  EXPECT_GT(*keys.next(kNow + 60'000, 7) - last, 900'000 * NewKeys::kSlots);
}

TEST(NewKeys, AreExactInJavaScriptForDecades) {
  NewKeys keys;
  constexpr uint64_t kYear = 365ull * 24 * 3'600'000;
  EXPECT_LT(*keys.next(kNow + 65 * kYear, 255), kExactInJavaScript);
}

TEST(NewKeys, EndRatherThanBeginAgainWithAnothersSlot) {
  NewKeys keys;
  keys.made(kExactInJavaScript - NewKeys::kSlots - 1);
  const auto last = keys.next(kNow, 255);
  ASSERT_TRUE(last);
  EXPECT_EQ(*last, kExactInJavaScript - 1);
  EXPECT_FALSE(keys.next(kNow, 255));
}

TEST(SmallKeys, OfTwoLivesNeverMeet) {
  std::vector<SmallKeys> all;
  for (const int slot : {0, 1, 7, 8, 9, 16, 200, 255}) {
    for (const uint64_t life : std::initializer_list<uint64_t>{0, 1, 2, 7, 8, 9, 100, 4103}) {
      const auto keys = SmallKeys::of(static_cast<uint8_t>(slot), life);
      ASSERT_TRUE(keys);
      all.push_back(*keys);
    }
  }
  for (const auto& a : all) {
    for (const auto& b : all) {
      if (&a == &b) continue;
      const int64_t step = std::min(a.step, b.step);
      EXPECT_NE(a.remainder % step, b.remainder % step);
    }
  }
  EXPECT_FALSE(SmallKeys::of(0, 4104));
}

TEST(SmallKeys, AreTheNextWithTheirRemainder) {
  EXPECT_EQ(SmallKeys::alone().after(0), 1);
  EXPECT_EQ(SmallKeys::alone().after(41), 42);
  EXPECT_EQ(SmallKeys::alone().after(-7), 1);
  const auto keys = *SmallKeys::of(3, 0);
  EXPECT_EQ(keys.step, 32);
  int64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const int64_t next = *keys.after(last);
    EXPECT_GT(next, last);
    EXPECT_LE(next, last + 32);
    EXPECT_EQ(next % 32, keys.remainder);
    last = next;
  }
}

TEST(SmallKeys, EndWhereThoseOfTheClockMayBegin) {
  EXPECT_FALSE(SmallKeys::alone().after(SmallKeys::kEnd - 1));
  EXPECT_FALSE(SmallKeys::alone().after(INT64_MAX));
  NewKeys by_clock;
  EXPECT_GT(*by_clock.next(1'760'000'000'000, 0), SmallKeys::kEnd);
}

}  // namespace
}  // namespace entente
