#pragma once

#include <filesystem>

#include "conflict/result.h"
#include "conflict/version_vector.h"
#include "topology/config.h"

namespace entente {

// What a datacenter that was removed from its cluster has written and the others do not have.
struct Unshipped {
  std::filesystem::path file;  // "" if there is nothing
  uint64_t lines = 0;
};

// Writes what this datacenter has and others, who have `sealed`, lack, whoever wrote it, to a file
// in its folder, as POST /v1/transactions takes it: a transaction a line. Where the log no longer
// reaches back to all of that, a row a line, as it is now: what it replaced is lost, and a counter
// comes as its value here. The file is written anew each time.
// REQUIRES: its gateway does not run.
Result<Unshipped> export_unshipped(const Config& config, const Datacenter& dc,
                                   const std::filesystem::path& data, const VersionVector& sealed);

}  // namespace entente
