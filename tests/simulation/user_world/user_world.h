#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/simulation/user_world/draw.h"
#include "tests/simulation/user_world/reached.h"

namespace entente::simulation::user_world {

struct Outcome {
  std::optional<std::string> failure;  // absent: every promise held
  uint64_t acknowledged = 0;           // client transactions
  Reached reached;
};

// Runs one seed: some datacenters, tables as users declare them, clients, tools, and an exchange in
// a random causal order; checks at random moments, and when everybody has everything. The same
// arguments give the same outcome, always.
Outcome run(uint64_t seed, const Changes& changes, bool print_trace);

// Leaves out of a failing seed what it can fail without.
Changes shrink(uint64_t seed, Changes changes);

// The options that replay it.
std::string options_of(uint64_t seed, const Changes& changes);

}  // namespace entente::simulation::user_world
