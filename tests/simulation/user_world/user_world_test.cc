// Real databases and the worlds that users make in them: see README.md in the folder above.

#include "tests/simulation/user_world/user_world.h"

#include <gtest/gtest.h>

#include <ctime>
#include <iostream>

#include "tests/simulation/options.h"

namespace entente::simulation::user_world {
namespace {

constexpr uint64_t kSeedsThatMeetEverything = 1000;  // fewer need not
constexpr uint64_t kFailuresShown = 3;

void print_failure(uint64_t seed, const std::string& failure) {
  const Changes& changes = options().user_changes;
  std::cout << "user world " << seed << "\n  FAILED " << failure << "\n  replay: simulation_tests "
            << options_of(seed, changes) << " --trace\n";
  if (!options().first_only) {
    std::cout << "  smaller: simulation_tests " << options_of(seed, shrink(seed, changes))
              << " --trace\n";
  }
  std::cout.flush();
}

TEST(UserWorlds, EveryPromiseHoldsForEverySeed) {
  if (options().seed) return;
  const std::clock_t began = std::clock();
  Reached reached;
  uint64_t failures = 0, ran = 0, acknowledged = 0;
  const uint64_t first = options().user_seed.value_or(options().from);
  const uint64_t count = options().user_seed ? 1 : options().user_seeds;
  const uint64_t enough = options().first_only ? 1 : kFailuresShown;
  for (uint64_t seed = first; seed < first + count && failures < enough; ++seed, ++ran) {
    const Outcome outcome = run(seed, options().user_changes, options().trace);
    reached.add(outcome.reached);
    acknowledged += outcome.acknowledged;
    if (!outcome.failure) continue;
    ++failures;
    print_failure(seed, *outcome.failure);
  }
  const double cpu_s = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::cout << ran << " user worlds, " << static_cast<double>(ran) / cpu_s
            << " a second of one core; met:\n"
            << reached << "report: simulation of user worlds: " << ran << " seeds, " << acknowledged
            << " transactions, " << reached.count(Path::kComparedWithSqlite)
            << " statements compared with plain SQLite; " << drawn_once_mended().size()
            << " kinds of draws wait for a mend\n";
  EXPECT_EQ(failures, 0u);
  if (ran < kSeedsThatMeetEverything) return;
  EXPECT_EQ(reached.missing(), "");
}

}  // namespace
}  // namespace entente::simulation::user_world
