#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conflict/dot.h"
#include "conflict/result.h"
#include "conflict/version_vector.h"

namespace entente {

// An origin's hash chain at seq; zeros: not known.
struct ChainPoint {
  Origin origin;
  uint64_t seq = 0;
  std::array<uint8_t, 16> chain{};
  bool known() const { return chain != decltype(chain){}; }
};

// What two gateways say to each other about the topology they have gone over to.
struct TopologyNewsItem {
  uint64_t epoch = 0;
  std::string fingerprint;
  std::string yaml;                       // "": everybody has that in a file
  Origin incarnation;                     // of who says it
  std::optional<VersionVector> sealed{};  // in answers: what he has applied
  std::string leader{};                   // of the schema
  // Of who was removed: points of his histories. In answers: the same of theirs, there or, where
  // theirs is shorter, at its end.
  std::vector<ChainPoint> histories{};
};
std::string write_topology_news(const TopologyNewsItem& item);
Result<TopologyNewsItem> parse_topology_news(std::string& json);

}  // namespace entente
