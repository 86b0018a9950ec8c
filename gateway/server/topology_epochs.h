#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"
#include "topology/succession.h"

namespace entente {

// How a running cluster goes from one topology to the next: each is an epoch, and the last one
// holds. A gateway keeps it in its data folder, where it comes before what its own file says; it
// tells it to its neighbours and hears of theirs (topology_news.h). Gateways are linked with each
// other only under the same epoch, and start anew when it changes, so whatever one of them says
// over a link of a datacenter's changes and promises was said after that one had gone over.

// `${NAME}` in topology files.
std::optional<std::string> process_environment(const std::string& name);

// Reads a topology that is to follow `now`, under the number `epoch`.
// Errors: kInvalid, its problems; kRefused, what stands against it.
Result<Config> read_successor(const Config& now, const std::string& yaml, uint64_t epoch);

// What holds for a datacenter's gateway: `file`, or what the cluster has gone over to since.
Result<Config> config_in_force(const Config& file, const std::filesystem::path& data);

}  // namespace entente
