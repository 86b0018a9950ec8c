// Gateways die and links break while everybody is written to: the others go on exchanging over
// other ways, and everything meets in the end (P1, P2, P7). Real gateways.

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "tests/integration/healing_cluster.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Shown with the results, so that a run tells how fast it was.
void report(const std::string& name, double value, const std::string& unit) {
  ::testing::Test::RecordProperty(name, std::to_string(value));
  std::cout << "[  FIGURE  ] " << name << ": " << value << " " << unit << "\n";
}

class Ring : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Ways, Ring, ::testing::Values(false, true), [](const auto& tested) {
  return std::string(tested.param ? "BothWays" : "OneWay");
});

// Without b and d, nobody that the file links c with is left.
TEST_P(Ring, OfFiveGoesOnWithoutAnyTwo) {
  HealingCluster ring({"a", "b", "c", "d", "e"},
                      std::string("kind: circle, order: [a, b, c, d, e]") +
                          (GetParam() ? ", both_ways: true" : ""));
  ASSERT_TRUE(ring.start());
  ring.write_everywhere();
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));

  ring.kill({"b", "d"});
  const auto apart = ring.exchange({"a", "c", "e"});
  ASSERT_TRUE(apart) << ring.cluster().output("c");
  report("healed_without_two_apart_ms", static_cast<double>(apart->count()), "ms");
  ASSERT_TRUE(ring.revive({"b", "d"}));
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));

  ring.kill({"b", "c"});
  const auto adjacent = ring.exchange({"a", "d", "e"});
  ASSERT_TRUE(adjacent) << ring.cluster().output("d");
  report("healed_without_two_adjacent_ms", static_cast<double>(adjacent->count()), "ms");
  ASSERT_TRUE(ring.revive({"b", "c"}));
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));

  // The way of the file is taken back while the writing goes on.
  EXPECT_TRUE(comes_true([&] {
    return ring.upstream("c", "a") == "b" && ring.upstream("d", "b") == "c" &&
           ring.upstream("e", "c") == "d" && !ring.has_spares("a") && !ring.has_spares("c");
  })) << ring.upstream("c", "a")
      << ring.upstream("d", "b") << ring.upstream("e", "c");
  ring.expect_everything_everywhere();
}

TEST(Star, GoesOverTheBackupThenDirectlyAndBackToTheHub) {
  HealingCluster star({"hub", "backup", "x", "y", "z"}, "kind: star, hub: hub, backup_hub: backup");
  ASSERT_TRUE(star.start());
  star.write_everywhere();
  ASSERT_TRUE(star.exchange(star.cluster().dcs()));
  EXPECT_TRUE(comes_true([&] { return star.upstream("x", "y") == "hub"; }));

  star.kill({"hub"});
  ASSERT_TRUE(star.exchange({"backup", "x", "y", "z"}));
  EXPECT_EQ(star.upstream("x", "y"), "backup");
  EXPECT_FALSE(star.has_spares("x"));

  star.kill({"backup"});
  const auto direct = star.exchange({"x", "y", "z"});
  ASSERT_TRUE(direct) << star.cluster().output("x");
  report("healed_without_hubs_ms", static_cast<double>(direct->count()), "ms");
  // What is exchanged may come by z first.
  EXPECT_TRUE(comes_true([&] { return star.link("x", "y").up && star.link("x", "y").spare; }));

  ASSERT_TRUE(star.revive({"hub"}));
  ASSERT_TRUE(star.exchange({"hub", "x", "y", "z"}));
  EXPECT_TRUE(comes_true([&] {
    return star.upstream("x", "y") == "hub" && star.upstream("y", "z") == "hub" &&
           !star.has_spares("x");
  })) << star.upstream("x", "y");
  ASSERT_TRUE(star.revive({"backup"}));
  star.expect_everything_everywhere();
}

TEST(Star, WithoutABackupGoesDirectly) {
  HealingCluster star({"hub", "x", "y"}, "kind: star, hub: hub");
  ASSERT_TRUE(star.start());
  star.write_everywhere();
  star.kill({"hub"});
  ASSERT_TRUE(star.exchange({"x", "y"})) << star.cluster().output("x");
  ASSERT_TRUE(star.revive({"hub"}));
  star.expect_everything_everywhere();
}

// From a to c it is as far over b as over d: the smaller name is preferred.
TEST(Links, TakeTheOtherPathAndThePreferredOneBack) {
  HealingCluster tree({"a", "b", "c", "d", "e"},
                      "kind: links, links: [[a, b], [b, c], [a, d], [d, c], [c, e]]");
  ASSERT_TRUE(tree.start());
  tree.write_everywhere();
  ASSERT_TRUE(tree.exchange(tree.cluster().dcs()));
  EXPECT_TRUE(comes_true([&] { return tree.upstream("c", "a") == "b"; }));
  tree.kill({"b"});
  ASSERT_TRUE(tree.exchange({"a", "c", "d", "e"}));
  EXPECT_EQ(tree.upstream("c", "a"), "d");
  ASSERT_TRUE(tree.revive({"b"}));
  EXPECT_TRUE(comes_true([&] {
    return tree.upstream("c", "a") == "b" && tree.upstream("a", "c") == "b";
  })) << tree.upstream("c", "a");
  tree.expect_everything_everywhere();
}

// The textbook circle: what would travel over b waits for b, the rest flows.
TEST(WithoutRerouting, WhatTravelsOverTheDeadWaitsForIt) {
  HealingCluster ring({"a", "b", "c", "d"}, "kind: circle, order: [a, b, c, d], reroute: false");
  ASSERT_TRUE(ring.start());
  ASSERT_TRUE(ring.exchange(ring.cluster().dcs()));
  ring.kill({"b"});
  ASSERT_TRUE(ring.put("a", "waits"));
  const auto until = Clock::now() + 2 * HealingCluster::kFailoverAfter;
  for (int i = 0; Clock::now() < until; ++i) {
    const auto key = "flows-" + std::to_string(i);
    ASSERT_TRUE(ring.put("c", key));
    ASSERT_TRUE(comes_true([&] { return ring.shows("a", key); }));  // by d
  }
  EXPECT_FALSE(ring.shows("c", "waits"));
  EXPECT_FALSE(ring.shows("d", "waits"));
  EXPECT_EQ(ring.upstream("c", "a"), "");
  HttpClient client(ring.cluster().port("c"));
  const auto status = client.request("GET", "/v1/status").body;
  EXPECT_NE(status.find("it has no link to b; nothing is rerouted around it"), std::string::npos)
      << status;
  ASSERT_TRUE(ring.revive({"b"}));
  EXPECT_TRUE(comes_true([&] { return ring.shows("d", "waits"); }));
  ring.expect_everything_everywhere();
}

// Inserts this many rows at a datacenter, a hundred in a transaction.
void insert_rows(Cluster& cluster, const std::string& dc, int rows) {
  for (int done = 0; done < rows; done += 100) {
    const auto answer =
        sql(cluster.port(dc),
            "INSERT INTO items WITH RECURSIVE n(i) AS (SELECT " + std::to_string(done) +
                " UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(done + 99) +
                ") SELECT '" + dc + "-' || i, hex(randomblob(50)) FROM n");
    ASSERT_EQ(answer.find("\"error\""), std::string::npos) << answer;
  }
}

std::string rows_in(const std::string& answer) {
  const auto begin = answer.find("\"rows\"");
  return answer.substr(begin, answer.find("affected") - begin);
}

TEST(Partition, WhatBothSidesWroteMeetsWhenItEnds) {
  HealingCluster all({"a", "b", "c"}, "kind: all-to-all");
  Cluster& cluster = all.cluster();
  TcpProxy& to_a = cluster.proxy("a", "c");
  TcpProxy& to_b = cluster.proxy("b", "c");
  ASSERT_TRUE(all.start());
  to_a.set_up(false), to_b.set_up(false);
  std::thread at_a([&] { insert_rows(cluster, "a", 10'000); });
  std::thread at_b([&] { insert_rows(cluster, "b", 10'000); });
  insert_rows(cluster, "c", 1'000);
  at_a.join(), at_b.join();
  const std::string count = "SELECT count(*) AS n FROM items";
  EXPECT_NE(sql(cluster.port("c"), count).find("\"1000\""), std::string::npos);
  to_a.set_up(true), to_b.set_up(true);
  const auto begin = Clock::now();
  ASSERT_TRUE(cluster.wait_converged({}, 30));
  const std::chrono::duration<double> took = Clock::now() - begin;
  report("catch_up_rows_per_second", 21'000 / took.count(), "rows/s");
  const std::string sum = "SELECT count(*), sum(length(v)), min(v), max(v), max(id) FROM items";
  const auto everything = rows_in(sql(cluster.port("a"), sum));
  EXPECT_NE(everything.find("\"21000\""), std::string::npos) << everything;
  EXPECT_EQ(rows_in(sql(cluster.port("b"), sum)), everything);
  EXPECT_EQ(rows_in(sql(cluster.port("c"), sum)), everything);
}

}  // namespace
}  // namespace entente::testing
