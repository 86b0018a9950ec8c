#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "conflict/result.h"
#include "gateway/membership/data_folder.h"
#include "gateway/membership/topology_news_item.h"
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

// Reads a topology that somebody would have the cluster go over to from `now`. What it leaves open
// of the leader is filled in: then it says the same to everybody.
// Errors: kInvalid, its problems; kRefused, what stands against it.
Result<Config> read_proposal(const Config& now, TopologyEpoch& proposal);

// Reads a topology that the cluster has gone over to: under it, a gateway with this file is …
// Errors: kInvalid, its problems; kRefused, that it is of another cluster than the file.
Result<Config> read_successor(const Config& file, const TopologyEpoch& topology);

// What a gateway has heard from another.
TopologyEpoch epoch_of(const TopologyNewsItem& said, const Config& now);

// What holds for a datacenter's gateway: `file`, or what the cluster has gone over to since.
Result<Config> config_in_force(const Config& file, const std::filesystem::path& data);

}  // namespace entente
