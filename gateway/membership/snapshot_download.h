#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// How far a download is; false stops it.
using DownloadProgress = std::function<bool(uint64_t bytes, uint64_t of)>;

// Fetches another datacenter's whole database (snapshot_api.h) into a file, on the calling thread.
// A cut connection is opened anew, and it goes on where it was. `linked`: this datacenter's gateway
// runs, and may be linked with the other.
// Errors: kNotReached (the other is not there, or stays away for too long), kTimeout (stopped),
//         kRefused, "clock_ahead" (it has changes stamped ahead of the clock here by more than
//         clock.max_drift), and what the other says.
Result<void> download_snapshot(const Config& config, const std::string& dc, const Datacenter& from,
                               bool linked, const std::filesystem::path& to,
                               const DownloadProgress& progress);

}  // namespace entente
