#include "gateway/lifecycle/donors.h"

#include <algorithm>
#include <tuple>

#include "gateway/http/http_caller.h"
#include "gateway/membership/topology_epochs.h"
#include "gateway/membership/topology_news.h"
#include "topology/graph.h"
#include "topology/succession.h"

namespace entente {
namespace {

uint64_t transactions(const VersionVector& applied) {
  uint64_t n = 0;
  for (const auto& dot : applied) n += dot.seq;
  return n;
}

// … and refuses, is busy, or hangs.
bool is_there(const Error& error) {
  return error.code != Code::kNotReached && error.tag != kHungUp;
}

}  // namespace

void sort_donors(std::vector<Donor>& donors, const Origin& life, const std::string& tried) {
  const auto rank = [&](const Donor& donor) {
    return std::tuple(donor.name != tried, donor.applied.at(life), transactions(donor.applied));
  };
  std::stable_sort(donors.begin(), donors.end(),
                   [&](const Donor& a, const Donor& b) { return rank(a) > rank(b); });
}

Donors find_donors(const Config& config, const Datacenter& dc, std::span<const std::string> names) {
  Donors donors;
  const TopologyNewsItem mine{config.epoch, topology_fingerprint(config), "", {}};
  for (const auto& name : names) {
    const auto said = exchange_topology_news(config, dc.name, *config.find(name), mine);
    donors.anybody = donors.anybody || said || is_there(said.error());
    if (!said) {
      donors.silent += (donors.silent.empty() ? "" : "; ") + name + ": " + said.error().text;
    } else if (comes_after(said->epoch, said->fingerprint, mine.epoch, mine.fingerprint)) {
      donors.later = epoch_of(*said, config);
    } else {
      donors.found.push_back({name, said->sealed.value_or(VersionVector())});
    }
  }
  return donors;
}

std::vector<std::string> neighbours_with_files(const Config& config, const Datacenter& dc) {
  const Graph graph(config);
  std::vector<std::string> names = graph.neighbours(dc.name);
  std::erase_if(names, [&](const auto& n) { return config.find(n)->database_kind != "sqlite"; });
  return names;
}

}  // namespace entente
