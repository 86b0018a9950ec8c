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
    return links_.look(now, [this](const std::string& peer) { return used_.contains(peer); });
  }

  const Graph graph_{circle()};
  SpareLinks links_{graph_, "a", 100ms, 0ms};
  Set used_;
};

TEST_F(SpareLinksTest, ANeighbourIsWaitedFor) {
  links_.up("b"), links_.up("f");
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
  links_.up("f");
  EXPECT_EQ(look(100ms), Set{"c"});
  links_.failed("c");
  EXPECT_EQ(look(110ms), Set{"d"});
  links_.up("c");  // late, but there
  EXPECT_EQ(look(120ms), Set{});
  EXPECT_FALSE(links_.needed("d"));
}

TEST_F(SpareLinksTest, ASpareIsIdleOnceNobodyTakesAnythingOverIt) {
  links_.up("f");
  look(100ms);
  links_.up("c");
  EXPECT_FALSE(links_.idle("c", 5s));  // needed
  links_.up("b");
  used_ = {"c"};
  look(200ms);
  used_ = {};
  look(250ms);
  EXPECT_FALSE(links_.idle("c", 299ms));
  EXPECT_TRUE(links_.idle("c", 300ms));
  EXPECT_FALSE(links_.idle("b", 300ms));  // it is none
}

TEST_F(SpareLinksTest, StrangersAreNothing) {
  links_.up("z"), links_.down("z", 1ms), links_.failed("z");
  EXPECT_FALSE(links_.needed("z") || links_.is_spare("z") || links_.idle("z", 1s));
}

}  // namespace
}  // namespace entente
