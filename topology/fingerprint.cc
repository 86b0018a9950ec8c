#include <xxhash.h>

#include <algorithm>

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
    std::string out;
    for (const unsigned char byte : bytes.digest) {
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
    return out;
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

void add_rules(Canonical& out, const TableRules& rules) {
  out.add(rules.replicate)
      .add(static_cast<int64_t>(rules.policy))
      .add(static_cast<int64_t>(rules.granularity))
      .add(static_cast<int64_t>(rules.blind))
      .add(static_cast<int64_t>(rules.columns.size()));
  for (const auto& [column, policy] : rules.columns) {
    out.add(column).add(static_cast<int64_t>(policy));
  }
}

}  // namespace

std::string topology_fingerprint(const Config& config) {
  std::vector<std::string> names;
  for (const auto& dc : config.datacenters) names.push_back(dc.name);
  std::sort(names.begin(), names.end());
  Canonical out;
  out.add("entente topology 1").add(config.cluster).add(static_cast<int64_t>(names.size()));
  for (const auto& name : names) out.add(name);
  out.add(config.schema_leader);
  add_shape(out, config.topology);
  return out.hash();
}

std::string rules_fingerprint(const Config& config) {
  Canonical out;
  out.add("entente rules 1");
  add_rules(out, config.rules.defaults);
  for (const auto& [table, rules] : config.rules.tables) {
    if (rules == config.rules.defaults) continue;  // says what would hold anyway
    out.add(table);
    add_rules(out, rules);
  }
  out.add("priorities");
  for (const auto& [dc, priority] : config.rules.priorities) out.add(dc).add(priority);
  return out.hash();
}

}  // namespace entente
