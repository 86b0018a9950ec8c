#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/simulation/coverage.h"
#include "tests/simulation/plan.h"

namespace entente::simulation {

struct Outcome {
  std::optional<std::string> failure;  // absent: every promise held
  uint64_t trace_hash = 0;
  uint64_t acknowledged = 0;  // client transactions
  std::string plan;           // in words
  Coverage coverage;
};

// Runs one seed: chaos, heal, quiesce, check, cold restart, check. The same arguments give the same
// outcome, always.
Outcome run(uint64_t seed, const Overrides& overrides, bool print_trace);

// Leaves out of a failing seed what it can fail without: faults, operations, nodes.
Overrides shrink(uint64_t seed, Overrides overrides);

// The options that replay it.
std::string options_of(uint64_t seed, const Overrides& overrides);

}  // namespace entente::simulation
