#include "tests/simulation/simulation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "tests/simulation/checks.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/network.h"
#include "tests/simulation/node.h"
#include "tests/simulation/schema_workload.h"
#include "tests/simulation/workload.h"

namespace entente::simulation {
namespace {

constexpr int64_t kQuiesceMs = 60'000;  // virtual; a second or two is usual
constexpr int64_t kStepMs = 20;
constexpr int64_t kFastMs = 15'000;  // within which who has a right clock has what others wrote
constexpr int64_t kChecks = 8;       // during the chaos

class Simulation {
 public:
  Simulation(const Plan& plan, bool print_trace) : world_(plan, print_trace), network_(world_) {
    std::vector<Endpoint*> endpoints;
    for (size_t i = 0; i < plan.names.size(); ++i) {
      owned_.push_back(std::make_unique<Node>(world_, network_, i));
      nodes_.push_back(owned_.back().get());
      endpoints.push_back(nodes_.back());
    }
    network_.attach(std::move(endpoints));
    for (Node* node : nodes_) node->attach(nodes_);
    world_.active.clear();
  }

  Outcome run() {
    Workload workload(world_, nodes_);
    Faults faults(world_, network_, nodes_);
    start();
    workload.define_tables();
    quiesce("before the chaos");
    plan_workload(workload);
    SchemaWorkload schema(world_, nodes_);
    schema.plan();
    faults.begin();
    run_for(world_.plan.chaos_ms);
    const auto dead = draw_dead();
    faults.heal(dead);
    if (dead) {
      live_without(**dead);
      (*dead)->start_again();
    }
    quiesce("after the chaos");
    bring_back_clones();
    live_beside_a_fast_clock(workload);
    check_all();
    collect_all("after the chaos");
    restart_cold();
    check_all();
    collect_all("after the cold restart");
    return {world_.failure(), world_.trace_hash(), workload.acknowledged(), describe(world_.plan),
            world_.coverage};
  }

 private:
  // Those whom the newest topology has.
  std::vector<Node*> members() const {
    std::vector<Node*> out;
    std::copy_if(nodes_.begin(), nodes_.end(), std::back_inserter(out),
                 [](const Node* n) { return n->takes_part(); });
    return out;
  }

  void start() {
    for (Node* node : members()) node->begin();
  }

  void run_for(int64_t ms) {
    const int64_t end = world_.scheduler.now() + ms;
    while (!world_.failure() && world_.scheduler.now() < end) {
      world_.scheduler.run_until(std::min(end, world_.scheduler.now() + kStepMs));
    }
  }

  void plan_workload(Workload& workload) {
    Random times(world_.plan.seed, "times");
    for (size_t i = 0; i < world_.plan.operations; ++i) {
      world_.scheduler.after(times.between(0, world_.plan.chaos_ms),
                             [&workload] { workload.commit_something(); });
      world_.scheduler.after(times.between(0, world_.plan.chaos_ms),
                             [&workload] { workload.read_something(); });
    }
    Random checks(world_.plan.seed, "checks");
    for (int64_t i = 0; i < kChecks; ++i) {
      const Node* node = nodes_[checks.below(nodes_.size())];
      world_.scheduler.after(checks.between(0, world_.plan.chaos_ms), [this, node] {
        if (node->has_disk() && !node->astray()) check_contents(world_, *node);
      });
    }
  }

  // Who takes part is under the newest topology and has all that anybody of them has; who does not
  // has ended.
  bool converged() const {
    const auto everybody = members();
    VersionVector all;
    for (const Node* n : everybody) all.join(n->durable());
    const auto has_it = [&](const Node* n) {
      return n->alive() && n->epoch() == &world_.newest_epoch() && n->idle() && !n->catching_up() &&
             !n->astray() && n->durable() == all && n->replica().applied() == all &&
             n->replica().held_bytes() == 0 && n->replica().stable() == all;
    };
    return std::all_of(everybody.begin(), everybody.end(), has_it) &&
           std::all_of(nodes_.begin(), nodes_.end(), [](const Node* n) {
             return n->takes_part() || n->left() || n->epoch() == nullptr;
           });
  }

  void quiesce(const std::string& when) {
    for (int64_t waited = 0; !world_.failure() && !converged(); waited += kStepMs) {
      if (waited >= kQuiesceMs) return world_.fail("stuck " + when + ": " + describe_state());
      run_for(kStepMs);
    }
    const auto waits = [](const Node* n) { return n->has_aside(); };
    if (world_.failure() || std::any_of(nodes_.begin(), nodes_.end(), waits)) return;
    if (auto bad = world_.oracle.lost_all_but(nodes_[0]->durable())) world_.fail(*bad);
  }

  // In some seeds one node stays dead for a while, if rerouting can make up for it.
  std::optional<Node*> draw_dead() {
    Random random(world_.plan.seed, "dead");
    const bool one = random.chance(0.4);
    const size_t node = random.below(world_.plan.config.datacenters.size());
    // It alone may know of the newest topology.
    const bool may_be_needed = world_.plan.changes_members() || world_.plan.goes_back();
    const auto& epoch = world_.newest_epoch();
    const auto needed = epoch.graph.single_points_of_failure();
    const bool cuts = std::find(needed.begin(), needed.end(), nodes_[node]->name()) != needed.end();
    if (!one || may_be_needed || !epoch.config.topology.reroute || cuts) return {};
    return nodes_[node];
  }

  // P7: the others converge on all that any of them has.
  void live_without(const Node& dead) {
    world_.coverage.met(Met::kLivedWithout);
    std::vector<const Node*> others(nodes_.begin(), nodes_.end());
    std::erase(others, &dead);
    for (int64_t waited = 0; !world_.failure() && !agree(others); waited += kStepMs) {
      if (waited >= kQuiesceMs) {
        return world_.fail("stuck without " + dead.name() + " (P7): " + describe_state());
      }
      run_for(kStepMs);
    }
    for (const Node* node : others) check_contents(world_, *node);
  }

  // The databases of clones that ran in their place go on, and nothing that they have is lost.
  void bring_back_clones() {
    for (Node* node : nodes_) {
      if (!node->has_aside() || world_.failure()) continue;
      node->bring_back();
      quiesce("after a clone was there");
    }
  }

  // P7, P11: one clock far ahead costs nobody but its own datacenter what is written meanwhile,
  // whatever the topology: the others converge on all but that one's changes.
  void live_beside_a_fast_clock(Workload& workload) {
    Random random(world_.plan.seed, "fast clock");
    const auto everybody = members();
    Node& fast = *random.pick(everybody);
    const bool may = world_.plan.has(Fault::kFarClock) && !world_.plan.goes_back();
    if (!may || world_.failure()) return;
    world_.coverage.met(Met::kLivedBesideAFastClock);
    fast.set_clock_off(world_.plan.config.max_clock_drift.count() + 2 * kFastMs);
    for (int i = 0; i < 30; ++i) {
      world_.scheduler.after(random.between(0, 2'000),
                             [&workload] { workload.commit_something(); });
    }
    run_for(2'000);
    const Origin its_own = fast.replica().self();
    const auto others_agree = [&] {
      VersionVector all;
      for (const Node* n : everybody) {
        if (n != &fast) all.join(n->durable());
      }
      all.set(its_own, 0);
      return std::all_of(everybody.begin(), everybody.end(),
                         [&](const Node* n) { return n == &fast || n->durable().covers(all); });
    };
    for (int64_t waited = 0; !world_.failure() && !others_agree(); waited += kStepMs) {
      if (waited >= kFastMs) {
        world_.fail("stuck beside the fast clock of " + fast.name() + " (P7): " + describe_state());
      }
      run_for(kStepMs);
    }
    fast.set_clock_off(0);
    quiesce("after a clock was fast");
  }

  static bool agree(const std::vector<const Node*>& nodes) {
    return std::all_of(nodes.begin(), nodes.end(), [&](const Node* n) {
      return n->alive() && n->idle() && n->durable() == nodes[0]->durable() &&
             n->replica().held_bytes() == 0;
    });
  }

  void check_all() {
    for (int64_t waited = 0; !network_.quiet() && waited < kQuiesceMs; waited += kStepMs) {
      run_for(kStepMs);  // the last credit is on its way
    }
    if (world_.failure()) return;
    const auto expected = world_.oracle.expected(world_.oracle.everything());
    note_conflicts(world_, expected);
    for (const Node* node : members()) {
      check_contents(world_, *node, expected);
      check_losers_listed(world_, *node, expected);
      check_chains(*node);
      node->check_credit();
    }
    note_losses(world_, *nodes_[0]);
    check_changing_table(world_, members());
  }

  // Once everybody has everything, and a lifetime has passed, no tombstone is left.
  void collect_all(const std::string& when) {
    if (!world_.plan.collects()) return;
    const auto done = [](const Node* n) { return n->all_collected(); };
    const auto all = members();
    for (int64_t waited = 0; !std::all_of(all.begin(), all.end(), done); waited += kStepMs) {
      if (world_.failure()) return;
      if (waited >= kQuiesceMs) return world_.fail("nothing more is collected " + when);
      run_for(kStepMs);
    }
    check_changing_table(world_, all);
    const auto expected = world_.oracle.expected(world_.oracle.everything());
    for (const Node* node : all) {
      check_contents(world_, *node, expected);
      check_collected(world_, *node, expected);
    }
  }

  // Every replica has the same history of every origin.
  void check_chains(const Node& node) {
    const auto mine = node.database().state().streams;
    const auto first = nodes_[0]->database().state().streams;
    for (const auto& [origin, stream] : first) {
      const auto it = mine.find(origin);
      if (it == mine.end() || it->second.chain != stream.chain || it->second.hlc != stream.hlc) {
        world_.fail(node.name() + " has another history of " + world_.oracle.dc(origin));
      }
    }
  }

  void restart_cold() {
    if (world_.failure()) return;
    for (Node* node : members()) node->crash();
    run_for(200);
    for (Node* node : members()) node->start();
    quiesce("after the cold restart");
    const uint64_t sent = changes_sent();
    run_for(200);
    if (changes_sent() != sent) world_.fail("changes travel though everybody has them all");
  }

  uint64_t changes_sent() const {
    uint64_t sent = 0;
    for (const Node* node : nodes_) sent += node->changes_sent();
    return sent;
  }

  std::string describe_state() const {
    std::string text = network_.describe();
    for (const Node* node : nodes_) {
      if (node->epoch() != nullptr) text += "\n    " + node->describe();
    }
    return text;
  }

  World world_;
  Network network_;
  std::vector<std::unique_ptr<Node>> owned_;
  std::vector<Node*> nodes_;
};

// Tries one thing less; keeps it if the seed still fails.
bool keep_if_it_fails(uint64_t seed, Overrides& overrides, const Overrides& smaller) {
  if (!run(seed, smaller, false).failure) return false;
  overrides = smaller;
  return true;
}

}  // namespace

Outcome run(uint64_t seed, const Overrides& overrides, bool print_trace) {
  return Simulation(draw_plan(seed, overrides), print_trace).run();
}

Overrides shrink(uint64_t seed, Overrides overrides) {
  for (const Fault fault : draw_plan(seed, overrides).faults) {
    Overrides smaller = overrides;
    smaller.without.insert(fault);
    keep_if_it_fails(seed, overrides, smaller);
  }
  for (size_t nodes = 2; nodes < draw_plan(seed, overrides).config.datacenters.size(); ++nodes) {
    Overrides smaller = overrides;
    smaller.nodes = nodes;
    if (keep_if_it_fails(seed, overrides, smaller)) break;
  }
  for (bool failed = true; failed && draw_plan(seed, overrides).operations > 1;) {
    Overrides smaller = overrides;
    smaller.operations = draw_plan(seed, overrides).operations * 3 / 4;
    failed = keep_if_it_fails(seed, overrides, smaller);
  }
  return overrides;
}

std::string options_of(uint64_t seed, const Overrides& overrides) {
  std::string text = "--seed=" + std::to_string(seed);
  std::string without;
  for (const Fault fault : overrides.without) {
    without += (without.empty() ? "" : ",") + std::string(to_string(fault));
  }
  if (overrides.over_sqlite) text += " --sqlite";
  if (!without.empty()) text += " --without=" + without;
  if (overrides.nodes) text += " --nodes=" + std::to_string(*overrides.nodes);
  if (overrides.operations) text += " --operations=" + std::to_string(*overrides.operations);
  return text;
}

}  // namespace entente::simulation
