#pragma once

#include <filesystem>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// What a datacenter that was removed from its cluster has written and the others do not have.
struct Unshipped {
  std::filesystem::path file;  // "" if there is nothing
  uint64_t transactions = 0;
};

// Writes this datacenter's own transactions after `sealed` to a file in its folder, a line each, as
// POST /v1/transactions takes them. The file is written anew each time.
// REQUIRES: its gateway does not run.
Result<Unshipped> export_unshipped(const Config& config, const Datacenter& dc,
                                   const std::filesystem::path& data, uint64_t sealed);

}  // namespace entente
