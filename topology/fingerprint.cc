#include <xxhash.h>

#include <algorithm>
#include <filesystem>

#include "conflict/handler.h"
#include "conflict/hex.h"
#include "topology/graph.h"

namespace entente {
namespace {

// A text in which two configurations are the same exactly when they agree. Every piece carries its
// length, so that no name can pass for two.
class Canonical {
 public:
  Canonical& add(std::string_view piece) {
    text_ += std::to_string(piece.size()) + ":" + std::string(piece) + "\n";
    return *this;
  }
  Canonical& add(int64_t number) { return add(std::to_string(number)); }

  std::string hash() const {
    const XXH128_hash_t digest = XXH3_128bits(text_.data(), text_.size());
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, digest);
    return to_hex({reinterpret_cast<const char*>(bytes.digest), sizeof bytes.digest});
  }

 private:
  std::string text_;
};

// A circle has no beginning.
std::vector<std::string> rotated(std::vector<std::string> order) {
  std::rotate(order.begin(), std::min_element(order.begin(), order.end()), order.end());
  return order;
}

std::vector<std::pair<std::string, std::string>> sorted(
    std::vector<std::pair<std::string, std::string>> links) {
  for (auto& [a, b] : links) {
    if (b < a) std::swap(a, b);
  }
  std::sort(links.begin(), links.end());
  return links;
}

void add_shape(Canonical& out, const TopologySpec& spec) {
  switch (spec.kind) {
    case TopologyKind::kCircle:
      out.add("circle").add(spec.both_ways);
      for (const auto& name : rotated(spec.order)) out.add(name);
      return;
    case TopologyKind::kStar:
      out.add("star").add(spec.hub).add(spec.backup_hub);
      return;
    case TopologyKind::kAllToAll:
      out.add("all-to-all");
      return;
    case TopologyKind::kLinks:
      out.add("links");
      for (const auto& [a, b] : sorted(spec.links)) out.add(a).add(b);
      return;
  }
}

template <class Enum>
int64_t number(Enum value) {
  return static_cast<int64_t>(value);
}

void add_policy(Canonical& out, const Policy& policy) {
  out.add(number(policy.kind)).add(number(policy.run));
  if (policy.kind == PolicyKind::kHandler) out.add(policy.handler);
  if (policy.kind != PolicyKind::kMerge) return;
  out.add(number(policy.merge));
  if (policy.merge == MergeKind::kConcat) out.add(policy.separator);
  if (policy.merge == MergeKind::kText) out.add(policy.markers);
}

void add_group(Canonical& out, const ColumnGroup& group) {
  auto columns = group.columns;
  std::sort(columns.begin(), columns.end());
  out.add(number(columns.size()));
  for (const auto& column : columns) out.add(column);
  add_policy(out, group.policy);
}

void add_rules(Canonical& out, const TableRules& rules) {
  out.add(rules.replicate).add(rules.old_values);
  add_policy(out, rules.policy);
  out.add(number(rules.granularity)).add(number(rules.blind)).add(number(rules.delete_update));
  out.add(number(rules.unique)).add(number(rules.orphans));
  out.add(number(rules.columns.size()));
  for (const auto& [column, policy] : rules.columns) add_policy(out.add(column), policy);
  out.add(number(rules.groups.size()));
  for (const auto& [name, group] : rules.groups) add_group(out.add(name), group);
}

// Where the file lies may differ; what it is called and must hash to may not.
std::string version_of(const HandlerSource& source) {
  return std::string(source.kind == HandlerSource::Kind::kLua ? "lua file " : "plug-in file ") +
         std::filesystem::path(source.path).filename().string() +
         (source.sha256.empty() ? "" : ", sha256 " + source.sha256);
}

// What a handler may use and is told changes what it decides, whatever its code.
void add_handler(Canonical& out, const ConflictRules& rules, const std::string& name) {
  const auto source = rules.handlers.find(name);
  if (source == rules.handlers.end()) return;
  out.add(source->second.config);
  if (source->second.kind == HandlerSource::Kind::kLua) {
    out.add(number(source->second.instructions));
  }
  out.add(number(source->second.memory));
}

}  // namespace

std::string topology_fingerprint(const Config& config) {
  std::map<std::string, int> slots;
  for (const auto& dc : config.datacenters) slots.emplace(dc.name, dc.key_slot);
  Canonical out;
  out.add("entente topology 2").add(config.cluster).add(static_cast<int64_t>(slots.size()));
  for (const auto& [name, slot] : slots) out.add(name).add(slot);
  out.add(config.schema_leader);
  add_shape(out, config.topology);
  // Not that the shape is the same counts, but that both know which one came last.
  if (config.epoch > 0) out.add("epoch").add(static_cast<int64_t>(config.epoch));
  return out.hash();
}

namespace {

// How rows are numbered is each gateway's own affair.
bool holds_anyway(TableRules rules, const TableRules& defaults) {
  rules.numbering = defaults.numbering;
  return rules == defaults;
}

}  // namespace

std::string rules_fingerprint(const Config& config) {
  Canonical out;
  out.add("entente rules 3");
  add_rules(out, config.rules.defaults);
  for (const auto& [table, rules] : config.rules.tables) {
    if (holds_anyway(rules, config.rules.defaults)) continue;
    out.add(table);
    add_rules(out, rules);
  }
  out.add("handlers");
  for (const auto& [name, version] : handler_versions(config.rules)) {
    out.add(name).add(version);
    add_handler(out, config.rules, name);
  }
  out.add("priorities");
  for (const auto& [dc, priority] : config.rules.priorities) out.add(dc).add(priority);
  return out.hash();
}

std::map<std::string, std::string> handler_versions(const ConflictRules& rules) {
  std::map<std::string, std::string> out;
  ConflictRules visited = rules;  // it can only be visited to be changed
  visited.for_each_policy([&](const Policy& policy) {
    if (policy.kind != PolicyKind::kHandler) return;
    const auto source = rules.handlers.find(policy.handler);
    if (policy.run_this) {
      out[policy.handler] = policy.run_this->version();
    } else if (source != rules.handlers.end()) {
      out.try_emplace(policy.handler, version_of(source->second));
    }
  });
  return out;
}

}  // namespace entente
