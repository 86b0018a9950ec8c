// How often a change crosses the links, and how soon it takes another way. Real gateways.

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "tests/integration/healing_cluster.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSlack{500};  // of two busy processors
constexpr int kWritesEach = 100;

uint64_t write_some_everywhere(HealingCluster& sites, const std::string& label) {
  uint64_t written = 0;
  for (const auto& dc : sites.cluster().dcs()) {
    for (int i = 0; i < kWritesEach; ++i) {
      written += sites.put(dc, label + "-" + dc + "-" + std::to_string(i)) ? 1 : 0;
    }
  }
  return written;
}

struct Totals {
  uint64_t sent = 0, received = 0, duplicates = 0;
};

Totals totals(HealingCluster& sites) {
  Totals sum;
  for (const auto& dc : sites.cluster().dcs()) {
    for (const auto& link : sites.links(dc)) {
      sum.sent += link.sent;
      sum.received += link.received;
      sum.duplicates += link.duplicates;
    }
  }
  return sum;
}

struct Shape {
  std::string name;
  std::vector<std::string> dcs;
  std::string topology;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.topology; }

class SteadyState : public ::testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(
    Shapes, SteadyState,
    ::testing::Values(Shape{"Ring", {"a", "b", "c", "d"}, "kind: circle, order: [a, b, c, d]"},
                      Shape{"RingBothWays",
                            {"a", "b", "c", "d"},
                            "kind: circle, order: [a, b, c, d], both_ways: true"},
                      Shape{"Star", {"a", "b", "c", "d"}, "kind: star, hub: a, backup_hub: b"},
                      Shape{"AllToAll", {"a", "b", "c"}, "kind: all-to-all"},
                      Shape{"Links",
                            {"a", "b", "c", "d"},
                            "kind: links, links: [[a, b], [b, c], [a, d], [d, c]]"}),
    [](const auto& tested) { return tested.param.name; });

// Every other datacenter receives it once, over one link; so no link carries it twice.
TEST_P(SteadyState, EveryChangeReachesEveryOtherDatacenterOnce) {
  const auto& shape = GetParam();
  HealingCluster sites(shape.dcs, shape.topology);
  ASSERT_TRUE(sites.start());
  ASSERT_TRUE(sites.exchange(shape.dcs));
  ASSERT_TRUE(sites.cluster().wait_converged({}, 20));
  const Totals before = totals(sites);
  const auto written = write_some_everywhere(sites, "steady");
  ASSERT_EQ(written, kWritesEach * shape.dcs.size());
  ASSERT_TRUE(sites.cluster().wait_converged({}, 20));
  const Totals after = totals(sites);
  EXPECT_EQ(after.received - before.received, written * (shape.dcs.size() - 1));
  EXPECT_EQ(after.sent - before.sent, after.received - before.received);
  EXPECT_EQ(after.duplicates, 0u);
  for (const auto& dc : shape.dcs) EXPECT_FALSE(sites.has_spares(dc));
}

// What a switch of ways has under way comes twice; nothing comes more often than that.
TEST(Healing, NoDatacenterReceivesAChangeMoreThanTwice) {
  HealingCluster ring({"a", "b", "c", "d"}, "kind: circle, order: [a, b, c, d]");
  ASSERT_TRUE(ring.start());
  ring.write_everywhere();
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));
  Totals most;
  const auto look = [&] {
    for (const std::string dc : {"a", "c", "d"}) {
      Totals here;
      for (const auto& link : ring.links(dc)) {
        here.received += link.received;
        here.duplicates += link.duplicates;
      }
      EXPECT_LE(here.duplicates, here.received - here.duplicates) << dc;
      most.received = std::max(most.received, here.received);
      most.duplicates = std::max(most.duplicates, here.duplicates);
    }
  };
  ring.kill({"b"});
  ASSERT_TRUE(ring.exchange({"a", "c", "d"}));
  look();
  ASSERT_TRUE(ring.revive({"b"}));
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));
  look();
  ring.expect_everything_everywhere();
  look();
  std::cout << "[  FIGURE  ] duplicates while healing, at most at one datacenter: "
            << most.duplicates << " of " << most.received << "\n";
}

// How long after `hurt` a row that `writer` writes now is shown at `reader`.
milliseconds failover_time(HealingCluster& sites, const std::string& writer,
                           const std::string& reader, Clock::time_point hurt,
                           const std::string& how) {
  EXPECT_TRUE(sites.put(writer, "after-" + how));
  EXPECT_TRUE(comes_true([&] { return sites.shows(reader, "after-" + how); }));
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - hurt);
  std::cout << "[  FIGURE  ] failover " << how << ": " << took.count() << " ms, failover_after "
            << HealingCluster::kFailoverAfter.count() << " ms\n";
  return took;
}

TEST(Failover, TakesAsLongAsConfiguredWhenTheUpstreamDies) {
  HealingCluster ring({"a", "b", "c", "d", "e"}, "kind: circle, order: [a, b, c, d, e]");
  ASSERT_TRUE(ring.start());
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));
  const auto hurt = Clock::now();
  ring.kill({"b"});
  const auto took = failover_time(ring, "a", "c", hurt, "past-a-dead-site");
  EXPECT_LE(took, HealingCluster::kFailoverAfter + kSlack);
  EXPECT_GE(took, HealingCluster::kFailoverAfter / 2);  // it did not just arrive by the old way
  const auto again = Clock::now();
  ring.kill({"a"});
  EXPECT_LE(failover_time(ring, "e", "c", again, "past-a-second"),
            HealingCluster::kFailoverAfter + kSlack);
}

TEST(Failover, TakesAsLongAsConfiguredWhenALinkIsCut) {
  HealingCluster star({"hub", "backup", "x", "y"}, "kind: star, hub: hub, backup_hub: backup");
  TcpProxy& link = star.cluster().proxy("hub", "x");
  ASSERT_TRUE(star.start());
  ASSERT_TRUE(star.exchange(star.cluster().dcs()));
  const auto hurt = Clock::now();
  link.set_up(false);
  EXPECT_LE(failover_time(star, "y", "x", hurt, "of-a-spoke-without-its-hub"),
            HealingCluster::kFailoverAfter + kSlack);
  link.set_up(true);
  EXPECT_TRUE(comes_true([&] { return star.upstream("x", "y") == "hub"; }));
  star.expect_everything_everywhere();
}

}  // namespace
}  // namespace entente::testing
