#include "tests/chaos/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/chaos/checks.h"
#include "tests/chaos/samples.h"

namespace entente::chaos {
namespace {

using namespace std::chrono_literals;

TEST(Plan, IsTheSameForTheSameSeed) {
  Options options;
  options.seed = 7;
  const std::string once = describe(draw_plan(options));
  EXPECT_EQ(once, describe(draw_plan(options)));
  options.seed = 8;
  EXPECT_NE(once, describe(draw_plan(options)));
}

TEST(Plan, EveryFaultIsDrawnAndEndsInItsRound) {
  std::set<Fault> drawn;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Options options;
    options.seed = seed;
    const Plan plan = draw_plan(options);
    EXPECT_GE(plan.dcs.size(), 3u);
    EXPECT_LE(plan.dcs.size(), 5u);
    for (const auto& fault : plan.rounds.at(0)) {
      drawn.insert(fault.fault);
      EXPECT_LT(fault.at + fault.lasts, plan.round);
    }
  }
  EXPECT_EQ(drawn.size(), kFaults);
}

TEST(Plan, FaultsHitLinksOfTheTopologyAndSpareOnes) {
  size_t drawn = 0, spare = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Options options;
    options.seed = seed;
    options.topology = "circle";
    options.nodes = 5;
    const Plan plan = draw_plan(options);
    EXPECT_EQ(plan.spares.size(), 5u);
    for (const auto& fault : plan.rounds.at(0)) {
      if (!of_a_link(fault.fault)) continue;
      const auto& spares = plan.spares;
      const bool is_spare =
          std::find(spares.begin(), spares.end(), std::pair(fault.a, fault.b)) != spares.end();
      ++(is_spare ? spare : drawn);
    }
  }
  EXPECT_GT(spare, 0u);
  EXPECT_GT(drawn, spare);
}

TEST(Plan, ALongRunHasRoundsAndSparesOneGateway) {
  Options options;
  options.endurance = true;
  options.lasts = 60min;
  const Plan plan = draw_plan(options);
  EXPECT_EQ(plan.rounds.size(), 60u);
  for (const auto& round : plan.rounds) {
    for (const auto& fault : round) {
      EXPECT_FALSE(fault.fault == Fault::kKill && fault.a == plan.dcs.front());
    }
  }
}

TEST(Samples, WhatGrowsIsToldAndWhatOnlyMovesIsNot) {
  Samples flat, growing, spiky;
  for (int i = 0; i < 100; ++i) {
    flat.add("a", "memory MiB", 100 + i % 7);
    growing.add("a", "memory MiB", 50 + i);
    spiky.add("a", "memory MiB", i % 10 == 0 ? 500 : 100);
  }
  EXPECT_TRUE(flat.growth().empty());
  EXPECT_TRUE(spiky.growth().empty());
  ASSERT_EQ(growing.growth().size(), 1u);
  EXPECT_EQ(growing.growth()[0], "memory MiB of a grew from 87.0 to 137.0");
}

TEST(Samples, MetricsAreSummedOverTheirLabels) {
  Samples samples;
  samples.look("a",
               "# TYPE x\nentente_sql_streams 3\nentente_queued_requests{kind=\"read\"} 4\n"
               "entente_queued_requests{kind=\"write\"} 5\n");
  EXPECT_NE(samples.table().find("queued requests   a                   0.0          9.0"),
            std::string::npos)
      << samples.table();
}

TEST(Alike, ADifferenceIsNamed) {
  Finals finals;
  finals["a"].rows = finals["b"].rows = {{"k", "1"}};
  EXPECT_TRUE(check_alike(finals).empty());
  finals["b"].rows["k"] = "2";
  EXPECT_EQ(check_alike(finals), Violations{"a and b differ: k = 1 against 2"});
  finals["b"] = finals["a"];
  finals["b"].values["k"] = {"1", "2"};
  EXPECT_EQ(check_alike(finals).size(), 1u);
}

}  // namespace
}  // namespace entente::chaos
