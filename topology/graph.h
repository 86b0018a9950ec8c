#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/config.h"

namespace entente {

// Who is linked with whom, and which way changes prefer to travel.
//
// A link joins two datacenters and can carry changes both ways; `upstream` says from which
// neighbour a datacenter takes another's changes while everything is well:
//   circle, one way   the predecessor, for every origin
//   circle, both ways the neighbour on the shorter way round (a tie: the predecessor)
//   star              the hub; at the hub, the origin itself
//   all-to-all        the origin itself
//   links             the neighbour on a shortest path (a tie: the smaller name)
// Spare links are not in the file: they are opened only while neighbours are gone.
//   circle            with the nearest who is there, each way round
//   star              hub and backup gone: with everybody
//   all-to-all, links none: everybody is linked; the file names the only ways there are
// Invariant: following upstreams from any datacenter towards any origin ends at that origin, so
// that steady state crosses each link once per change and never loops.
class Graph {
 public:
  explicit Graph(const Config& config);

  const std::vector<std::string>& datacenters() const { return names_; }
  // Sorted. Star: the hub's backup is linked with everybody too.
  const std::vector<std::string>& neighbours(std::string_view dc) const;
  // With whom a spare link may be opened. Sorted; none of the neighbours; empty without `reroute`.
  const std::vector<std::string>& spares(std::string_view dc) const;
  bool may_link(std::string_view a, std::string_view b) const;
  // The spare links that `me` needs now. `gone` tells of a neighbour, and of a spare that was
  // needed, that there has been no link with it for too long.
  using Gone = std::function<bool(const std::string& dc)>;
  std::set<std::string> needed_spares(const std::string& me, const Gone& gone) const;
  // Of two neighbours, the one that opens the connection: the smaller name. (A spare link is opened
  // by whoever needs it.)
  static bool dials(std::string_view me, std::string_view other) { return me < other; }
  // The neighbour from which `me` takes changes of `origin`; absent if they are the same.
  std::optional<std::string> upstream(std::string_view me, std::string_view origin) const;
  // Datacenters, and links, whose loss alone cuts others off from each other: with `reroute`, where
  // no other way of links is left; without, where a preferred way leads across them.
  std::vector<std::string> single_points_of_failure() const;
  std::vector<std::pair<std::string, std::string>> bridges() const;

 private:
  using Neighbours = std::map<std::string, std::vector<std::string>, std::less<>>;
  using Way = std::vector<std::string>;  // from the origin to the reader, both included

  void link(const std::string& a, const std::string& b);
  void prefer(const std::string& me, const std::string& origin, const std::string& neighbour);
  void build_circle(const TopologySpec& spec);
  void build_star(const TopologySpec& spec);
  void build_all_to_all();
  void build_links(const TopologySpec& spec);
  void add_spares();
  void add_needed(const std::string& me, size_t step, const Gone& gone,
                  std::set<std::string>& needed) const;
  Neighbours all_possible_links() const;
  Way way(std::string_view me, std::string_view origin) const;
  bool connected_without(std::string_view dc) const;
  bool connected_without(std::string_view a, std::string_view b) const;

  std::vector<std::string> names_;
  TopologySpec spec_;
  Neighbours neighbours_;
  Neighbours spares_;
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> upstreams_;
};

// What two gateways must agree on before they exchange anything: 128 bits in hex over the cluster's
// name, its datacenters, the schema leader and the shape of the topology; and, apart, over conflict
// rules, the handlers they name, and priorities. Addresses, folders, timing and limits may differ,
// and so may the order in which the file lists things that have none.
std::string topology_fingerprint(const Config& config);
std::string rules_fingerprint(const Config& config);

// What decides under each name that some rule uses: the version of the handler if it is loaded,
// otherwise what the file says of it.
std::map<std::string, std::string> handler_versions(const ConflictRules& rules);

}  // namespace entente
