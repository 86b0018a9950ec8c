#include "gateway/replica/spare_links.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using namespace std::chrono_literals;
using Set = std::set<std::string>;

// A circle of six; we are a, with b and f for neighbours.
Config circle() {
  Config config;
  config.topology.kind = TopologyKind::kCircle;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    config.datacenters.emplace_back().name = name;
    config.topology.order.emplace_back(name);
  }
  return config;
}

class SpareLinksTest : public ::testing::Test {
 protected:
  Set look(std::chrono::milliseconds now) {
    return links_.look(
        now, [this](const std::string& peer) { return used_.contains(peer); },
        [](const std::string&) { return true; });
  }

  const Graph graph_{circle()};
  SpareLinks links_{graph_, "a", 100ms, 0ms};
  Set used_;
};

TEST_F(SpareLinksTest, ANeighbourIsWaitedFor) {
  links_.up("b", 0ms), links_.up("f", 0ms);
  EXPECT_EQ(look(500ms), Set{});
  links_.down("b", 500ms);
  EXPECT_EQ(look(599ms), Set{});
  EXPECT_EQ(look(600ms), Set{"c"});
  EXPECT_TRUE(links_.needed("c"));
  EXPECT_EQ(look(610ms), Set{});  // it is no news
}

TEST_F(SpareLinksTest, WhoIsMissingFromTheStartIsMissed) {
  EXPECT_EQ(look(99ms), Set{});
  EXPECT_EQ(look(100ms), (Set{"c", "e"}));
}

TEST_F(SpareLinksTest, ASpareThatCannotBeReachedIsPassedOverAtOnce) {
  links_.up("f", 0ms);
  EXPECT_EQ(look(100ms), Set{"c"});
  links_.failed("c");
  EXPECT_EQ(look(110ms), Set{"d"});
  links_.up("c", 110ms);  // late, but there
  EXPECT_EQ(look(120ms), Set{});
  EXPECT_FALSE(links_.needed("d"));
}

TEST_F(SpareLinksTest, ASpareIsIdleOnceNobodyTakesAnythingOverIt) {
  links_.up("f", 0ms);
  look(100ms);
  links_.up("c", 0ms);
  EXPECT_FALSE(links_.idle("c", 5s));  // needed
  links_.up("b", 0ms);
  used_ = {"c"};
  look(200ms);
  used_ = {};
  look(250ms);
  EXPECT_FALSE(links_.idle("c", 299ms));
  EXPECT_TRUE(links_.idle("c", 300ms));
  EXPECT_FALSE(links_.idle("b", 300ms));  // it is none
}

TEST_F(SpareLinksTest, ALinkThatComesAndGoesIsGone) {
  links_.up("f", 0ms), links_.up("b", 0ms);
  EXPECT_EQ(look(500ms), Set{});
  links_.down("b", 500ms);
  for (auto t = 510ms; t < 600ms; t += 20ms) {
    EXPECT_EQ(look(t), Set{});
    links_.up("b", t);
    links_.down("b", t + 10ms);
  }
  links_.up("b", 595ms);
  EXPECT_EQ(look(600ms), Set{"c"});
  for (auto t = 600ms; t < 5s; t += 20ms) look(t);
  EXPECT_FALSE(links_.needed("c"));
}

TEST_F(SpareLinksTest, StrangersAreNothing) {
  links_.up("z", 0ms), links_.down("z", 1ms), links_.failed("z");
  EXPECT_FALSE(links_.needed("z") || links_.is_spare("z") || links_.idle("z", 1s));
}

}  // namespace
}  // namespace entente
