// The SQLite adapter on disks that fail: see README.md beside this file.

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "tests/crash/sweeps.h"

namespace entente::crash {
namespace {

// One in so many is tried; another seed tries others. Rare kinds of errors are all tried.
constexpr uint64_t kCrashStride = 11;
constexpr uint64_t kErrorStride = 41;

struct Options {
  uint64_t from = 1;
  uint64_t seeds = 2;  // odd ones lead the schema, even ones follow it
  std::optional<uint64_t> seed;
  bool all = false;          // every case, not one in so many
  std::string crash, error;  // one case alone
};
Options options;
Tally tally;

using Sweep = std::optional<std::string> (*)(const Selection&, Tally&);

void run_seeds(Sweep sweep, uint64_t stride, const std::string& only) {
  const uint64_t first = options.seed.value_or(options.from);
  const uint64_t count = options.seed ? 1 : options.seeds;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Selection selection{seed, only.empty() && !options.all ? stride : 1, {}};
    if (!only.empty()) selection.only = only;
    const auto failure = sweep(selection, tally);
    if (!failure) continue;
    const std::string name = failure->substr(0, failure->find(' '));
    ADD_FAILURE() << "seed " << seed << ": " << *failure
                  << "\n  replay: crash_tests --seed=" << seed << " --" << name;
    return;
  }
}

TEST(Crash, P3WhatWasAcknowledgedIsThereAfterEveryCrash) {
  if (options.error.empty()) run_seeds(sweep_crashes, kCrashStride, options.crash);
}

TEST(Crash, NoErrorOfTheDiskIsTakenForSuccess) {
  if (options.crash.empty()) run_seeds(sweep_errors, kErrorStride, options.error);
}

void print_tally() {
  std::cout << "report: crash: " << tally.crash_points << " crash points with "
            << tally.power_losses << " power losses, " << tally.kills << " kills, "
            << tally.second_crashes << " second crashes";
  for (size_t c = 0; c < tally.errors.size(); ++c) {
    std::cout << ", " << tally.errors[c] << " " << to_string(static_cast<OpClass>(c)) << " errors";
  }
  std::cout << ", " << tally.full << " of a full disk, " << tally.lies << " fsync lies; "
            << tally.persistent << " errors persisted, " << tally.unnoticed << " hurt nobody\n";
}

bool every_class_was_met() {
  bool all = tally.crash_points > 0 && tally.kills > 0 && tally.second_crashes > 0 &&
             tally.full > 0 && tally.lies > 0 && tally.persistent > 0;
  for (const uint64_t n : tally.errors) all = all && n > 0;
  return all;
}

bool take_value(std::string_view argument, std::string_view name, std::string& value) {
  if (!argument.starts_with(name)) return false;
  value = argument.substr(name.size());
  return true;
}

bool take_argument(std::string_view argument) {
  std::string value;
  const auto number = [&value] { return std::strtoull(value.c_str(), nullptr, 10); };
  if (take_value(argument, "--seed=", value)) return options.seed = number(), true;
  if (take_value(argument, "--seeds=", value)) return options.seeds = number(), true;
  if (take_value(argument, "--from=", value)) return options.from = number(), true;
  if (argument == "--all") return options.all = true;
  return take_value(argument, "--crash=", options.crash) ||
         take_value(argument, "--error=", options.error);
}

}  // namespace
}  // namespace entente::crash

int main(int argc, char** argv) {
  using namespace entente::crash;
  testing::InitGoogleTest(&argc, argv);
  if (const char* seeds = std::getenv("ENTENTE_CRASH_SEEDS")) {
    options.seeds = std::strtoull(seeds, nullptr, 10);
  }
  for (int i = 1; i < argc; ++i) {
    if (take_argument(argv[i])) continue;
    std::cerr << "unknown option " << argv[i] << ": see tests/crash/README.md\n";
    return 2;
  }
  const int failed = RUN_ALL_TESTS();
  print_tally();
  const bool alone = !options.crash.empty() || !options.error.empty();
  if (failed != 0 || alone || testing::FLAGS_gtest_filter != "*" || every_class_was_met()) {
    return failed;
  }
  std::cout << "never met: one of these is 0\n";
  return 1;
}
