#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "conflict/dot.h"
#include "conflict/result.h"
#include "conflict/version_vector.h"

namespace entente {

// What two gateways say to each other about the topology they have gone over to.
struct TopologyNewsItem {
  uint64_t epoch = 0;
  std::string fingerprint;
  std::string yaml;                       // "": everybody has that in a file
  Origin incarnation;                     // of who says it
  std::optional<VersionVector> sealed{};  // in answers: what he has applied
  std::string leader{};                   // of the schema
};
std::string write_topology_news(const TopologyNewsItem& item);
Result<TopologyNewsItem> parse_topology_news(std::string& json);

}  // namespace entente
