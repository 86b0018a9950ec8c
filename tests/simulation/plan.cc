#include "tests/simulation/plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tests/simulation/random.h"

#include "tests/support/moody_handler.h"

namespace entente::simulation {
namespace {

constexpr std::array<std::pair<Fault, std::string_view>, std::size(kAllFaults)> kNames{{
    {Fault::kDelay, "delay"},
    {Fault::kCut, "cut"},
    {Fault::kReplay, "replay"},
    {Fault::kPartition, "partition"},
    {Fault::kOneWay, "one-way"},
    {Fault::kCrash, "crash"},
    {Fault::kCrashAtPoint, "crash-at-point"},
    {Fault::kSlow, "slow"},
    {Fault::kBusy, "busy"},
    {Fault::kSmall, "small"},
    {Fault::kClock, "clock"},
    {Fault::kTrim, "trim"},
    {Fault::kForget, "forget"},
    {Fault::kFarClock, "far-clock"},
    {Fault::kTopology, "topology"},
    {Fault::kJoin, "join"},
    {Fault::kLeave, "leave"},
    {Fault::kRestore, "restore"},
    {Fault::kClone, "clone"},
    {Fault::kUpgrade, "upgrade"},
    {Fault::kMarker, "marker"},
}};

constexpr size_t kNodesMax = 7;

bool is_rare(Fault fault) { return fault >= Fault::kForget; }

// A random tree, and now and then a link more.
std::vector<std::pair<std::string, std::string>> connected_links(
    const std::vector<std::string>& names, Random& random) {
  std::vector<std::pair<std::string, std::string>> links;
  for (size_t i = 1; i < names.size(); ++i) links.emplace_back(names[random.below(i)], names[i]);
  for (uint64_t extra = random.below(3); extra > 0; --extra) {
    const size_t a = random.below(names.size()), b = random.below(names.size());
    const std::pair link{names[std::min(a, b)], names[std::max(a, b)]};
    if (a != b && std::find(links.begin(), links.end(), link) == links.end()) {
      links.push_back(link);
    }
  }
  return links;
}

Policy draw_policy(Random& random) {
  Policy policy;
  policy.kind = static_cast<PolicyKind>(random.below(6));
  constexpr MergeKind kMerges[] = {MergeKind::kConcat, MergeKind::kUnion, MergeKind::kMin,
                                   MergeKind::kMax};
  if (policy.kind == PolicyKind::kMerge) policy.merge = kMerges[random.below(4)];
  if (policy.kind == PolicyKind::kHandler) policy.run_this = test::moody_handler();
  const bool decides = policy.kind == PolicyKind::kHandler ||
                       (policy.kind == PolicyKind::kMerge && !policy.is_set());
  if (decides && random.chance(0.2)) policy.run = RunWhen::kRead;
  return policy;
}

TableRules draw_rules(const TableDef& table, Random& random) {
  TableRules rules;
  rules.policy = draw_policy(random);
  rules.granularity = random.chance(0.5) ? Granularity::kRow : Granularity::kColumn;
  rules.delete_update =
      random.chance(0.5) ? DeleteUpdate::kPolicy : static_cast<DeleteUpdate>(random.between(1, 2));
  rules.blind = random.chance(0.5)   ? Blind::kSupersede
                : random.chance(0.8) ? Blind::kSibling
                                     : Blind::kRequire;
  for (const auto& column : table.columns) {
    if (column.key_part == 0 && random.chance(0.25)) {
      rules.columns[column.name] = draw_policy(random);
    }
  }
  const Policy together = draw_policy(random);
  const bool adds = together.is_counter() || together.is_set();
  if (random.chance(0.2) && !adds && rules.columns.empty() && table.columns.size() > 2) {
    rules.groups["together"] = {{table.columns[1].name, table.columns[2].name}, together};
  }
  return rules;
}

TableDef draw_table(size_t n, Random& random) {
  TableDef table{"t" + std::to_string(n), {}};
  table.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
  const auto columns = random.between(1, 4);
  for (int64_t i = 0; i < columns; ++i) {
    table.columns.push_back(
        {"c" + std::to_string(i), "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0});
  }
  return table;
}

void take_text_for_sets(TableDef& table, const TableRules& rules) {
  const Layout layout(table, rules);
  for (auto& column : table.columns) {
    if (column.key_part > 0 || !layout.group_of(column.name).policy.is_set()) continue;
    column.type = "TEXT";
    column.affinity = Affinity::kText;
  }
}

void draw_conflicts(Plan& plan, Random& random) {
  const auto tables = random.between(1, 3);
  for (int64_t i = 0; i < tables; ++i) {
    TableDef table = draw_table(static_cast<size_t>(i), random);
    TableRules rules = draw_rules(table, random);
    take_text_for_sets(table, rules);
    plan.config.rules.tables[table.name] = std::move(rules);
    plan.tables.push_back(std::move(table));
  }
  for (const auto& name : plan.names) {
    plan.config.rules.priorities[name] = static_cast<int>(random.below(4)) * 10;
  }
}

void draw_workload(Plan& plan, Random& random) {
  plan.operations = static_cast<size_t>(random.between(20, 250));
  plan.chaos_ms = random.between(300, 3000);
  plan.keys = random.between(1, 12);
  plan.hot = random.chance(0.5) ? 0.6 : 0.0;
  plan.values = random.chance(0.3) ? 2 : 1'000'000;
  plan.puts = static_cast<unsigned>(random.between(1, 6));
  plan.patches = static_cast<unsigned>(random.between(0, 6));
  plan.erases = static_cast<unsigned>(random.between(0, 4));
  plan.resolves = static_cast<unsigned>(random.between(0, 3));
  plan.with_context = random.chance(0.6) ? 0.4 : 0.0;
  plan.several_writes = random.chance(0.6) ? 0.3 : 0.0;
  plan.grouped = random.chance(0.5) ? 0.3 : 0.0;
}

void draw_schema(Plan& plan, Random& random) {
  const bool changes = random.chance(0.4);
  const auto operations = static_cast<size_t>(random.between(5, 80));
  TableRules rules;
  do {
    rules.policy = draw_policy(random);
  } while (rules.policy.is_set() || rules.policy.kind == PolicyKind::kHandler);
  rules.granularity = random.chance(0.5) ? Granularity::kRow : Granularity::kColumn;
  rules.delete_update = static_cast<DeleteUpdate>(random.between(0, 2));
  if (!changes) return;
  plan.schema_operations = operations;
  plan.config.rules.tables[kChangingTable] = std::move(rules);
}

void draw_limits(Limits& limits, bool small, Random& random) {
  const auto bytes = [&](int64_t low, int64_t high) {
    return static_cast<size_t>(random.between(low, high));
  };
  Limits drawn;
  drawn.batch_bytes = bytes(100, 4000);
  drawn.link_window = bytes(400, 6000);
  drawn.hold_back_bytes = bytes(400, 4000);
  drawn.apply_bytes = bytes(100, 3000);
  if (small) limits = drawn;
}

// Files may differ in this: what one lets in need not be what another does.
std::vector<Limits> draw_own_limits(const Plan& plan) {
  std::vector<Limits> out;
  for (const auto& name : plan.names) {
    Random random(plan.seed, "limits of " + name);
    Limits own = plan.config.limits;
    const auto window = static_cast<size_t>(random.between(400, 6000));
    const auto frame = static_cast<size_t>(random.between(6'000, 16'000));  // of the longest record
    if (plan.has(Fault::kSmall)) own.link_window = window, own.frame_bytes = frame;
    out.push_back(own);
  }
  return out;
}

// Short ones, so that promises are made and tombstones collected while the chaos lasts.
void draw_lifetime(Limits& limits, Random& random) {
  const bool is_short = random.chance(0.6);
  const int64_t ms = random.between(50, 1500);
  if (is_short) limits.context_lifetime = std::chrono::milliseconds(ms);
}

}  // namespace

std::string_view to_string(Fault fault) {
  return std::find_if(kNames.begin(), kNames.end(), [&](auto& n) { return n.first == fault; })
      ->second;
}

std::optional<Fault> parse_fault(std::string_view name) {
  for (const auto& [fault, text] : kNames) {
    if (text == name) return fault;
  }
  return std::nullopt;
}

TopologySpec draw_topology(const std::vector<std::string>& names, Random& random) {
  TopologySpec spec;
  spec.reroute = random.chance(0.7);
  spec.failover_after = std::chrono::milliseconds(random.between(100, 800));
  spec.kind = static_cast<TopologyKind>(random.below(4));
  spec.both_ways = random.chance(0.5);
  const bool backup = random.chance(0.5);
  const auto links = connected_links(names, random);
  if (spec.kind == TopologyKind::kCircle) spec.order = names;
  if (spec.kind == TopologyKind::kLinks) spec.links = links;
  if (spec.kind == TopologyKind::kStar) {
    spec.hub = names[0];
    if (backup && names.size() > 2) spec.backup_hub = names[1];
  }
  return spec;
}

Plan draw_plan(uint64_t seed, const Overrides& overrides) {
  Plan plan;
  plan.seed = seed;
  plan.over_sqlite = overrides.over_sqlite;
  Random size(seed, "size"), topology(seed, "topology"), conflicts(seed, "conflicts");
  Random workload(seed, "workload-mix"), faults(seed, "faults"), limits(seed, "limits");
  Random network(seed, "network-mix"), lifetime(seed, "lifetime"), schema(seed, "schema");

  const auto drawn = static_cast<size_t>(size.between(2, kNodesMax));
  const size_t nodes = std::min(drawn, overrides.nodes.value_or(drawn));
  for (size_t i = 0; i < nodes; ++i) {
    plan.names.emplace_back(1, static_cast<char>('a' + i));
    plan.config.datacenters.emplace_back().name = plan.names.back();
  }
  plan.config.cluster = "simulation";
  plan.config.schema_leader = plan.names[0];
  plan.config.topology = draw_topology(plan.names, topology);
  const bool calm = faults.chance(0.05);
  for (const Fault fault : kAllFaults) {
    const bool present = faults.chance(is_rare(fault) ? 0.2 : 0.45) && !calm;
    if (present && !overrides.without.contains(fault)) plan.faults.insert(fault);
  }
  // Where databases go back, nobody is removed: it might be the one that knows better.
  if (plan.goes_back()) plan.faults.erase(Fault::kLeave);
  // Whose own changes came to nobody, and who comes back after another wrote others under their
  // names and the logs have forgotten which these are, is taken to have had those.
  if (plan.has(Fault::kClone)) {
    for (const Fault fault : {Fault::kTrim, Fault::kForget, Fault::kMarker})
      plan.faults.erase(fault);
  }
  if (plan.has(Fault::kRestore)) plan.faults.erase(Fault::kForget);
  // Databases that are replaced by rows again and again forget what their logs had listed.
  if (plan.has(Fault::kForget)) plan.faults.erase(Fault::kFarClock);
  for (size_t i = nodes; plan.has(Fault::kJoin) && i < std::min(nodes + 2, kNodesMax); ++i) {
    plan.names.emplace_back(1, static_cast<char>('a' + i));
  }
  // Who is linked with nobody but one who lags, and may ask nobody else, cannot tell him that he
  // went back (Node::may_meet).
  if (plan.goes_back()) plan.config.topology.reroute = true;
  draw_conflicts(plan, conflicts);
  draw_workload(plan, workload);
  draw_schema(plan, schema);
  plan.operations = std::min(plan.operations, overrides.operations.value_or(plan.operations));
  draw_limits(plan.config.limits, plan.has(Fault::kSmall), limits);
  draw_lifetime(plan.config.limits, lifetime);
  plan.limits = draw_own_limits(plan);
  plan.latency_ms = network.between(1, 15);
  plan.latency_max_ms = network.between(50, 600);
  plan.clock_grain_ms = network.chance(0.4) ? network.between(20, 300) : 1;
  return plan;
}

std::string describe(const Plan& plan) {
  const auto& topology = plan.config.topology;
  std::string text =
      std::string(to_string(topology.kind)) + " of " +
      std::to_string(plan.config.datacenters.size()) + (topology.both_ways ? ", both ways" : "") +
      (topology.reroute ? "" : ", no reroute") +
      (topology.backup_hub.empty() ? "" : ", backup hub") + "; " + std::to_string(plan.operations) +
      " operations in " + std::to_string(plan.chaos_ms) + " ms;";
  if (plan.collects()) {
    text +=
        " contexts live " + std::to_string(plan.config.limits.context_lifetime.count()) + " ms;";
  }
  text += " faults:";
  for (const Fault fault : plan.faults) text += " " + std::string(to_string(fault));
  for (const auto& [name, rules] : plan.config.rules.tables) {
    text += "; " + name + " " + std::string(rules.policy.describe()) +
            (rules.granularity == Granularity::kRow ? " by row" : " by column");
  }
  return text;
}

}  // namespace entente::simulation
