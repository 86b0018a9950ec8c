#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conflict/version_vector.h"
#include "gateway/membership/data_folder.h"
#include "topology/config.h"

namespace entente {

// A datacenter that may give a copy of its database.
struct Donor {
  std::string name;
  VersionVector applied;
};

// Best is who has most of `life`, an incarnation of who asks, and then who has most of everything:
// what a copy lacks has to be brought over or replicated. Who is `tried` already comes last.
void sort_donors(std::vector<Donor>& donors, const Origin& life, const std::string& tried);

struct Donors {
  std::vector<Donor> found;
  std::string silent;    // who does not answer, or refuses, and why; "" nobody
  bool anybody = false;  // somebody is there, if only with a refusal
  // Somebody has gone over to a later topology: under ours nobody gives a copy.
  std::optional<TopologyEpoch> later;
};

// Asks each of these datacenters, on the calling thread, what it has. Unsorted.
Donors find_donors(const Config& config, const Datacenter& dc, std::span<const std::string> names);

// Those neighbours that keep their databases in SQLite files.
std::vector<std::string> neighbours_with_files(const Config& config, const Datacenter& dc);

}  // namespace entente
