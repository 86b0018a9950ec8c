#include "gateway/server/topology_epochs.h"

#include <cstdlib>

#include "gateway/server/data_folder.h"
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

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

Result<Config> read_successor(const Config& now, const std::string& yaml, uint64_t epoch) {
  const auto next = read(yaml, now.folder);
  if (!next) return next;
  if (const auto against = objections(now, *next); !against.empty()) {
    return fail(Code::kRefused, joined(against), "topology_refused");
  }
  return succeed(now, *next, epoch);
}

Result<Config> config_in_force(const Config& file, const std::filesystem::path& data) {
  const auto topology = DataFolder::topology_in(data);
  if (!topology) return tl::unexpected(topology.error());
  if (topology->epoch == 0) return file;
  auto config = read_successor(file, topology->yaml, topology->epoch);
  if (config) return config;
  return fail(config.error().code,
              "the topology that the cluster has gone over to, epoch " +
                  std::to_string(topology->epoch) +
                  ", does not go with this gateway's file: " + config.error().text);
}

}  // namespace entente
