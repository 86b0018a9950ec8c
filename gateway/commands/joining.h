#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// Fetches a copy of the database of the first of `from` that gives one into a file, and says in the
// log how far it is. `linked`: this datacenter's gateway runs.
// Returns whose it is. Errors: kNotFound (nobody has anything), and what the last one said.
Result<std::string> fetch_copy(const Config& config, const Datacenter& dc,
                               std::span<const std::string> from, bool linked,
                               const std::filesystem::path& part,
                               const std::function<bool()>& stopped);

// A datacenter without a database gets a copy of a neighbour's, if one that has anything can be
// reached: it is sooner level than by everything that was ever written, and what the others' logs
// have forgotten is in it. Says in the log how far it is. `stopped`: whether to give up.
// True: it has a database now. False: it has one already, or begins with an empty one.
Result<bool> join(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
                  const std::function<bool()>& stopped);

}  // namespace entente
