// A short run of every topology, or, with arguments, one run as long as is asked for.

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tests/chaos/run.h"

namespace entente::chaos {
namespace {

Options options;
bool one_run = false;  // asked for by arguments
Tally tally;

void print(const Violations& violations) {
  for (const auto& violation : violations) std::cout << "  " << violation << "\n";
}

class Chaos : public ::testing::TestWithParam<std::string> {};

TEST_P(Chaos, NothingIsLostDoubledTornOrStaleAndAllEndAlike) {
  Options here = options;
  here.topology = GetParam();
  here.seed += static_cast<uint64_t>(GetParam().front());  // another plan for each
  const auto violations = ChaosRun(here, tally)();
  print(violations);
  EXPECT_TRUE(violations.empty());
}

INSTANTIATE_TEST_SUITE_P(Topologies, Chaos,
                         ::testing::Values("circle", "star", "all-to-all", "links"),
                         [](const auto& tested) {
                           return tested.param == "all-to-all" ? "AllToAll" : tested.param;
                         });

bool take_value(std::string_view argument, std::string_view name, std::string& value) {
  if (!argument.starts_with(name)) return false;
  value = argument.substr(name.size());
  return true;
}

bool take_without(std::string names) {
  names += ",";
  for (size_t end = 0; (end = names.find(',')) != std::string::npos; names.erase(0, end + 1)) {
    bool known = false;
    for (size_t i = 0; i < kFaults; ++i) {
      if (names.substr(0, end) != to_string(static_cast<Fault>(i))) continue;
      options.without.insert(static_cast<Fault>(i));
      known = true;
    }
    if (!known) return false;
  }
  return true;
}

bool take_topology(const std::string& name) {
  options.topology = name;
  return name == "circle" || name == "star" || name == "all-to-all" || name == "links";
}

// Returns false for what is none of ours.
bool take_argument(std::string_view argument) {
  std::string value;
  const auto number = [&value] { return std::strtoull(value.c_str(), nullptr, 10); };
  one_run = true;
  if (argument == "--endurance") return options.endurance = true;
  if (take_value(argument, "--seed=", value)) return options.seed = number(), true;
  if (take_value(argument, "--clients=", value)) return options.clients = number(), true;
  if (take_value(argument, "--nodes=", value)) {
    options.nodes = number();
    return options.nodes >= 3 && options.nodes <= 5;
  }
  if (take_value(argument, "--seconds=", value)) {
    options.lasts = std::chrono::seconds(number());
    return true;
  }
  if (take_value(argument, "--minutes=", value)) {
    options.lasts = std::chrono::minutes(number());
    return options.endurance = true;
  }
  if (take_value(argument, "--topology=", value)) return take_topology(value);
  if (take_value(argument, "--without=", value)) return take_without(value);
  return take_value(argument, "--keep=", options.keep);
}

}  // namespace
}  // namespace entente::chaos

int main(int argc, char** argv) {
  using namespace entente::chaos;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (take_argument(argv[i])) continue;
    std::cerr << argv[i] << ": see tests/chaos/README.md\n";
    return 2;
  }
  int failed = 0;
  if (one_run) {
    const auto violations = ChaosRun(options, tally)();
    print(violations);
    failed = violations.empty() ? 0 : 1;
  } else {
    failed = RUN_ALL_TESTS();
  }
  if (!tally.topologies.empty()) std::cout << to_line(tally) << "\n";
  return failed;
}
