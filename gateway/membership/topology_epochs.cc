#include "gateway/membership/topology_epochs.h"

#include <cstdlib>

#include "topology/graph.h"
#include "topology/loader.h"

namespace entente {
namespace {

std::string joined(const std::vector<std::string>& sentences) {
  std::string out;
  for (const auto& sentence : sentences) out += (out.empty() ? "" : "; ") + sentence;
  return out;
}

// What came from elsewhere learns nothing of this process's environment.
Result<Config> read(const std::string& yaml, const std::string& folder) {
  if (yaml.find("${") != std::string::npos) {
    return fail(Code::kInvalid,
                "the topology holds a variable, ${…}, which means something else at every gateway: "
                "write its value",
                "bad_topology");
  }
  auto loaded = load_config(yaml, folder, [](const std::string&) { return std::nullopt; });
  if (loaded.config) return std::move(*loaded.config);
  std::vector<std::string> problems;
  for (const auto& problem : loaded.problems) {
    problems.push_back(std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
                       problem.text);
  }
  return fail(Code::kInvalid, joined(problems), "bad_topology");
}

std::string rules_of_file(const Config& config) {
  return config.file_rules.empty() ? rules_fingerprint(config) : config.file_rules;
}

// A topology without a file is the one of `now`, with another leader.
Result<Config> proposed(const Config& now, const TopologyEpoch& topology) {
  if (topology.yaml.empty() && topology.leader.empty()) {
    return fail(Code::kInvalid, "nobody says what it is", "bad_topology");
  }
  auto next = topology.yaml.empty() ? Result<Config>(now) : read(topology.yaml, now.folder);
  if (next && !topology.leader.empty()) {
    next->schema_leader = topology.leader;
    next->names_leader = true;
  }
  return next;
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

Result<Config> read_proposal(const Config& now, TopologyEpoch& proposal) {
  auto next = proposed(now, proposal);
  if (!next) return next;
  if (const auto against = objections(now, *next); !against.empty()) {
    return fail(Code::kRefused, joined(against), "topology_refused");
  }
  Config config = succeed(now, *next, proposal.epoch);
  proposal.leader = config.schema_leader;
  proposal.file_rules = rules_of_file(now);
  return config;
}

Result<Config> read_successor(const Config& file, const TopologyEpoch& topology) {
  auto next = proposed(file, topology);
  if (!next) return next;
  if (const auto against = contradictions(file, *next); !against.empty()) {
    return fail(Code::kRefused, joined(against), "topology_refused");
  }
  Config config = under(file, *next, topology.epoch, topology.file_rules);
  if (config.find(config.schema_leader) != nullptr) return config;
  return fail(Code::kRefused,
              "its schema leader, " + config.schema_leader + ", is none of its datacenters",
              "topology_refused");
}

TopologyEpoch epoch_of(const TopologyNewsItem& said, const Config& now) {
  return {said.epoch, said.yaml, said.sealed, said.leader, rules_of_file(now)};
}

Result<Config> config_in_force(const Config& file, const std::filesystem::path& data) {
  const auto topology = DataFolder::topology_in(data);
  if (!topology) return tl::unexpected(topology.error());
  if (topology->epoch == 0) return file;
  auto config = read_successor(file, *topology);
  if (config) return config;
  return fail(config.error().code,
              "the cluster has gone over to epoch " + std::to_string(topology->epoch) +
                  " of its topology, " + (data / "topology").string() +
                  ", which contradicts this gateway's file: " + config.error().text +
                  ". Give it the file of that cluster, or another data folder");
}

}  // namespace entente
