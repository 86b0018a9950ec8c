#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "conflict/result.h"
#include "gateway/lifecycle/donors.h"
#include "gateway/membership/data_folder.h"
#include "topology/config.h"

namespace entente {

// Fetches a copy of the database of the first of `donors` that gives one into a file, and says in
// the log how far it is. `linked`: this datacenter's gateway runs.
// Returns whose it is. Errors: kRefused, "runs_already" (another gateway of this name is linked:
// then nobody else is asked); kNotReached; and all that they said.
Result<std::string> fetch_copy(const Config& config, const Datacenter& dc,
                               std::span<const Donor> donors, bool linked,
                               const std::filesystem::path& part,
                               const std::function<bool()>& stopped);

// The pauses between attempts: short at first.
class Retry {
 public:
  // False: `stopped` says so.
  bool pause(const std::function<bool()>& stopped);

 private:
  std::chrono::milliseconds next_{500};
};

// What became of a datacenter that had no database.
enum class Beginning {
  kMayServe,  // it has one now, or may make an empty one
  kTopology,  // it heard of a later topology, which is in its folder now
  kStopped,
};

// A datacenter without a database gets a copy of a neighbour's: it is sooner level than by
// everything that was ever written, and what the others' logs have forgotten is in it. It waits for
// one however long it takes, and says meanwhile where it serves its clients that it does
// (waiting_room.h). `first`: a cluster may begin here, with an empty database. It does if no
// neighbour is there that could know better: who is there, and refuses or is busy, is waited for.
// Errors: there is nobody to wait for; the disk is full; another gateway has the folder or the
// port.
Result<Beginning> join(const Config& config, const Datacenter& dc,
                       const std::filesystem::path& data, bool first,
                       const std::function<bool()>& stopped);

// Keeps a topology that somebody told of: it is in force from the next life on.
Result<void> keep_topology(const std::filesystem::path& data, const TopologyEpoch& topology);

}  // namespace entente
