#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "conflict/result.h"
#include "conflict/version_vector.h"
#include "topology/config.h"

namespace entente {

// What a datacenter that was removed from its cluster has and nobody there does.
struct Unshipped {
  std::filesystem::path file;  // "" if there is nothing
  uint64_t lines = 0;
  std::vector<std::string> silent;  // who did not say what he has: some of it may be there
};

// Writes what this datacenter has and no other of its cluster, whoever wrote it, to a file in its
// folder: the transactions as they are, one a line (gateway/api/late/unshipped_line.h), for
// `entente topology submit`. The others are asked what they have, by the hash chains of their
// histories: where they have another one under the same name, all of this one after the last change
// that both have is in the file. If nobody answers, it is what is not in `sealed`.
//
// Where the log no longer reaches back to all of that, rows: see unshipped_export.h. The file is
// written anew each time.
// `file`: this datacenter's own; `cluster`: the one without it. REQUIRES: its gateway does not run.
Result<Unshipped> export_unshipped(const Config& file, const Config& cluster, const Datacenter& dc,
                                   const std::filesystem::path& data, const VersionVector& sealed);

}  // namespace entente
