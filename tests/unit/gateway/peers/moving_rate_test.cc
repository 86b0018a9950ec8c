#include "gateway/peers/moving_rate.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using Instant = MovingRate::Instant;

TEST(MovingRate, IsWhatTheCounterGrewInTheLastFiveSeconds) {
  MovingRate rate;
  EXPECT_EQ(rate.per_second(Instant{0}, 1'000), 0);  // nothing to compare with
  for (int64_t ms = 0; ms <= 20'000; ms += 100) rate.sample(Instant{ms}, ms * 2);
  EXPECT_DOUBLE_EQ(rate.per_second(Instant{20'000}, 40'000), 2'000);
  EXPECT_DOUBLE_EQ(rate.per_second(Instant{20'000}, 50'000), 4'000);  // a burst since
}

TEST(MovingRate, FadesToNothingWhenTheCounterStands) {
  MovingRate rate;
  rate.sample(Instant{0}, 0);
  for (int64_t ms = 500; ms <= 3'000; ms += 500) rate.sample(Instant{ms}, 600);
  EXPECT_DOUBLE_EQ(rate.per_second(Instant{3'000}, 600), 200);
  for (int64_t ms = 3'500; ms <= 5'500; ms += 500) rate.sample(Instant{ms}, 600);
  EXPECT_EQ(rate.per_second(Instant{5'500}, 600), 0);
}

TEST(MovingRate, ASingleChangeAtTheStartIsNoFlood) {
  MovingRate rate;
  rate.sample(Instant{0}, 0);
  EXPECT_LE(rate.per_second(Instant{1}, 1), 2);
}

}  // namespace
}  // namespace entente
