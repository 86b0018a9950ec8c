#include "tests/simulation/faults.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "topology/succession.h"

namespace entente::simulation {

void Faults::begin() {
  world_.active = world_.plan.faults;
  repeat(Fault::kPartition, "partition", 100, 900, [this](Random& r) { partition(r); });
  repeat(Fault::kCut, "cut", 20, 400, [this](Random& r) {
    world_.coverage.met(Met::kLinkCut);
    network_.cut(r.pick(network_.used_links()));
  });
  repeat(Fault::kOneWay, "one-way", 50, 600, [this](Random& r) {
    world_.coverage.met(Met::kOneWayStall);
    const size_t link = r.pick(network_.used_links());
    const size_t direction = r.below(2);
    network_.stall(link, direction, world_.scheduler.now() + r.between(50, 1500));
  });
  repeat(Fault::kTopology, "topology change", 200, 2500,
         [this](Random& r) { change_topology(r, false, false); });
  repeat(Fault::kJoin, "join", 300, 2500, [this](Random& r) { change_topology(r, true, false); });
  repeat(Fault::kLeave, "leave", 500, 3000, [this](Random& r) { change_topology(r, false, true); });
  for (Node* node : nodes_) {
    repeat(Fault::kCrash, "crash " + node->name(), 100, 3000,
           [this, node](Random& r) { crash(*node, r); });
    repeat(Fault::kSlow, "slow " + node->name(), 200, 2000, [this, node](Random& r) {
      world_.coverage.met(Met::kSlowNode);
      node->slow_down_until(world_.scheduler.now() + r.between(50, 800));
    });
    repeat(Fault::kClock, "step " + node->name(), 100, 1500, [this, node](Random& r) {
      world_.coverage.met(Met::kClockStep);
      node->step_clock(r.between(-1000, 1000));
    });
    repeat(Fault::kFarClock, "far " + node->name(), 300, 4000, [this, node](Random& r) {
      world_.coverage.met(Met::kClockFarOff);
      const int64_t most = world_.plan.config.max_clock_drift.count();
      const int64_t off = r.between(most + 1'000, most + 5'000);
      node->set_clock_off(r.chance(0.7) ? off : -off);
      world_.scheduler.after(r.between(50, 1000), [node] { node->set_clock_off(0); });
    });
    repeat(Fault::kTrim, "trim " + node->name(), 30, 300, [node](Random&) { node->trim_log(); });
    repeat(Fault::kRestore, "back up " + node->name(), 50, 800,
           [node](Random&) { node->back_up(); });
    repeat(Fault::kRestore, "restore " + node->name(), 500, 4000,
           [node](Random&) { node->go_back(false); });
    repeat(Fault::kClone, "clone " + node->name(), 50, 800, [node](Random&) { node->back_up(); });
    repeat(Fault::kClone, "start clone " + node->name(), 500, 4000,
           [node](Random&) { node->go_back(true); });
    repeat(Fault::kMarker, "lose marker " + node->name(), 300, 3000,
           [node](Random&) { node->lose_marker(); });
    repeat(Fault::kForget, "forget " + node->name(), 30, 600,
           [node](Random&) { node->forget_log(); });
    repeat(Fault::kUpgrade, "upgrade " + node->name(), 300, 3000,
           [node](Random&) { node->upgrade(); });
  }
}

void Faults::repeat(Fault fault, const std::string& stream, int64_t low, int64_t high,
                    std::function<void(Random&)> what) {
  if (!world_.plan.has(fault)) return;
  const auto random = std::make_shared<Random>(world_.plan.seed, stream);
  const auto shared = std::make_shared<std::function<void(Random&)>>(std::move(what));
  for (int64_t t = random->between(0, high); t < world_.plan.chaos_ms;
       t += random->between(low, high)) {
    world_.scheduler.after(t, [this, fault, random, shared] {
      if (world_.faulty(fault)) (*shared)(*random);
    });
  }
}

// Halves, one node, or one link that comes and goes.
void Faults::partition(Random& random) {
  const uint64_t kind = random.below(3);
  const uint64_t half = random.next();
  const uint64_t one = uint64_t{1} << random.below(nodes_.size());
  const size_t link = random.pick(network_.used_links());
  const int64_t ms = random.between(20, 1500);
  world_.coverage.met(Met::kPartition);
  if (kind == 2) return flap(link, 6, ms / 12 + 1);
  const uint64_t side = kind == 0 ? half : one;
  for (size_t i = 0; i < network_.links(); ++i) {
    if (!network_.crosses(i, side)) continue;
    network_.block(i);
    world_.scheduler.after(ms, [this, i] { network_.unblock(i); });
  }
}

void Faults::flap(size_t link, int64_t times, int64_t ms) {
  if (times == 0 || !world_.faulty(Fault::kPartition)) return;
  network_.block(link);
  world_.scheduler.after(ms, [this, link, times, ms] {
    network_.unblock(link);
    world_.scheduler.after(ms, [this, link, times, ms] { flap(link, times - 1, ms); });
  });
}

void Faults::crash(Node& node, Random& random) {
  const int64_t down = random.between(1, 1500);
  if (!node.alive()) return;
  node.crash();
  world_.scheduler.after(down, [&node] { node.start(); });
}

void Faults::change_topology(Random& random, bool join, bool leave) {
  Node& asked = *nodes_[random.below(nodes_.size())];
  const size_t gone = random.below(nodes_.size());
  Random shape(random.next(), "shape");
  if (!asked.alive()) return;
  const Config& now = asked.epoch()->config;
  std::vector<std::string> names;
  for (const auto& dc : now.datacenters) names.push_back(dc.name);
  std::vector<Node*> fresh;
  std::copy_if(nodes_.begin(), nodes_.end(), std::back_inserter(fresh),
               [](const Node* node) { return node->epoch() == nullptr; });
  if (join && fresh.empty()) return;
  if (join) names.push_back(fresh.front()->name());
  if (leave) {
    // The schema leader stays, and so does who is asked.
    if (names.size() < 3 || nodes_[gone] == nodes_[0] || nodes_[gone] == &asked) return;
    if (std::erase(names, nodes_[gone]->name()) == 0) return;
  }
  Config next = now;
  next.topology = draw_topology(names, shape);
  if (world_.plan.goes_back()) next.topology.reroute = true;
  next.datacenters.clear();
  for (const auto& name : names) next.datacenters.emplace_back().name = name;
  for (const auto& objection : objections(now, next)) world_.fail("objection: " + objection);
  const Epoch& epoch = world_.add_epoch(succeed(now, next, now.epoch + 1));
  if (join) fresh.front()->join(epoch);
  asked.adopt(epoch, {});
}

void Faults::heal(std::optional<Node*> dead) {
  world_.active.clear();
  network_.heal();
  for (Node* node : nodes_) {
    node->slow_down_until(0);
    if (world_.plan.has(Fault::kUpgrade)) node->upgrade();
    if (node != dead) node->start();
  }
  if (dead) (*dead)->die();
}

}  // namespace entente::simulation
