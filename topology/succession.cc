#include "topology/succession.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "topology/graph.h"

namespace entente {
namespace {

std::set<std::string> names_of(const Config& config) {
  std::set<std::string> names;
  for (const auto& dc : config.datacenters) names.insert(dc.name);
  return names;
}

using LinkSet = std::set<std::pair<std::string, std::string>>;

LinkSet links_of(const Config& config) {
  const Graph graph(config);
  LinkSet links;
  for (const auto& dc : graph.datacenters()) {
    for (const auto& other : graph.neighbours(dc)) {
      if (dc < other) links.emplace(dc, other);
    }
  }
  return links;
}

template <class Set>
auto only_in(const Set& one, const Set& other) {
  std::vector<typename Set::value_type> out;
  std::set_difference(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(out));
  return out;
}

bool same_way(const TopologySpec& a, const TopologySpec& b) {
  return a.order == b.order && a.both_ways == b.both_ways && a.hub == b.hub &&
         a.backup_hub == b.backup_hub && a.reroute == b.reroute &&
         a.failover_after == b.failover_after;
}

bool same_priorities(const Config& now, const Config& next) {
  return std::all_of(next.datacenters.begin(), next.datacenters.end(), [&](const Datacenter& dc) {
    const Datacenter* known = now.find(dc.name);
    return known == nullptr || known->priority == dc.priority;
  });
}

// Handlers are the same if the files say the same of them: those of `next` are not loaded.
bool same_rules(const Config& now, const Config& next) {
  Config mine = now, same = next;
  same.rules.priorities = now.rules.priorities;
  for (auto* rules : {&same.rules, &mine.rules}) {
    rules->for_each_policy([](Policy& policy) { policy.run_this.reset(); });
  }
  return rules_fingerprint(same) == rules_fingerprint(mine);
}

const std::string& leader_after(const Config& now, const Config& next) {
  return next.names_leader ? next.schema_leader : now.schema_leader;
}

}  // namespace

TopologyChange difference(const Config& now, const Config& next) {
  TopologyChange change;
  const auto had = names_of(now), has = names_of(next);
  change.added = only_in(has, had);
  change.removed = only_in(had, has);
  const auto links_had = links_of(now), links_has = links_of(next);
  change.links_added = only_in(links_has, links_had);
  change.links_removed = only_in(links_had, links_has);
  if (now.topology.kind != next.topology.kind) {
    change.shape = std::string(to_string(now.topology.kind)) + " to " +
                   std::string(to_string(next.topology.kind));
  }
  if (const auto& leader = leader_after(now, next); leader != now.schema_leader) {
    change.leader = now.schema_leader + " to " + leader;
  }
  change.other = !same_way(now.topology, next.topology) || !same_priorities(now, next);
  return change;
}

std::vector<std::string> contradictions(const Config& now, const Config& next) {
  std::vector<std::string> out;
  if (now.cluster != next.cluster) {
    out.push_back("it is of another cluster, " + next.cluster + ", not " + now.cluster);
  }
  for (const auto& dc : next.datacenters) {
    const Datacenter* known = now.find(dc.name);
    if (known != nullptr && known->key_slot != dc.key_slot) {
      out.push_back("the key slot of " + dc.name + " cannot change: its keys may meet another's");
    }
  }
  return out;
}

std::vector<std::string> objections(const Config& now, const Config& next) {
  auto out = contradictions(now, next);
  if (next.find(leader_after(now, next)) == nullptr) {
    out.push_back(now.schema_leader +
                  " leads the schema: name the datacenter that leads it from now on "
                  "(`schema_leader: NAME`) in the file that leaves it out");
  }
  if (!same_rules(now, next)) {
    out.push_back(
        "its conflict rules are others than the cluster's: they change with a restart of all "
        "gateways");
  }
  return out;
}

Config succeed(const Config& now, const Config& next, uint64_t epoch) {
  Config config = now;
  config.epoch = epoch;
  config.topology = next.topology;
  config.schema_leader = leader_after(now, next);
  config.names_leader = true;
  config.rules.priorities = next.rules.priorities;
  config.datacenters = next.datacenters;
  // Where a datacenter is reached, and keeps its things, is what this gateway's own file says.
  for (auto& dc : config.datacenters) {
    const Datacenter* known = now.find(dc.name);
    if (known == nullptr) continue;
    const int priority = dc.priority;
    dc = *known;
    dc.priority = priority;
  }
  return config;
}

Config under(const Config& file, const Config& next, uint64_t epoch,
             const std::string& file_rules) {
  Config config = succeed(file, next, epoch);
  config.file_rules = rules_fingerprint(file);
  const bool restarted = !file_rules.empty() && file_rules != config.file_rules;
  if (!restarted && same_rules(file, next)) return config;
  for (auto& dc : config.datacenters) {
    const Datacenter* known = file.find(dc.name);
    if (known == nullptr) continue;
    dc.priority = known->priority;
    config.rules.priorities[dc.name] = known->priority;
  }
  return config;
}

bool comes_after(uint64_t epoch, const std::string& fingerprint, uint64_t other_epoch,
                 const std::string& other_fingerprint) {
  return epoch > 0 && std::tie(epoch, fingerprint) > std::tie(other_epoch, other_fingerprint);
}

}  // namespace entente
