#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/crash/world.h"

namespace entente::crash {

// What a workload does, one call of the database a step.
enum class StepKind : uint8_t {
  kOpen,    // anew, or again after a clean end
  kDefine,  // the tables
  kGroup,   // clients' transactions, some of which fail
  kPeers,   // the other datacenters hear, or do not, and write: no call of the database
  kApply,   // what they wrote
  kPromise,
  kCollect,
  kTrim,
  kSchema,
  kSnapshot,
  kReadAcross,  // a group while a reader has a snapshot open: the WAL cannot start anew
  kJudge,
};
const char* to_string(StepKind kind);

// A workload of a seed: the same steps from the same world.
size_t step_count();
StepKind kind_of(size_t step);
struct StepResult {
  std::optional<Error> error = {};       // of the call that was the last
  std::vector<uint64_t> committed = {};  // own transactions, by each call that succeeded
  bool read_only = false;                // the call that failed writes nothing to the database
};
// Runs it, and notes in the world what was acknowledged.
StepResult run_step(Live& live, size_t step);

}  // namespace entente::crash
