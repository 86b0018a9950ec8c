#include "tests/chaos/plan.h"

#include <algorithm>
#include <cstdio>

#include "tests/simulation/random.h"

namespace entente::chaos {
namespace {

using simulation::Random;
using namespace std::chrono_literals;

const char* const kNames[kFaults] = {"down", "one-way", "stall", "delay", "slow",
                                     "cut",  "flip",    "kill",  "stop",  "clock"};

// A long run heals and checks every now and then: what is remembered of it stays small.
constexpr auto kRoundAtMost = 60s;
constexpr int kRoundsOfALongRun = 12;

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void link_all(Plan& plan, Random& random) {
  const auto& dcs = plan.dcs;
  const auto link = [&](size_t a, size_t b) {
    plan.links.emplace_back(dcs[std::min(a, b)], dcs[std::max(a, b)]);
  };
  if (plan.kind == "circle") {
    for (size_t i = 0; i < dcs.size(); ++i) link(i, (i + 1) % dcs.size());
    plan.topology = "order: [" + list_of(dcs) + "]";
    if (random.chance(0.3)) plan.topology += ", both_ways: true";
  } else if (plan.kind == "star") {
    for (size_t i = 1; i < dcs.size(); ++i) link(0, i);
    plan.topology = "hub: " + dcs[0];
    if (random.chance(0.5)) {
      for (size_t i = 2; i < dcs.size(); ++i) link(1, i);
      plan.topology += ", backup_hub: " + dcs[1];
    }
  } else if (plan.kind == "all-to-all") {
    for (size_t i = 0; i < dcs.size(); ++i) {
      for (size_t j = i + 1; j < dcs.size(); ++j) link(i, j);
    }
  } else {  // a tree, often with one link more
    for (size_t i = 1; i < dcs.size(); ++i) link(random.below(i), i);
    std::string links;
    if (random.chance(0.7)) {
      const auto more = std::pair(dcs[0], dcs.back());
      if (std::find(plan.links.begin(), plan.links.end(), more) == plan.links.end()) {
        plan.links.push_back(more);
      }
    }
    for (const auto& [a, b] : plan.links) {
      links += (links.empty() ? "[" : ", [") + a + ", " + b + "]";
    }
    plan.topology = "links: [" + links + "]";
  }
  for (size_t i = 0; plan.kind != "links" && i < dcs.size(); ++i) {
    for (size_t j = i + 1; j < dcs.size(); ++j) {
      const auto pair = std::pair(dcs[i], dcs[j]);
      const bool drawn = std::find(plan.links.begin(), plan.links.end(), pair) != plan.links.end();
      if (!drawn) plan.spares.push_back(pair);
    }
  }
  plan.topology = "{kind: " + plan.kind + (plan.topology.empty() ? "" : ", ") + plan.topology +
                  ", failover_after: 500ms}";
}

int64_t draw_amount(Fault fault, Random& random) {
  switch (fault) {
    case Fault::kDelay:
      return random.between(5, 250);
    case Fault::kSlow:
      return random.between(4, 64) * 1'024;
    case Fault::kCut:
    case Fault::kFlip:
      return random.between(200, 8'000);
    case Fault::kClock:
      return random.between(-6'000, 6'000);
    default:
      return 0;
  }
}

milliseconds draw_length(Fault fault, Random& random) {
  const bool stopped = fault == Fault::kStop || fault == Fault::kKill;
  return milliseconds(random.between(200, stopped ? 2'500 : 3'000));
}

std::vector<Fault> all_but(const std::set<Fault>& without) {
  std::vector<Fault> out;
  for (size_t i = 0; i < kFaults; ++i) {
    if (!without.contains(static_cast<Fault>(i))) out.push_back(static_cast<Fault>(i));
  }
  return out;
}

// One after the other, on whatever is not hurt already. The first datacenter of an endurance run is
// never killed: its memory is that of the whole run.
std::vector<PlannedFault> draw_round(const Plan& plan, const Options& options, Random random) {
  std::vector<PlannedFault> out;
  std::map<std::string, milliseconds> hurt_until;
  std::vector<Fault> deck;  // so that each comes as often as the others
  for (milliseconds at{300};; at += milliseconds(random.between(50, 500))) {
    if (deck.empty()) deck = all_but(options.without);
    if (deck.empty()) return out;
    const size_t drawn = random.below(deck.size());
    PlannedFault f;
    f.fault = deck[drawn];
    f.at = at;
    f.lasts = draw_length(f.fault, random);
    f.amount = draw_amount(f.fault, random);
    f.back = random.chance(0.5);
    const bool spare = random.chance(0.2) && !plan.spares.empty();
    const auto& [a, b] = random.pick(spare ? plan.spares : plan.links);
    f.a = of_a_link(f.fault) ? a : random.pick(plan.dcs);
    f.b = of_a_link(f.fault) ? b : "";
    if (f.at + f.lasts >= plan.round) return out;
    const bool spared = options.endurance && f.fault == Fault::kKill && f.a == plan.dcs.front();
    auto& until = hurt_until[f.a + f.b];
    if (until > f.at || spared) continue;
    until = f.at + f.lasts + 200ms;
    deck.erase(deck.begin() + static_cast<int64_t>(drawn));
    out.push_back(std::move(f));
  }
}

}  // namespace

const char* to_string(Fault fault) { return kNames[static_cast<size_t>(fault)]; }

Plan draw_plan(const Options& options) {
  Random random(options.seed, "plan");
  Plan plan;
  const size_t drawn = 3 + random.below(3);
  const std::vector<std::string> names{"amber", "birch", "cedar", "delta", "ember"};
  plan.dcs.assign(names.begin(),
                  names.begin() + static_cast<int64_t>(options.nodes == 0 ? drawn : options.nodes));
  plan.kind = random.pick<std::string>({"circle", "star", "all-to-all", "links"});
  if (!options.topology.empty()) plan.kind = options.topology;
  link_all(plan, random);
  for (const auto& dc : plan.dcs) plan.priorities[dc] = static_cast<int>(random.below(4)) * 10;
  const milliseconds whole(options.lasts);
  const auto rounds =
      options.endurance ? std::max<int64_t>(kRoundsOfALongRun, whole / kRoundAtMost) : 1;
  plan.round = whole / rounds;
  for (int64_t i = 0; i < rounds; ++i) {
    plan.rounds.push_back(
        draw_round(plan, options, Random(options.seed, "round " + std::to_string(i))));
  }
  return plan;
}

std::string describe(const Plan& plan) {
  std::string out = "topology " + plan.topology + ", datacenters " + list_of(plan.dcs) + "\n";
  for (size_t i = 0; i < plan.rounds.size(); ++i) {
    if (plan.rounds.size() > 1) out += "round " + std::to_string(i + 1) + "\n";
    for (const auto& f : plan.rounds[i]) {
      char line[160];
      std::snprintf(line, sizeof line, "  %7.3f s  %-8s %s%s%s for %.3f s", f.at.count() / 1e3,
                    to_string(f.fault), f.a.c_str(),
                    f.b.empty() ? ""
                    : f.back    ? " <- "
                                : " -> ",
                    f.b.c_str(), f.lasts.count() / 1e3);
      out += line;
      if (f.amount != 0) out += ", " + std::to_string(f.amount);
      out += "\n";
    }
  }
  return out;
}

std::string replay_line(const Options& options, const Plan& plan) {
  std::string line = "chaos_tests --seed=" + std::to_string(options.seed) +
                     " --topology=" + plan.kind + " --nodes=" + std::to_string(plan.dcs.size()) +
                     " --clients=" + std::to_string(options.clients) +
                     " --seconds=" + std::to_string(options.lasts.count());
  if (options.endurance) line += " --endurance";
  std::string without;
  for (const Fault fault : options.without) {
    without += (without.empty() ? " --without=" : ",") + std::string(to_string(fault));
  }
  return line + without;
}

}  // namespace entente::chaos
