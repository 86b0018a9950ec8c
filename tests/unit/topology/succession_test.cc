#include "topology/succession.h"

#include <gtest/gtest.h>

#include "topology/graph.h"
#include "topology/loader.h"

namespace entente {
namespace {

Config parse(const std::string& topology, const std::vector<std::string>& dcs,
             const std::string& rest = "") {
  std::string yaml = "cluster: shop\ntopology: " + topology + "\ndatacenters:\n";
  int port = 7400;
  for (const auto& dc : dcs) {
    const auto address = [&] { return "127.0.0.1:" + std::to_string(port++); };
    yaml += "  " + dc + ": {peers: \"ws://" + address() + "\", ";
    yaml += "clients: \"" + address() + "\"}\n";
  }
  const bool leads = rest.find("schema_leader") != std::string::npos;
  yaml += "security: {insecure: true}\n" + std::string(leads ? "" : "schema_leader: a\n") + rest;
  auto loaded = load_config(yaml, {}, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(loaded.config) << (loaded.problems.empty() ? "" : loaded.problems[0].text);
  return std::move(*loaded.config);
}

using Links = TopologyChange::Links;

TEST(Succession, TheSameIsNoChange) {
  const auto now = parse("{kind: star, hub: a}", {"a", "b", "c"});
  EXPECT_TRUE(difference(now, now).empty());
  EXPECT_TRUE(objections(now, now).empty());
}

TEST(Succession, SaysWhatItAddsAndTakesAway) {
  const auto now = parse("{kind: star, hub: a}", {"a", "b", "c"});
  const auto next = parse("{kind: all-to-all}", {"a", "b", "d"});
  const auto change = difference(now, next);
  EXPECT_EQ(change.added, (std::vector<std::string>{"d"}));
  EXPECT_EQ(change.removed, (std::vector<std::string>{"c"}));
  EXPECT_EQ(change.links_added, (Links{{"a", "d"}, {"b", "d"}}));
  EXPECT_EQ(change.links_removed, (Links{{"a", "c"}}));
  EXPECT_EQ(change.shape, "star to all-to-all");
  EXPECT_FALSE(change.empty());
}

TEST(Succession, AnotherWayOverTheSameLinksIsAChange) {
  const auto now = parse("{kind: circle, order: [a, b, c]}", {"a", "b", "c"});
  const auto next = parse("{kind: circle, order: [a, c, b]}", {"a", "b", "c"});
  const auto change = difference(now, next);
  EXPECT_TRUE(change.links_added.empty());
  EXPECT_TRUE(change.other);
}

TEST(Succession, TakesTheTopologyAndNothingElse) {
  auto now = parse("{kind: star, hub: a}", {"a", "b"}, "limits: {readers: 7}\n");
  now.datacenters[0].database_path = "/var/lib/here.db";
  const auto next = parse("{kind: all-to-all}", {"a", "b", "c"}, "limits: {readers: 3}\n");
  const auto config = succeed(now, next, 4);
  EXPECT_EQ(config.epoch, 4u);
  EXPECT_EQ(config.topology.kind, TopologyKind::kAllToAll);
  EXPECT_EQ(config.limits.readers, 7u);
  EXPECT_EQ(config.find("a")->database_path, "/var/lib/here.db");
  EXPECT_NE(config.find("c"), nullptr);
}

TEST(Succession, EachEpochHasItsOwnFingerprint) {
  const auto now = parse("{kind: star, hub: a}", {"a", "b"});
  const auto first = succeed(now, now, 1), second = succeed(now, now, 2);
  EXPECT_NE(topology_fingerprint(now), topology_fingerprint(first));
  EXPECT_NE(topology_fingerprint(first), topology_fingerprint(second));
}

TEST(Succession, RefusesWhatAClusterCannotGoOverToWhileItRuns) {
  const auto now = parse("{kind: all-to-all}", {"a", "b", "c"});
  auto other_cluster = now;
  other_cluster.cluster = "bank";
  EXPECT_EQ(objections(now, other_cluster).size(), 1u);
  auto other_slot = now;
  other_slot.datacenters[1].key_slot ^= 1;
  EXPECT_EQ(objections(now, other_slot).size(), 1u);
  const auto other_rules =
      parse("{kind: all-to-all}", {"a", "b", "c"}, "conflicts: {policy: priority}\n");
  EXPECT_EQ(objections(now, other_rules).size(), 1u);
}

Config without(Config config, const std::string& dc) {
  std::erase_if(config.datacenters, [&](const Datacenter& d) { return d.name == dc; });
  return config;
}

TEST(Succession, ALeaderIsReplacedByWhomTheFileNames) {
  const auto now = parse("{kind: all-to-all}", {"a", "b", "c"});
  const auto next = parse("{kind: all-to-all}", {"b", "c"}, "schema_leader: c\n");
  EXPECT_TRUE(objections(now, next).empty());
  EXPECT_EQ(difference(now, next).leader, "a to c");
  EXPECT_EQ(succeed(now, next, 1).schema_leader, "c");
  EXPECT_NE(topology_fingerprint(succeed(now, now, 1)),
            topology_fingerprint(succeed(
                now, parse("{kind: all-to-all}", {"a", "b", "c"}, "schema_leader: c\n"), 1)));
}

// The first datacenter of a file leads a new cluster, not one that has a leader.
TEST(Succession, AFileThatNamesNoLeaderLeavesTheLeaderAsItIs) {
  const auto now = parse("{kind: all-to-all}", {"a", "b", "c"}, "schema_leader: b\n");
  auto next = parse("{kind: all-to-all}", {"a", "b"});
  next.names_leader = false;
  EXPECT_TRUE(objections(now, next).empty());
  EXPECT_EQ(difference(now, next).leader, "");
  EXPECT_EQ(succeed(now, next, 1).schema_leader, "b");
  EXPECT_EQ(objections(now, without(next, "b")).size(), 1u);
}

TEST(Succession, WhatTheClusterHasGoneOverToIsOnlyContradictedByAnotherCluster) {
  const auto file = parse("{kind: all-to-all}", {"a", "b"}, "conflicts: {policy: siblings}\n");
  const auto next = parse("{kind: all-to-all}", {"b", "c"}, "schema_leader: c\n");
  EXPECT_FALSE(objections(file, next).empty());
  EXPECT_TRUE(contradictions(file, next).empty());
  auto other = next;
  other.cluster = "bank";
  EXPECT_EQ(contradictions(file, other).size(), 1u);
  const auto config = under(file, next, 3, "");
  EXPECT_EQ(config.rules.defaults.policy.kind, PolicyKind::kSiblings);
  EXPECT_EQ(config.schema_leader, "c");
  EXPECT_EQ(config.epoch, 3u);
}

// Priorities came with the topology; those of a file that is newer than that count again.
TEST(Succession, PrioritiesAreTheFilesOnceTheFileIsAnother) {
  const auto before = parse("{kind: all-to-all}", {"a", "b"});
  auto next = parse("{kind: all-to-all}", {"a", "b", "c"});
  for (size_t i = 0; i < 3; ++i) next.rules.priorities[next.datacenters[i].name] = 10;
  const auto had = rules_fingerprint(before);
  EXPECT_EQ(under(before, next, 1, had).rules.priorities.at("a"), 10);
  auto file = before;
  file.rules.priorities["a"] = file.datacenters[0].priority = 7;
  const auto config = under(file, next, 1, had);
  EXPECT_EQ(config.rules.priorities.at("a"), 7);
  EXPECT_EQ(config.rules.priorities.at("c"), 10);  // it knows nothing of c
  // One whose rules are others than that topology's was written later.
  file = parse("{kind: all-to-all}", {"a", "b"}, "conflicts: {policy: siblings}\n");
  EXPECT_EQ(under(file, next, 1, rules_fingerprint(file)).rules.priorities.at("a"), 0);
}

TEST(Succession, PrioritiesMayChangeWithTheDatacenters) {
  const auto now = parse("{kind: all-to-all}", {"a", "b", "c"});
  auto next = now;
  next.rules.priorities["b"] = 9;
  next.datacenters[1].priority = 9;
  EXPECT_TRUE(objections(now, next).empty());
  EXPECT_TRUE(difference(now, next).other);
  EXPECT_EQ(succeed(now, next, 1).rules.priorities.at("b"), 9);
}

}  // namespace
}  // namespace entente
