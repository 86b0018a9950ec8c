// Many gateways in one thread from one seed: see README.md beside this file.

#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "tests/simulation/options.h"

namespace entente::simulation {
namespace {

constexpr uint64_t kSeedsThatMeetEverything = 300;  // fewer need not
constexpr uint64_t kFailuresShown = 3;

void print_failure(uint64_t seed, const Overrides& overrides, const Outcome& outcome) {
  std::cout << "seed " << seed << ": " << outcome.plan << "\n  FAILED " << *outcome.failure
            << "\n  replay: simulation_tests " << options_of(seed, overrides) << " --trace\n";
  if (!options().first_only) {
    std::cout << "  smaller: simulation_tests " << options_of(seed, shrink(seed, overrides))
              << " --trace\n";
  }
  std::cout.flush();
}

void run_seeds(uint64_t count, const Overrides& overrides) {
  const std::clock_t began = std::clock();
  Coverage coverage;
  uint64_t failures = 0, ran = 0, acknowledged = 0;
  const uint64_t first = options().seed.value_or(options().from);
  if (options().seed) count = 1;
  const uint64_t enough = options().first_only ? 1 : kFailuresShown;
  for (uint64_t seed = first; seed < first + count && failures < enough; ++seed, ++ran) {
    const Outcome outcome = run(seed, overrides, options().trace);
    coverage.add(outcome.coverage);
    acknowledged += outcome.acknowledged;
    if (outcome.failure) {
      ++failures;
      print_failure(seed, overrides, outcome);
    } else if (seed % 20 == 0) {
      EXPECT_EQ(run(seed, overrides, false).trace_hash, outcome.trace_hash)
          << "seed " << seed << " ran differently the second time";
    }
  }
  const double cpu_s = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::cout << ran << " seeds, " << static_cast<double>(ran) / cpu_s << " a second of one core, "
            << acknowledged << " transactions acknowledged; met:\n"
            << coverage << "report: simulation" << (overrides.over_sqlite ? " over SQLite" : "")
            << ": " << ran << " seeds, " << acknowledged << " transactions, " << cells_of(coverage)
            << " cells and rare paths reached; " << faults_of(coverage) << "\n";
  EXPECT_EQ(failures, 0u);
  if (ran < kSeedsThatMeetEverything) return;
  for (size_t i = 0; i < static_cast<size_t>(Met::kCount); ++i) {
    EXPECT_GT(coverage.count(static_cast<Met>(i)), 0u)
        << "never met: " << to_string(static_cast<Met>(i));
  }
}

TEST(Simulation, EveryPromiseHoldsForEverySeed) {
  if (options().user_seed) return;
  if (!options().overrides.over_sqlite) run_seeds(options().seeds, options().overrides);
}

TEST(Simulation, EveryPromiseHoldsOverSqlite) {
  if (options().user_seed) return;
  constexpr uint64_t kOneIn = 20;  // they take that much longer
  Overrides overrides = options().overrides;
  overrides.over_sqlite = true;
  if (options().overrides.over_sqlite) return run_seeds(options().seeds, overrides);
  if (!options().seed) run_seeds(options().seeds / kOneIn, overrides);
}

// Those that failed once, with the options that made them small.
TEST(Simulation, SeedsThatFoundBugsHold) {
  if (options().seed || options().user_seed) return;
  std::ifstream file(ENTENTE_REGRESSION "/seeds");
  size_t ran = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    Options replay;
    std::istringstream words(line);
    for (std::string word; words >> word && word.starts_with("--");) {
      ASSERT_TRUE(take_argument(word, replay)) << line;
    }
    ASSERT_TRUE(replay.seed) << line;
    EXPECT_EQ(run(*replay.seed, replay.overrides, false).failure, std::nullopt) << line;
    ++ran;
  }
  EXPECT_GT(ran, 0u);
}

TEST(Simulation, SameSeedGivesTheSameTrace) {
  if (options().seed || options().user_seed) return;
  EXPECT_EQ(run(7, {}, false).trace_hash, run(7, {}, false).trace_hash);
  EXPECT_NE(run(7, {}, false).trace_hash, run(8, {}, false).trace_hash);
}

}  // namespace
}  // namespace entente::simulation

int main(int argc, char** argv) {
  using namespace entente::simulation;
  testing::InitGoogleTest(&argc, argv);
  if (const char* seeds = std::getenv("ENTENTE_SIM_SEEDS")) {
    options().seeds = std::strtoull(seeds, nullptr, 10);
  }
  if (const char* seeds = std::getenv("ENTENTE_SIM_USER_SEEDS")) {
    options().user_seeds = std::strtoull(seeds, nullptr, 10);
  }
  for (int i = 1; i < argc; ++i) {
    if (!take_argument(argv[i], options())) {
      std::cerr << "unknown option " << argv[i] << ": see tests/simulation/README.md\n";
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
