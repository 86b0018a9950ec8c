#include "gateway/replica/link_trust.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using namespace std::chrono_literals;
using State = LinkTrust::State;

// A life from `from` to `to`, of use all the time.
bool live(LinkTrust& link, LinkTrust::Instant from, LinkTrust::Instant to) {
  link.up(from);
  link.useful(to);
  return link.down(to);
}

TEST(LinkTrust, ANewLinkIsTrustedAtOnce) {
  LinkTrust link(100ms, 0ms);
  EXPECT_EQ(link.state(), State::kDown);
  link.up(10ms);
  EXPECT_EQ(link.state(), State::kTrusted);
  EXPECT_FALSE(link.gone(1s, 100ms));
}

TEST(LinkTrust, AGoodLifeCountsFromItsEnd) {
  LinkTrust link(100ms, 0ms);
  EXPECT_TRUE(live(link, 0ms, 500ms));
  EXPECT_FALSE(link.gone(599ms, 100ms));
  EXPECT_TRUE(link.gone(600ms, 100ms));
  link.up(600ms);
  EXPECT_FALSE(link.gone(600ms, 100ms));
}

TEST(LinkTrust, ShortLivesDoNotCount) {
  LinkTrust link(100ms, 0ms);
  EXPECT_TRUE(live(link, 0ms, 500ms));
  EXPECT_FALSE(live(link, 510ms, 550ms));
  EXPECT_FALSE(live(link, 560ms, 590ms));
  link.up(600ms);
  EXPECT_EQ(link.state(), State::kOnTrial);
  EXPECT_TRUE(link.gone(600ms, 100ms));  // since 500 ms
}

TEST(LinkTrust, ALongLifeOfNoUseIsAShortOne) {
  LinkTrust link(100ms, 0ms);
  link.up(0ms);
  link.useful(50ms);
  EXPECT_FALSE(link.down(10s));
  EXPECT_TRUE(link.gone(10s, 100ms));
}

TEST(LinkTrust, EachShortLifeMakesTheNextTrialLonger) {
  LinkTrust link(100ms, 0ms);
  auto now = 0ms;
  for (const auto trial : {0ms, 100ms, 200ms, 400ms, 800ms, 1'600ms, 1'600ms}) {
    link.up(now);
    if (trial > 0ms) {
      link.useful(now + trial - 1ms);
      EXPECT_EQ(link.state(), State::kOnTrial) << trial.count();
    }
    now += trial;
    link.useful(now);
    EXPECT_EQ(link.state(), State::kTrusted) << trial.count();
    EXPECT_FALSE(link.down(now));  // as soon as it was trusted
  }
  link.up(now);
  link.useful(now + 1'700ms);
  EXPECT_TRUE(link.down(now + 1'700ms));
  link.up(now + 2s);
  EXPECT_EQ(link.state(), State::kTrusted);
}

}  // namespace
}  // namespace entente
