#include "gateway/commands/topology_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <ostream>

#include "gateway/commands/output.h"
#include "gateway/handlers/load_handlers.h"
#include "gateway/membership/topology_epochs.h"
#include "topology/problems.h"
#include "topology/scalars.h"
#include "topology/yaml_reader.h"

namespace entente {
namespace {

// At most one byte more than the loader accepts, so that it can refuse what is too long.
Result<std::string> contents(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(Code::kInvalid, "it is a folder");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::kInvalid, std::strerror(errno));
  std::string text(kLongestFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return fail(Code::kInvalid, std::strerror(errno));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

}  // namespace

TopologyFile read_topology_file(const std::filesystem::path& path) {
  TopologyFile out;
  out.name = path.string();
  auto text = contents(path);
  if (!text) {
    out.loaded.problems.push_back({0, 0, "cannot be read: " + text.error().text, ""});
    return out;
  }
  out.text = std::move(*text);
  out.loaded = load_config(out.text, path.parent_path(), process_environment);
  return out;
}

void load_handlers(TopologyFile& file) {
  if (!file.loaded.config) return;
  for (auto& problem : load_handlers(file.loaded.config->rules)) {
    const auto place = file.loaded.places.handlers.find(problem.handler);
    const bool known = place != file.loaded.places.handlers.end();
    file.loaded.problems.push_back({known ? place->second.line : 0,
                                    known ? place->second.column : 0, std::move(problem.text), ""});
  }
  if (!file.loaded.problems.empty()) file.loaded.config.reset();
}

std::string render_problems(const TopologyFile& file, std::span<const Problem> problems) {
  std::string out;
  for (const auto& problem : problems) out += render(problem, file.name, file.text);
  return out + std::to_string(problems.size()) +
         (problems.size() == 1 ? " problem\n" : " problems\n");
}

std::string render_warnings(const TopologyFile& file, std::span<const Problem> warnings) {
  std::string out;
  for (auto warning : warnings) {
    warning.text = "warning: " + warning.text;
    out += render(warning, file.name, file.text);
  }
  return out;
}

const Datacenter* find_datacenter(const TopologyFile& file, const std::string& dc,
                                  std::ostream& err) {
  if (!file.loaded.config) {
    err << render_problems(file, file.loaded.problems);
    return nullptr;
  }
  const Config& config = *file.loaded.config;
  if (const Datacenter* found = config.find(dc)) return found;
  std::vector<std::string> names;
  for (const auto& one : config.datacenters) names.push_back(one.name);
  err << "entente: " << printable(dc) << " is not a datacenter of " << printable(file.name)
      << ": it has " << alternatives(names) << "\n";
  const auto meant = nearest(dc, names);
  if (!meant.empty()) err << "  did you mean `" << meant << "`?\n";
  return nullptr;
}

}  // namespace entente
