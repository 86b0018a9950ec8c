#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "topology/config.h"

namespace entente {

// What a new topology file changes of a running cluster: its topology, its datacenters, their
// priorities, and, if the file names one, the schema leader. Everything else of a file is each
// gateway's own, as the addresses of those that are there already are, or takes a restart of all.
struct TopologyChange {
  using Links = std::vector<std::pair<std::string, std::string>>;
  std::vector<std::string> added, removed;  // datacenters
  Links links_added, links_removed;         // between those that stay, too
  std::string shape;                        // "star to all-to-all"; "" the same
  std::string leader;                       // "a to b"; "" the same
  bool other = false;                       // ways, timing or priorities
  bool empty() const {
    return added.empty() && removed.empty() && links_added.empty() && links_removed.empty() &&
           shape.empty() && leader.empty() && !other;
  }
};

TopologyChange difference(const Config& now, const Config& next);

// Why `next` cannot be of the same cluster as `now`: sentences; none: it can. Once a cluster has
// gone over to it, nothing else stands against it.
std::vector<std::string> contradictions(const Config& now, const Config& next);
// Why nobody may have the cluster go over from `now` to `next`: these, what cannot change while it
// runs, and what `next` forgets to say. Sentences; none: it may.
std::vector<std::string> objections(const Config& now, const Config& next);

// `now` with what `next` changes, as this epoch. REQUIRES: no contradictions; the schema leader is
// in it.
Config succeed(const Config& now, const Config& next, uint64_t epoch);

// A gateway's own file, under what the cluster has gone over to since. That decides who is there,
// the links and the schema leader; the file decides the rules. It decides priorities, too, where
// its rules are not those of `next`, or not those that it had, by `file_rules`, when this gateway
// went over: then all were restarted with a new one. REQUIRES: as above.
Config under(const Config& file, const Config& next, uint64_t epoch, const std::string& file_rules);

// Of two topologies that gateways have gone over to, the one that both go on with.
bool comes_after(uint64_t epoch, const std::string& fingerprint, uint64_t other_epoch,
                 const std::string& other_fingerprint);

}  // namespace entente
