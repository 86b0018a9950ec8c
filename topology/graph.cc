#include "topology/graph.h"

#include <algorithm>
#include <deque>

namespace entente {
namespace {

using Neighbours = std::map<std::string, std::vector<std::string>, std::less<>>;

// How many links each datacenter is away from `from`; only those that are reached.
std::map<std::string, size_t> distances(const Neighbours& neighbours, const std::string& from) {
  std::map<std::string, size_t> out{{from, 0}};
  std::deque<std::string> next{from};
  while (!next.empty()) {
    const std::string dc = std::move(next.front());
    next.pop_front();
    for (const auto& neighbour : neighbours.at(dc)) {
      if (out.try_emplace(neighbour, out.at(dc) + 1).second) next.push_back(neighbour);
    }
  }
  return out;
}

void insert_sorted(std::vector<std::string>& list, const std::string& name) {
  const auto at = std::lower_bound(list.begin(), list.end(), name);
  if (at == list.end() || *at != name) list.insert(at, name);
}

const std::vector<std::string>& list_of(const Neighbours& lists, std::string_view dc) {
  static const std::vector<std::string> kNone;
  const auto found = lists.find(dc);
  return found == lists.end() ? kNone : found->second;
}

bool contains(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// True if everybody who remains still reaches everybody else.
bool connected(const Neighbours& neighbours) {
  return neighbours.empty() ||
         distances(neighbours, neighbours.begin()->first).size() == neighbours.size();
}

}  // namespace

Graph::Graph(const Config& config) : spec_(config.topology) {
  for (const auto& dc : config.datacenters) {
    names_.push_back(dc.name);
    neighbours_[dc.name];
    upstreams_[dc.name];
  }
  switch (config.topology.kind) {
    case TopologyKind::kCircle:
      build_circle(config.topology);
      break;
    case TopologyKind::kStar:
      build_star(config.topology);
      break;
    case TopologyKind::kAllToAll:
      build_all_to_all();
      break;
    case TopologyKind::kLinks:
      build_links(config.topology);
      break;
  }
  add_spares();
}

const std::vector<std::string>& Graph::neighbours(std::string_view dc) const {
  return list_of(neighbours_, dc);
}

const std::vector<std::string>& Graph::spares(std::string_view dc) const {
  return list_of(spares_, dc);
}

bool Graph::may_link(std::string_view a, std::string_view b) const {
  return contains(neighbours(a), b) || contains(spares(a), b);
}

std::set<std::string> Graph::needed_spares(const std::string& me, const Gone& gone) const {
  const auto& mine = spares(me);
  std::set<std::string> needed;
  if (mine.empty()) return needed;
  if (spec_.kind == TopologyKind::kCircle) {
    add_needed(me, 1, gone, needed);
    add_needed(me, spec_.order.size() - 1, gone, needed);
  } else if (std::all_of(neighbours(me).begin(), neighbours(me).end(), gone)) {
    needed.insert(mine.begin(), mine.end());  // only hubs are linked with spokes: no hub is left
  }
  return needed;
}

// Round the circle from `me`, `step` places at a time, past those who are gone.
void Graph::add_needed(const std::string& me, size_t step, const Gone& gone,
                       std::set<std::string>& needed) const {
  const auto& order = spec_.order;
  const auto start = static_cast<size_t>(std::find(order.begin(), order.end(), me) - order.begin());
  size_t at = (start + step) % order.size();
  while (gone(order[at])) {
    at = (at + step) % order.size();
    if (contains(neighbours(me), order[at])) return;
    needed.insert(order[at]);
  }
}

std::optional<std::string> Graph::upstream(std::string_view me, std::string_view origin) const {
  const auto mine = upstreams_.find(me);
  if (mine == upstreams_.end()) return std::nullopt;
  const auto found = mine->second.find(origin);
  if (found == mine->second.end()) return std::nullopt;
  return found->second;
}

void Graph::link(const std::string& a, const std::string& b) {
  if (a == b) return;
  insert_sorted(neighbours_[a], b);
  insert_sorted(neighbours_[b], a);
}

void Graph::prefer(const std::string& me, const std::string& origin, const std::string& neighbour) {
  if (me != origin) upstreams_[me][origin] = neighbour;
}

void Graph::build_circle(const TopologySpec& spec) {
  const auto& order = spec.order;
  const size_t n = order.size();
  for (size_t me = 0; me < n; ++me) {
    const auto& predecessor = order[(me + n - 1) % n];
    const auto& successor = order[(me + 1) % n];
    link(order[me], successor);
    for (size_t origin = 0; origin < n; ++origin) {
      const size_t forwards = (me + n - origin) % n;  // hops, by the predecessor
      const bool shorter_back = spec.both_ways && n - forwards < forwards;
      prefer(order[me], order[origin], shorter_back ? successor : predecessor);
    }
  }
}

void Graph::build_star(const TopologySpec& spec) {
  for (const auto& me : names_) {
    link(me, spec.hub);
    if (!spec.backup_hub.empty()) link(me, spec.backup_hub);
    for (const auto& origin : names_) prefer(me, origin, me == spec.hub ? origin : spec.hub);
  }
}

void Graph::build_all_to_all() {
  for (const auto& me : names_) {
    for (const auto& origin : names_) {
      link(me, origin);
      prefer(me, origin, origin);
    }
  }
}

void Graph::build_links(const TopologySpec& spec) {
  for (const auto& [a, b] : spec.links) link(a, b);
  for (const auto& origin : names_) {
    const auto distance = distances(neighbours_, origin);
    for (const auto& me : names_) {
      const auto& near =
          neighbours_.at(me);  // sorted: the first of the nearest is the smallest name
      if (me == origin || near.empty()) continue;
      prefer(me, origin, *std::min_element(near.begin(), near.end(), [&](auto& a, auto& b) {
               return distance.at(a) < distance.at(b);
             }));
    }
  }
}

void Graph::add_spares() {
  const bool heals = spec_.kind == TopologyKind::kCircle || spec_.kind == TopologyKind::kStar;
  if (!spec_.reroute || !heals) return;
  for (const auto& me : names_) {
    for (const auto& other : names_) {
      if (me != other && !contains(neighbours(me), other)) insert_sorted(spares_[me], other);
    }
  }
}

Graph::Neighbours Graph::all_possible_links() const {
  Neighbours all = neighbours_;
  for (const auto& [dc, list] : spares_) {
    for (const auto& other : list) insert_sorted(all.at(dc), other);
  }
  return all;
}

Graph::Way Graph::way(std::string_view me, std::string_view origin) const {
  Way out{std::string(me)};
  while (const auto next = upstream(out.back(), origin)) out.push_back(*next);
  std::reverse(out.begin(), out.end());
  return out;
}

bool Graph::connected_without(std::string_view dc) const {
  if (spec_.reroute) {
    auto rest = all_possible_links();
    rest.erase(std::string(dc));
    for (auto& [name, list] : rest) std::erase(list, dc);
    return connected(rest);
  }
  for (const auto& me : names_) {
    for (const auto& origin : names_) {
      if (me == dc || origin == dc) continue;
      const auto across = way(me, origin);
      if (std::find(across.begin(), across.end(), dc) != across.end()) return false;
    }
  }
  return true;
}

bool Graph::connected_without(std::string_view a, std::string_view b) const {
  if (spec_.reroute) {
    auto rest = all_possible_links();
    std::erase(rest.at(std::string(a)), b);
    std::erase(rest.at(std::string(b)), a);
    return connected(rest);
  }
  // Whoever takes anything of an origin takes it over the link with its upstream.
  const auto carries = [this](std::string_view from, std::string_view to) {
    return std::any_of(names_.begin(), names_.end(),
                       [&](const std::string& origin) { return upstream(to, origin) == from; });
  };
  return !carries(a, b) && !carries(b, a);
}

std::vector<std::string> Graph::single_points_of_failure() const {
  std::vector<std::string> out;
  for (const auto& name : names_) {
    if (!connected_without(name)) out.push_back(name);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Graph::bridges() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [a, list] : neighbours_) {
    for (const auto& b : list) {
      if (a < b && !connected_without(a, b)) out.emplace_back(a, b);
    }
  }
  return out;
}

}  // namespace entente
