#pragma once

#include <string>
#include <utility>

#include "topology/graph.h"
#include "topology/succession.h"

namespace entente::simulation {

// A topology that the cluster has gone over to, or begins with.
struct Epoch {
  explicit Epoch(Config c)
      : config(std::move(c)), graph(config), fingerprint(topology_fingerprint(config)) {}

  bool has(const std::string& dc) const { return config.find(dc) != nullptr; }
  bool comes_after(const Epoch& other) const {
    return entente::comes_after(config.epoch, fingerprint, other.config.epoch, other.fingerprint);
  }

  const Config config;
  const Graph graph;
  const std::string fingerprint;
};

}  // namespace entente::simulation
