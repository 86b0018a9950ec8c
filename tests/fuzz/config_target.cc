// Topology files: an operator's, and those that another gateway says it has gone over to.

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"
#include "topology/graph.h"
#include "topology/loader.h"
#include "topology/scalars.h"

namespace entente::fuzz {
namespace {

void run(std::string_view yaml) {
  const auto loaded = load_config(yaml, "/nowhere", [](const std::string& name) {
    return name == "SET" ? std::optional<std::string>("value") : std::nullopt;
  });
  MUST(loaded.config.has_value() == loaded.problems.empty());
  for (const auto& problem : loaded.problems) {
    MUST(!problem.text.empty());
    MUST(!render(problem, "file.yaml", yaml).empty());
  }
  if (loaded.config) {
    const Config& config = *loaded.config;
    MUST(!config.datacenters.empty() && config.find(config.datacenters.front().name) != nullptr);
    MUST(config.find(config.schema_leader) != nullptr);
    const Graph graph(config);
    MUST(graph.datacenters().size() == config.datacenters.size());
    MUST(topology_fingerprint(config).size() == 32 && rules_fingerprint(config).size() == 32);
  }
  if (const auto size = parse_size(yaml)) MUST(parse_size(format_size(*size)) == *size);
  if (const auto time = parse_duration(yaml)) {
    MUST(parse_duration(format_duration(*time)) == *time);
  }
  if (const auto endpoint = parse_endpoint(yaml)) {
    const auto again = parse_endpoint(format_endpoint(*endpoint));
    MUST(again && *again == *endpoint);
  }
}

// The files that users copy.
std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (const char* name : {"all-to-all", "circle", "links", "policies", "star"}) {
    std::ifstream in(std::filesystem::path(ENTENTE_SOURCE) / "conf" /
                     (name + std::string(".yaml")));
    out.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

const Registration registered({"config", run, seeds});

}  // namespace
}  // namespace entente::fuzz
