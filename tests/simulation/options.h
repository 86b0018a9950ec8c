#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/simulation/plan.h"
#include "tests/simulation/user_world/draw.h"

namespace entente::simulation {

// What the program was asked to run.
struct Options {
  std::optional<uint64_t> seed;  // this one alone
  uint64_t from = 1;
  uint64_t seeds = 1000;
  bool trace = false;
  bool first_only = false;  // stop at the first failure, and leave it as it is
  Overrides overrides;

  std::optional<uint64_t> user_seed;  // this user world alone
  uint64_t user_seeds = 100;
  user_world::Changes user_changes;
};

Options& options();
// Returns false for what is none of ours.
bool take_argument(std::string_view argument, Options& options);

}  // namespace entente::simulation
