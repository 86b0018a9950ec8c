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
  yaml += "security: {insecure: true}\nschema_leader: a\n" + rest;
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
  auto other_leader = now;
  other_leader.schema_leader = "b";
  EXPECT_EQ(objections(now, other_leader).size(), 1u);
  auto other_slot = now;
  other_slot.datacenters[1].key_slot ^= 1;
  EXPECT_EQ(objections(now, other_slot).size(), 1u);
  const auto other_rules =
      parse("{kind: all-to-all}", {"a", "b", "c"}, "conflicts: {policy: priority}\n");
  EXPECT_EQ(objections(now, other_rules).size(), 1u);
  auto without_leader = now;
  without_leader.datacenters.erase(without_leader.datacenters.begin());
  EXPECT_EQ(objections(now, without_leader).size(), 1u);
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
