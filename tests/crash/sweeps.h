#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/crash/machine.h"

namespace entente::crash {

// What was met, over all sweeps.
struct Tally {
  uint64_t crash_points = 0;    // moments at which the machine stopped
  uint64_t power_losses = 0;    // disks that were left of them
  uint64_t kills = 0;           // the process alone stopped, and then the power went
  uint64_t second_crashes = 0;  // during the recovery from the first
  std::array<uint64_t, static_cast<size_t>(OpClass::kCount)> errors{};  // that struck
  uint64_t full = 0;
  uint64_t lies = 0;
  uint64_t persistent = 0;  // of the errors
  uint64_t unnoticed = 0;   // faults after which the call succeeded, rightly
};

// Which cases of a sweep: every `stride`-th, from `seed % stride` on; or one alone.
struct Selection {
  uint64_t seed = 1;
  uint64_t stride = 1;
  std::optional<std::string> only;  // as a failure names it
};

// Stops the machine after each thing it did to its disk, and starts it anew on what may be left.
// The first failure: the case's name, and what was wrong.
std::optional<std::string> sweep_crashes(const Selection& selection, Tally& tally);
// Lets each operation of each step fail, once and for good.
std::optional<std::string> sweep_errors(const Selection& selection, Tally& tally);

}  // namespace entente::crash
