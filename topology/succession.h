#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "topology/config.h"

namespace entente {

// What a new topology file changes of a running cluster: its topology, its datacenters and their
// priorities. Everything else of a file is each gateway's own, as the addresses of those that are
// there already are, or takes a restart of all.
struct TopologyChange {
  using Links = std::vector<std::pair<std::string, std::string>>;
  std::vector<std::string> added, removed;  // datacenters
  Links links_added, links_removed;         // between those that stay, too
  std::string shape;                        // "star to all-to-all"; "" the same
  bool other = false;                       // ways, timing or priorities
  bool empty() const {
    return added.empty() && removed.empty() && links_added.empty() && links_removed.empty() &&
           shape.empty() && !other;
  }
};

TopologyChange difference(const Config& now, const Config& next);

// Why `next` may not follow `now`: sentences; none: it may.
std::vector<std::string> objections(const Config& now, const Config& next);

// `now` with what `next` changes, as this epoch. REQUIRES: no objections.
Config succeed(const Config& now, const Config& next, uint64_t epoch);

// Of two topologies that gateways have gone over to, the one that both go on with.
bool comes_after(uint64_t epoch, const std::string& fingerprint, uint64_t other_epoch,
                 const std::string& other_fingerprint);

}  // namespace entente
