#include "topology/loader.h"

#include "topology/scalars.h"
#include "topology/sections.h"
#include "topology/variables.h"
#include "topology/yaml_reader.h"

namespace entente {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kProtected =
    "say how this gateway is protected: `security: {tls: {cert: node.crt, key: node.key, ca: "
    "ca.crt}}`, or on loopback alone `security: {insecure: true}`";

std::string read_cluster(Fields& file, Problems& problems) {
  file.require("cluster", "cluster: shop");
  const auto word = file.word("cluster");
  if (!word) return "";
  const auto name = parse_name(word->text);
  if (!name) problems.add(word->place, name.error().text);
  return word->text;
}

// `https://app.example.com`, as browsers spell it.
bool is_origin(std::string_view text) {
  const size_t scheme = text.find("://");
  const bool web = text.starts_with("http://") || text.starts_with("https://");
  return web && text.size() > scheme + 3 &&
         text.find_first_of("/ @?#*,ABCDEFGHIJKLMNOPQRSTUVWXYZ", scheme + 3) ==
             std::string_view::npos;
}

void read_cors(Fields& security, Config& config, Problems& problems) {
  const auto origins = security.words("cors");
  if (!origins) return;
  for (const auto& origin : *origins) {
    if (!is_origin(origin.text)) {
      problems.add(origin.place, in_quotes(origin.text) +
                                     " is not an origin: write https://app.example.com, in lower "
                                     "case and without a path");
    }
    config.cors.push_back(origin.text);
  }
}

std::string in_folder(const std::string& folder, const std::string& path) {
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

TokenSettings read_tokens(Fields& security, const std::string& folder, Problems& problems) {
  constexpr size_t kFilesMax = 16;
  Fields fields = section(security, "tokens", problems);
  fields.require("keys", "keys: [token.pub]");
  TokenSettings tokens;
  if (const auto keys = fields.words("keys")) {
    for (const auto& key : *keys) tokens.keys.push_back(in_folder(folder, key.text));
    if (keys->empty() || keys->size() > kFilesMax) {
      problems.add(fields.place("keys"),
                   "`keys` names 1 to " + std::to_string(kFilesMax) + " files of public keys");
    }
  }
  if (const auto revoked = fields.word("revoked")) {
    tokens.revoked = in_folder(folder, revoked->text);
  }
  fields.finish();
  return tokens;
}

Reach read_security(Fields& file, const std::filesystem::path& folder, Config& config,
                    Problems& problems) {
  const FilePlace place = file.place("security");
  Fields fields = section(file, "security", problems);
  const bool secure = fields.has("tls");
  if (secure) {
    config.tls = read_tls(fields, folder, problems);
  } else {
    fields.refuse("denied", "`denied` goes with `tls`: without it nobody shows a certificate");
  }
  const bool given = fields.has("insecure");
  const auto insecure = fields.flag("insecure");
  if (secure && insecure == true) {
    problems.add(fields.place("insecure"),
                 "`insecure: true` means that there is no TLS, and `tls` is given: leave one out");
  }
  if (!secure && (!given || insecure == false)) {
    problems.add(given ? fields.place("insecure") : place, std::string(kProtected));
  }
  read_cors(fields, config, problems);
  if (fields.has("tokens")) config.tokens = read_tokens(fields, config.folder, problems);
  fields.finish();
  config.insecure = insecure.value_or(false);
  return secure ? Reach::kAnywhere : Reach::kLoopback;
}

std::string read_schema_leader(Fields& file, std::span<const std::string> datacenters,
                               Problems& problems) {
  const auto leader = file.word("schema_leader");
  if (leader && refers_to_datacenter(*leader, datacenters, problems)) return leader->text;
  return datacenters.empty() ? "" : datacenters[0];
}

std::chrono::milliseconds read_clock(Fields& file, std::chrono::milliseconds otherwise,
                                     Problems& problems) {
  Fields fields = section(file, "clock", problems);
  const auto drift = fields.duration("max_drift", 100ms, 24h);
  fields.finish();
  return drift.value_or(otherwise);
}

struct Read {
  Config config;
  RulePlaces places;
};

Read read_config(const Node& root, const std::filesystem::path& folder, Problems& problems) {
  Config config;
  Fields file(root, "the file", root.place, problems);
  config.cluster = read_cluster(file, problems);
  config.folder = folder.string();
  const Reach reach = read_security(file, folder, config, problems);
  auto datacenters = read_datacenters(file, folder, reach, problems);
  config.datacenters = std::move(datacenters.list);
  config.topology = read_topology(file, datacenters.names, problems);
  auto handlers = read_handlers(file, folder, problems);
  auto conflicts = read_conflicts(file, handlers.names, problems);
  config.rules = std::move(conflicts.rules);
  config.rules.handlers = std::move(handlers.sources);
  conflicts.places.handlers = std::move(handlers.places);
  for (const auto& dc : config.datacenters) config.rules.priorities[dc.name] = dc.priority;
  if (const auto schema = file.word("schema")) {
    conflicts.places.schema = schema->place;
    config.schema_path = (folder / schema->text).lexically_normal().string();
  }
  config.names_leader = file.word("schema_leader").has_value();
  config.schema_leader = read_schema_leader(file, datacenters.names, problems);
  config.max_clock_drift = read_clock(file, config.max_clock_drift, problems);
  config.limits = read_limits(file, problems);
  file.finish();
  return {std::move(config), std::move(conflicts.places)};
}

}  // namespace

Fields section(Fields& parent, const std::string& key, Problems& problems) {
  static const Node kNothing;
  const Node* node = parent.find(key);
  return Fields(node ? *node : kNothing, in_quotes(key), parent.place(key), problems);
}

Loaded load_config(std::string_view yaml, const std::filesystem::path& folder,
                   const Environment& environment) {
  Problems problems;
  std::optional<Read> read;
  auto root = read_yaml(yaml, problems);
  if (root && root->kind == Node::Kind::kNothing) {
    problems.add({}, "the file is empty");
  } else if (root && root->kind != Node::Kind::kMap) {
    problems.add(root->place, "a topology file is a mapping of keys to values");
  } else if (root) {
    expand_variables(*root, environment, problems);
    read = read_config(*root, folder, problems);
  }
  if (!problems.empty()) return {std::nullopt, problems.take(), {}};
  return {std::move(read->config), {}, std::move(read->places)};
}

}  // namespace entente
