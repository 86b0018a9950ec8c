#pragma once

#include <filesystem>
#include <functional>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// A datacenter without a database gets a copy of a neighbour's, if one that has anything can be
// reached: it is sooner level than by everything that was ever written, and what the others' logs
// have forgotten is in it. Says in the log how far it is. `stopped`: whether to give up.
// True: it has a database now. False: it has one already, or begins with an empty one.
Result<bool> join(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
                  const std::function<bool()>& stopped);

}  // namespace entente
