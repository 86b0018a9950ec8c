#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tests/simulation/network.h"
#include "tests/simulation/node.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

// Breaks things while the chaos lasts. Each class has streams of its own.
class Faults {
 public:
  Faults(World& world, Network& network, std::vector<Node*> nodes)
      : world_(world), network_(network), nodes_(std::move(nodes)) {}

  // Plans all faults of the next `chaos_ms`.
  void begin();
  // Ends them all: links, nodes and disks are well from here on; but for one node, if `dead`.
  void heal(std::optional<Node*> dead);

 private:
  // Runs `what` again and again, `low` to `high` apart, until the chaos ends.
  void repeat(Fault fault, const std::string& stream, int64_t low, int64_t high,
              std::function<void(Random&)> what);
  void partition(Random& random);
  void flap(size_t link, int64_t times, int64_t ms);
  void crash(Node& node, Random& random);
  // Somebody tells a node to go over to a topology like the one it has, but for this.
  void change_topology(Random& random, bool join, bool leave);

  World& world_;
  Network& network_;
  std::vector<Node*> nodes_;
};

}  // namespace entente::simulation
