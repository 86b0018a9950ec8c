#include <algorithm>
#include <map>
#include <set>

#include "topology/sections.h"

namespace entente {
namespace {

using Names = std::span<const std::string>;
using Link = std::pair<std::string, std::string>;
using namespace std::chrono_literals;

const Choices<TopologyKind> kKinds{{"circle", TopologyKind::kCircle},
                                   {"star", TopologyKind::kStar},
                                   {"all-to-all", TopologyKind::kAllToAll},
                                   {"links", TopologyKind::kLinks}};

// Keys that mean something under one kind only.
struct OwnKey {
  std::string key;
  TopologyKind kind;
};
const std::vector<OwnKey> kOwnKeys{{"order", TopologyKind::kCircle},
                                   {"both_ways", TopologyKind::kCircle},
                                   {"hub", TopologyKind::kStar},
                                   {"backup_hub", TopologyKind::kStar},
                                   {"links", TopologyKind::kLinks}};

void refuse_keys_of_other_kinds(Fields& fields, TopologyKind kind) {
  for (const auto& own : kOwnKeys) {
    if (own.kind == kind) continue;
    fields.refuse(own.key, in_quotes(own.key) + " belongs to kind " +
                               std::string(to_string(own.kind)) + "; this topology is of kind " +
                               std::string(to_string(kind)));
  }
}

// Those of `datacenters` that are not in `seen`, for a sentence; "" if none.
std::string missing_from(const std::set<std::string>& seen, Names datacenters) {
  std::string out;
  for (const auto& name : datacenters) {
    if (!seen.contains(name)) out += (out.empty() ? "" : ", ") + in_quotes(name);
  }
  return out;
}

std::vector<std::string> read_order(Fields& fields, Names datacenters, Problems& problems) {
  fields.require("order", "order: [tokyo, frankfurt, virginia]");
  const auto words = fields.words("order");
  if (!words) return {};
  std::vector<std::string> order;
  std::set<std::string> seen;
  bool whole = true;
  for (const auto& word : *words) {
    if (!refers_to_datacenter(word, datacenters, problems)) {
      whole = false;
      continue;
    }
    order.push_back(word.text);
    if (!seen.insert(word.text).second) {
      problems.add(word.place, "`order` names " + in_quotes(word.text) + " twice");
    }
  }
  const auto missing = missing_from(seen, datacenters);
  if (whole && !missing.empty()) {
    problems.add(fields.place("order"),
                 "`order` misses " + missing + ": it names every datacenter once");
  }
  return order;
}

std::string read_hub(Fields& fields, Names datacenters, Problems& problems) {
  fields.require("hub", "hub: frankfurt");
  const auto hub = fields.word("hub");
  return hub && refers_to_datacenter(*hub, datacenters, problems) ? hub->text : "";
}

std::string read_backup_hub(Fields& fields, const std::string& hub, Names datacenters,
                            Problems& problems) {
  const auto backup = fields.word("backup_hub");
  if (!backup || !refers_to_datacenter(*backup, datacenters, problems)) return "";
  if (backup->text == hub) {
    problems.add(backup->place, "`backup_hub` is the hub itself: name another datacenter");
  }
  return backup->text;
}

std::optional<Link> read_link(const Node& node, Names datacenters, Problems& problems) {
  if (node.kind == Node::Kind::kBroken) return std::nullopt;
  if (node.kind != Node::Kind::kList || node.items.size() != 2) {
    problems.add(node.place, "a link is a list of two datacenters, as in [tokyo, frankfurt]");
    return std::nullopt;
  }
  const auto a = read_word(node.items[0], "a datacenter of a link", problems);
  const auto b = read_word(node.items[1], "a datacenter of a link", problems);
  if (!a || !b) return std::nullopt;
  const bool a_known = refers_to_datacenter(*a, datacenters, problems);
  const bool b_known = refers_to_datacenter(*b, datacenters, problems);
  if (!a_known || !b_known) return std::nullopt;
  if (a->text == b->text) {
    problems.add(b->place, in_quotes(a->text) + " is linked with itself");
    return std::nullopt;
  }
  return Link{a->text, b->text};
}

// The datacenters that links join with the first one.
std::set<std::string> reached_from(const std::string& first, std::span<const Link> links) {
  std::map<std::string, std::vector<std::string>> neighbours;
  for (const auto& [a, b] : links) {
    neighbours[a].push_back(b);
    neighbours[b].push_back(a);
  }
  std::set<std::string> reached{first};
  std::vector<std::string> next{first};
  while (!next.empty()) {
    const std::string dc = std::move(next.back());
    next.pop_back();
    for (const auto& neighbour : neighbours[dc]) {
      if (reached.insert(neighbour).second) next.push_back(neighbour);
    }
  }
  return reached;
}

void check_connected(std::span<const Link> links, Names datacenters, FilePlace place,
                     Problems& problems) {
  if (datacenters.empty()) return;
  const auto missing = missing_from(reached_from(datacenters[0], links), datacenters);
  if (missing.empty()) return;
  problems.add(place, "no links lead from " + in_quotes(datacenters[0]) + " to " + missing +
                          ": add what joins them");
}

std::vector<Link> read_links(Fields& fields, Names datacenters, Problems& problems) {
  const FilePlace place = fields.place("links");
  if (datacenters.size() > 1) fields.require("links", "links: [[tokyo, frankfurt]]");
  const Node* node = fields.find("links");
  if (!node || node->kind == Node::Kind::kBroken) return {};
  if (node->kind != Node::Kind::kList) {
    problems.add(place, "`links` must be a list of links, as in [[tokyo, frankfurt]]");
    return {};
  }
  std::vector<Link> links;
  std::set<Link> seen;
  bool whole = true;
  for (const auto& item : node->items) {
    const auto link = read_link(item, datacenters, problems);
    whole = whole && link.has_value();
    if (!link) continue;
    if (!seen.insert(std::minmax(link->first, link->second)).second) {
      problems.add(item.place, in_quotes(link->first) + " and " + in_quotes(link->second) +
                                   " are linked twice");
      continue;
    }
    links.push_back(*link);
  }
  if (whole) check_connected(links, datacenters, place, problems);
  return links;
}

}  // namespace

TopologySpec read_topology(Fields& file, Names datacenters, Problems& problems) {
  TopologySpec out;
  file.require("topology", "topology: {kind: all-to-all}");
  const bool given = file.has("topology");
  Fields fields = section(file, "topology", problems);
  if (given) fields.require("kind", "kind: all-to-all");
  const auto kind = fields.choice("kind", kKinds);
  if (kind) {
    out.kind = *kind;
    refuse_keys_of_other_kinds(fields, *kind);
  } else {
    for (const auto& own : kOwnKeys) fields.find(own.key);
  }
  if (kind == TopologyKind::kCircle) {
    out.order = read_order(fields, datacenters, problems);
    out.both_ways = fields.flag("both_ways").value_or(out.both_ways);
  } else if (kind == TopologyKind::kStar) {
    out.hub = read_hub(fields, datacenters, problems);
    out.backup_hub = read_backup_hub(fields, out.hub, datacenters, problems);
  } else if (kind == TopologyKind::kLinks) {
    out.links = read_links(fields, datacenters, problems);
  }
  out.reroute = fields.flag("reroute").value_or(out.reroute);
  out.failover_after = fields.duration("failover_after", 100ms, 1h).value_or(out.failover_after);
  fields.finish();
  return out;
}

}  // namespace entente
