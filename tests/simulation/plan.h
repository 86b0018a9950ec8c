#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/schema.h"
#include "tests/simulation/random.h"
#include "topology/config.h"

namespace entente::simulation {

// The classes of faults. Each can be left out of a seed without changing what the others do.
enum class Fault {
  kDelay,         // messages take long, and differently long on different links
  kCut,           // links break; any suffix of what was in flight is lost
  kReplay,        // changes that a link delivered before come again
  kPartition,     // halves, one node, or one link are cut off for a while
  kOneWay,        // one direction of a link stalls
  kCrash,         // a node loses all but its disk
  kCrashAtPoint,  // … right after something became durable, before anybody was told
  kSlow,          // one node's database is slow for a while
  kBusy,          // an apply fails and must be offered again
  kSmall,         // small windows and queues: back-pressure and overflow
  kClock,         // wall clocks are apart, drift and step, within max_clock_drift
  kTrim,          // logs are trimmed as soon as everybody has what they hold
  kForget,        // … all of it, whoever lacks it: who was away joins again from a copy
  kFarClock,      // a wall clock is further off than that for a while
  kTopology,      // the cluster goes over to another topology
  kJoin,          // a datacenter more
  kLeave,         // one less, which may be away when the others go on without it
  kRestore,       // a node goes on with its database as it was some time ago
  kClone,         // … and later with the one that it had, which went on meanwhile
  kUpgrade,       // nodes go over to the next version, one by one; two versions do not talk
  kMarker,        // the marker beside a database is lost: it joins again from whomever it reaches
};
inline constexpr Fault kAllFaults[] = {
    Fault::kDelay, Fault::kCut,          Fault::kReplay,  Fault::kPartition, Fault::kOneWay,
    Fault::kCrash, Fault::kCrashAtPoint, Fault::kSlow,    Fault::kBusy,      Fault::kSmall,
    Fault::kClock, Fault::kTrim,         Fault::kForget,  Fault::kFarClock,  Fault::kTopology,
    Fault::kJoin,  Fault::kLeave,        Fault::kRestore, Fault::kClone,     Fault::kUpgrade,
    Fault::kMarker};
std::string_view to_string(Fault fault);
std::optional<Fault> parse_fault(std::string_view name);

// What a person, or the shrinker, changes of what a seed draws.
struct Overrides {
  std::set<Fault> without;
  std::optional<size_t> nodes;       // at most
  std::optional<size_t> operations;  // at most
  bool over_sqlite = false;          // instead of memory databases
};

// A table whose schema changes all the time, and whose rows are written meanwhile. The oracle knows
// nothing of it: everybody must show the same.
inline constexpr const char* kChangingTable = "changing";

// Everything a seed decides before anything happens.
struct Plan {
  uint64_t seed = 0;
  bool over_sqlite = false;
  Config config;                   // the first topology, and what holds under all of them
  std::vector<Limits> limits;      // each node's own, in the order of `names`
  std::vector<std::string> names;  // who takes part at first, and after them who may join
  std::vector<TableDef> tables;
  std::set<Fault> faults;

  // Workload. The weights are relative.
  size_t operations = 0;
  int64_t chaos_ms = 0;
  int64_t keys = 0;
  double hot = 0;      // the share of writes that go to the first key
  int64_t values = 0;  // how many different values there are: few make equal ones
  unsigned puts = 0, patches = 0, erases = 0, resolves = 0;
  double with_context = 0;       // the share of writes that show one
  double several_writes = 0;     // the share of transactions with more than one
  size_t schema_operations = 0;  // on kChangingTable
  double grouped = 0;            // the share of commits with more than one transaction

  // Network and clocks.
  int64_t latency_ms = 0;      // the usual
  int64_t latency_max_ms = 0;  // under kDelay
  int64_t clock_grain_ms = 0;  // wall clocks show multiples of it: coarse ones make equal stamps

  // Contexts live so short that tombstones are collected.
  bool collects() const { return config.limits.context_lifetime <= std::chrono::seconds(2); }
  bool has(Fault fault) const { return faults.contains(fault); }
  // Databases do.
  bool goes_back() const { return has(Fault::kRestore) || has(Fault::kClone); }
  bool changes_members() const {
    return has(Fault::kTopology) || has(Fault::kJoin) || has(Fault::kLeave);
  }
};

Plan draw_plan(uint64_t seed, const Overrides& overrides);
// Of these datacenters, any kind.
TopologySpec draw_topology(const std::vector<std::string>& names, Random& random);
std::string describe(const Plan& plan);

}  // namespace entente::simulation
