#include "gateway/commands/check.h"

#include <algorithm>
#include <map>
#include <ostream>

#include "gateway/commands/rules_check.h"
#include "gateway/commands/rules_picture.h"
#include "gateway/transport/tls_material.h"
#include "topology/graph.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;
using Rows = std::vector<std::vector<std::string>>;

std::string shape(const TopologySpec& spec) {
  switch (spec.kind) {
    case TopologyKind::kCircle:
      return spec.both_ways ? "a circle, both ways" : "a circle, one way";
    case TopologyKind::kStar:
      return "a star around " + spec.hub +
             (spec.backup_hub.empty() ? "" : ", backup " + spec.backup_hub);
    case TopologyKind::kAllToAll:
      return "all-to-all";
    case TopologyKind::kLinks:
      return "a graph of links";
  }
  return "";
}

// The most links that any change crosses on its way.
size_t longest_way(const Graph& graph) {
  size_t longest = 0;
  for (const auto& me : graph.datacenters()) {
    for (const auto& origin : graph.datacenters()) {
      size_t hops = 0;
      for (auto at = graph.upstream(me, origin); at; at = graph.upstream(*at, origin)) ++hops;
      longest = std::max(longest, hops);
    }
  }
  return longest;
}

// upstream -> the origins whose changes `me` takes from it.
std::map<std::string, std::vector<std::string>> sources(const Graph& graph, const std::string& me) {
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& origin : graph.datacenters()) {
    if (const auto from = graph.upstream(me, origin)) out[*from].push_back(origin);
  }
  return out;
}

std::string database_of(const Datacenter& dc) {
  if (dc.database_kind == "memory") return "memory";
  return dc.database_kind + " " +
         (dc.database_path.empty() ? "<data>/" + dc.name + ".db" : dc.database_path);
}

std::vector<std::string> pairs(const Graph& graph) {
  std::vector<std::string> out;
  for (const auto& [a, b] : graph.bridges()) out.push_back(a + " - " + b);
  return out;
}

// ---- For people.

std::string datacenters_table(const Config& config, const Graph& graph) {
  Rows rows{{"DATACENTER", "PEERS", "CLIENTS", "PRIORITY", "DATABASE", "LINKED WITH"}};
  for (const auto& dc : config.datacenters) {
    rows.push_back({dc.name, url_of("ws", dc.peers), format_endpoint(dc.clients),
                    std::to_string(dc.priority), database_of(dc),
                    listed(graph.neighbours(dc.name))});
  }
  return aligned(rows);
}

std::string routes_table(const Graph& graph) {
  Rows rows{{"DATACENTER", "TAKES FROM", "THE CHANGES OF"}};
  for (const auto& me : graph.datacenters()) {
    for (const auto& [from, origins] : sources(graph, me)) {
      const bool all = origins.size() + 1 == graph.datacenters().size() && origins.size() > 1;
      rows.push_back({me, from, all ? "all others" : listed(origins)});
    }
  }
  return rows.size() > 1 ? "\n" + aligned(rows) : "";
}

std::string picture(const TopologyFile& file, const Config& config) {
  const Graph graph(config);
  const size_t count = config.datacenters.size();
  const size_t longest = longest_way(graph);
  std::string out = printable(file.name) + " is fine: cluster " + config.cluster + ", " +
                    std::to_string(count) + (count == 1 ? " datacenter, " : " datacenters, ") +
                    shape(config.topology) + ".\n";
  out += "A change crosses at most " + std::to_string(longest) +
         (longest == 1 ? " link; " : " links; ") +
         (config.topology.reroute
              ? "changes take another way after " +
                    format_duration(config.topology.failover_after) + " of silence.\n\n"
              : "changes are not rerouted.\n\n");
  out += datacenters_table(config, graph) + routes_table(graph);
  out += "\nSingle points of failure: " + listed(graph.single_points_of_failure()) + "\n";
  out += "Links that nothing replaces: " + listed(pairs(graph)) + "\n\n";
  out += rules_table(config.rules);
  const auto handlers = handlers_table(config.rules);
  if (!handlers.empty()) out += "\n" + handlers;
  out += "\nTables are created and changed at " + config.schema_leader + ".\n";
  return out;
}

// ---- For programs.

std::string problem_list(std::span<const Problem> problems) {
  std::vector<std::string> out;
  for (const auto& problem : problems) {
    out.push_back(json_object(Members{{"line", std::to_string(problem.line)},
                                      {"column", std::to_string(problem.column)},
                                      {"text", json_text(problem.text)},
                                      {"did_you_mean", json_text(problem.did_you_mean)}}));
  }
  return json_list(out);
}

std::string problems_json(const TopologyFile& file, const RulesFindings& found) {
  return json_object(Members{{"file", json_text(file.name)},
                             {"fine", "false"},
                             {"problems", problem_list(found.problems)},
                             {"warnings", problem_list(found.warnings)}});
}

std::string datacenter_json(const Datacenter& dc, const Graph& graph) {
  return json_object(Members{{"dc", json_text(dc.name)},
                             {"peers", json_text(url_of("ws", dc.peers))},
                             {"clients", json_text(format_endpoint(dc.clients))},
                             {"priority", std::to_string(dc.priority)},
                             {"key_slot", std::to_string(dc.key_slot)},
                             {"database", json_text(database_of(dc))},
                             {"neighbours", json_texts(graph.neighbours(dc.name))}});
}

std::string routes_json(const Graph& graph) {
  std::vector<std::string> routes;
  for (const auto& me : graph.datacenters()) {
    for (const auto& [from, origins] : sources(graph, me)) {
      routes.push_back(json_object(Members{
          {"dc", json_text(me)}, {"upstream", json_text(from)}, {"origins", json_texts(origins)}}));
    }
  }
  return json_list(routes);
}

std::string picture_json(const TopologyFile& file, const Config& config,
                         std::span<const Problem> warnings) {
  const Graph graph(config);
  std::vector<std::string> datacenters, bridges;
  for (const auto& dc : config.datacenters) datacenters.push_back(datacenter_json(dc, graph));
  for (const auto& [a, b] : graph.bridges()) {
    bridges.push_back(json_texts(std::vector<std::string>{a, b}));
  }
  Members tables;
  for (const auto& [table, rules] : config.rules.tables) {
    tables.emplace_back(table, rules_json(rules));
  }
  return json_object(
      Members{{"file", json_text(file.name)},
              {"fine", "true"},
              {"cluster", json_text(config.cluster)},
              {"kind", json_text(std::string(to_string(config.topology.kind)))},
              {"datacenters", json_list(datacenters)},
              {"routes", routes_json(graph)},
              {"longest_way", std::to_string(longest_way(graph))},
              {"single_points_of_failure", json_texts(graph.single_points_of_failure())},
              {"bridges", json_list(bridges)},
              {"defaults", rules_json(config.rules.defaults)},
              {"tables", json_object(tables)},
              {"handlers", handlers_json(config.rules)},
              {"warnings", problem_list(warnings)},
              {"schema_leader", json_text(config.schema_leader)},
              {"topology_fingerprint", json_text(topology_fingerprint(config))},
              {"rules_fingerprint", json_text(rules_fingerprint(config))}});
}

// What `serve` would say of the certificate that the file names, where that is at hand.
std::vector<Problem> certificate_warnings(const Config& config) {
  const auto said = [](const std::string& text) {
    return std::vector<Problem>{{0, 0, "`serve` would not start: " + text, ""}};
  };
  std::error_code ec;
  if (!config.tls.given() || !std::filesystem::exists(config.tls.cert, ec)) return {};
  auto texts = TlsTexts::read(config.tls);
  if (!texts) return said(texts.error().text);
  const auto certificates = parse_certificates(texts->cert, config.tls.cert);
  if (!certificates) return said(certificates.error().text);
  const auto name = certificates->front().name();
  if (!name) return said(config.tls.cert + ": " + name.error().text);
  if (config.find(name->dc) == nullptr) {
    return said(config.tls.cert + " is of " + name->uri() + ", which is not in this file");
  }
  const auto made = TlsMaterial::make(std::move(*texts), config.tls, {config.cluster, name->dc});
  return made ? std::vector<Problem>{} : said(made.error().text);
}

}  // namespace

int check(const TopologyFile& file, OutputFormat format, std::ostream& out, std::ostream& err) {
  const bool json = format == OutputFormat::kJson;
  RulesFindings found{file.loaded.problems, {}};
  if (file.loaded.config) {
    found = check_rules(file, SchemaFile::kNeeded);
    for (auto& warning : certificate_warnings(*file.loaded.config)) {
      found.warnings.push_back(std::move(warning));
    }
  }
  if (!json) err << render_warnings(file, found.warnings);
  if (!found.problems.empty()) {
    if (json) {
      out << problems_json(file, found) << "\n";
    } else {
      err << render_problems(file, found.problems);
    }
    return kUsage;
  }
  const Config& config = *file.loaded.config;
  out << (json ? picture_json(file, config, found.warnings) + "\n" : picture(file, config));
  return kFine;
}

}  // namespace entente
