#include "topology/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace entente {
namespace {

using Names = std::vector<std::string>;
using Link = std::pair<std::string, std::string>;

Config config_of(Names names, TopologySpec spec) {
  Config config;
  config.cluster = "test";
  for (auto& name : names) {
    Datacenter dc;
    dc.name = std::move(name);
    config.rules.priorities[dc.name] = 0;
    config.datacenters.push_back(std::move(dc));
  }
  config.topology = std::move(spec);
  if (!config.datacenters.empty()) config.schema_leader = config.datacenters[0].name;
  return config;
}

Names names(size_t n) {
  Names out;
  for (size_t i = 0; i < n; ++i) out.push_back(std::string(1, static_cast<char>('a' + i)));
  return out;
}

TopologySpec circle(Names order, bool both_ways) {
  TopologySpec spec;
  spec.kind = TopologyKind::kCircle;
  spec.order = std::move(order);
  spec.both_ways = both_ways;
  return spec;
}

TopologySpec star(std::string hub, std::string backup) {
  TopologySpec spec;
  spec.kind = TopologyKind::kStar;
  spec.hub = std::move(hub);
  spec.backup_hub = std::move(backup);
  return spec;
}

TopologySpec links(std::vector<Link> list) {
  TopologySpec spec;
  spec.kind = TopologyKind::kLinks;
  spec.links = std::move(list);
  return spec;
}

// How many links a change of `origin` crosses on its way to `me`; absent if it never gets there.
std::optional<size_t> hops(const Graph& graph, std::string me, const std::string& origin) {
  for (size_t n = 0; n <= graph.datacenters().size(); ++n) {
    if (me == origin) return n;
    const auto next = graph.upstream(me, origin);
    if (!next) return std::nullopt;
    const auto& near = graph.neighbours(me);
    if (std::find(near.begin(), near.end(), *next) == near.end()) return std::nullopt;
    me = *next;
  }
  return std::nullopt;
}

// The invariant of Graph; returns the longest way.
size_t check_upstreams(const Graph& graph) {
  size_t longest = 0;
  for (const auto& me : graph.datacenters()) {
    EXPECT_FALSE(graph.upstream(me, me).has_value());
    const auto& near = graph.neighbours(me);
    EXPECT_TRUE(std::is_sorted(near.begin(), near.end()));
    EXPECT_EQ(std::adjacent_find(near.begin(), near.end()), near.end());
    for (const auto& origin : graph.datacenters()) {
      const auto way = hops(graph, me, origin);
      EXPECT_TRUE(way.has_value()) << me << " from " << origin;
      longest = std::max(longest, way.value_or(0));
    }
  }
  return longest;
}

std::vector<Link> random_links(const Names& dcs, std::mt19937& random) {
  std::vector<Link> out;
  for (size_t i = 1; i < dcs.size(); ++i) out.emplace_back(dcs[random() % i], dcs[i]);
  for (size_t i = 0; i < dcs.size(); ++i) {
    for (size_t j = i + 1; j < dcs.size(); ++j) {
      const Link link{dcs[i], dcs[j]};
      if (random() % 4 == 0 && std::find(out.begin(), out.end(), link) == out.end()) {
        out.push_back(link);
      }
    }
  }
  return out;
}

TEST(Graph, UpstreamsOfEveryKindEndAtTheOrigin) {
  std::mt19937 random(7);
  for (size_t n = 1; n <= 7; ++n) {
    for (int round = 0; round < 20; ++round) {
      Names dcs = names(n);
      std::shuffle(dcs.begin(), dcs.end(), random);
      SCOPED_TRACE(n);
      EXPECT_EQ(check_upstreams(Graph(config_of(dcs, circle(dcs, false)))), n - 1);
      EXPECT_EQ(check_upstreams(Graph(config_of(dcs, circle(dcs, true)))), n / 2);
      EXPECT_LE(check_upstreams(Graph(config_of(dcs, star(dcs[0], "")))), 2u);
      EXPECT_LE(check_upstreams(Graph(config_of(dcs, star(dcs[0], n > 1 ? dcs[1] : "")))), 2u);
      EXPECT_LE(check_upstreams(Graph(config_of(dcs, TopologySpec{}))), 1u);
      check_upstreams(Graph(config_of(dcs, links(random_links(dcs, random)))));
    }
  }
}

TEST(Graph, LinksAreSeenFromBothEnds) {
  std::mt19937 random(11);
  const Names dcs = names(6);
  const Graph graph(config_of(dcs, links(random_links(dcs, random))));
  for (const auto& a : dcs) {
    for (const auto& b : graph.neighbours(a)) {
      const auto& back = graph.neighbours(b);
      EXPECT_NE(std::find(back.begin(), back.end(), a), back.end());
      EXPECT_NE(Graph::dials(a, b), Graph::dials(b, a));
    }
  }
}

TEST(Graph, CircleTakesEverythingFromThePredecessor) {
  const Graph graph(config_of(names(4), circle({"d", "b", "a", "c"}, false)));
  EXPECT_EQ(graph.neighbours("b"), (Names{"a", "d"}));
  for (const std::string origin : {"d", "a", "c"}) EXPECT_EQ(graph.upstream("b", origin), "d");
  EXPECT_EQ(graph.upstream("d", "b"), "c");
}

TEST(Graph, CircleBothWaysTakesTheShorterAndOnATieThePredecessor) {
  const Graph graph(config_of(names(4), circle({"a", "b", "c", "d"}, true)));
  EXPECT_EQ(graph.upstream("a", "b"), "b");
  EXPECT_EQ(graph.upstream("a", "d"), "d");
  EXPECT_EQ(graph.upstream("a", "c"), "d");
}

TEST(Graph, StarPrefersTheHubThoughTheBackupIsLinkedWithEverybody) {
  const Graph graph(config_of(names(4), star("a", "b")));
  EXPECT_EQ(graph.neighbours("c"), (Names{"a", "b"}));
  EXPECT_EQ(graph.neighbours("b"), (Names{"a", "c", "d"}));
  EXPECT_EQ(graph.upstream("c", "b"), "a");
  EXPECT_EQ(graph.upstream("b", "c"), "a");
  EXPECT_EQ(graph.upstream("a", "c"), "c");
}

TEST(Graph, LinksTakeAShortestWayAndOnATieTheSmallerName) {
  const Graph graph(
      config_of(names(5), links({{"a", "c"}, {"a", "b"}, {"d", "b"}, {"c", "d"}, {"d", "e"}})));
  EXPECT_EQ(graph.upstream("a", "d"), "b");
  EXPECT_EQ(graph.upstream("d", "a"), "b");
  EXPECT_EQ(graph.upstream("a", "c"), "c");
  EXPECT_EQ(graph.upstream("e", "a"), "d");
}

TEST(Graph, UnknownDatacenterHasNoNeighboursAndNoUpstream) {
  const Graph graph(config_of(names(2), TopologySpec{}));
  EXPECT_TRUE(graph.neighbours("x").empty());
  EXPECT_FALSE(graph.upstream("x", "a").has_value());
  EXPECT_FALSE(graph.upstream("a", "x").has_value());
}

TEST(Graph, TrunkBetweenTwoStarsIsABridgeAndItsEndsAreSinglePoints) {
  const Graph graph(
      config_of(names(6), links({{"a", "c"}, {"a", "d"}, {"a", "b"}, {"b", "e"}, {"b", "f"}})));
  EXPECT_EQ(graph.single_points_of_failure(), (Names{"a", "b"}));
  EXPECT_EQ(graph.bridges(),
            (std::vector<Link>{{"a", "b"}, {"a", "c"}, {"a", "d"}, {"b", "e"}, {"b", "f"}}));
}

TEST(Graph, CircleWithASpurDependsOnlyOnTheSpur) {
  const Graph graph(config_of(names(4), links({{"a", "b"}, {"b", "c"}, {"c", "a"}, {"c", "d"}})));
  EXPECT_EQ(graph.single_points_of_failure(), (Names{"c"}));
  EXPECT_EQ(graph.bridges(), (std::vector<Link>{{"c", "d"}}));
}

TEST(Graph, HealingTopologiesHaveNoSinglePoints) {
  for (const auto& spec : {circle(names(4), false), star("a", "b"), TopologySpec{}}) {
    const Graph graph(config_of(names(4), spec));
    EXPECT_TRUE(graph.single_points_of_failure().empty());
    EXPECT_TRUE(graph.bridges().empty());
  }
  // Spare links take the place of a hub without a backup; of explicit links nothing does.
  const Graph lone_hub(config_of(names(4), star("a", "")));
  EXPECT_TRUE(lone_hub.single_points_of_failure().empty());
  EXPECT_TRUE(lone_hub.bridges().empty());
  const Graph tree(config_of(names(3), links({{"a", "b"}, {"a", "c"}})));
  EXPECT_EQ(tree.single_points_of_failure(), Names{"a"});
}

Graph::Gone gone(std::set<std::string> dcs) {
  return [dcs = std::move(dcs)](const std::string& dc) { return dcs.contains(dc); };
}

using Set = std::set<std::string>;

TEST(SpareLinks, OfACircleLeadPastWhoIsGoneToTheNearestEachWayRound) {
  for (const bool both_ways : {false, true}) {
    const Graph graph(config_of(names(6), circle({"a", "b", "c", "d", "e", "f"}, both_ways)));
    EXPECT_EQ(graph.spares("a"), (Names{"c", "d", "e"}));
    EXPECT_EQ(graph.needed_spares("a", gone({})), Set{});
    EXPECT_EQ(graph.needed_spares("a", gone({"b"})), Set{"c"});
    EXPECT_EQ(graph.needed_spares("a", gone({"f"})), Set{"e"});
    EXPECT_EQ(graph.needed_spares("a", gone({"b", "f"})), (Set{"c", "e"}));
    EXPECT_EQ(graph.needed_spares("a", gone({"b", "c"})), (Set{"c", "d"}));
    // Back at the neighbour on the other side there is nothing more to add.
    EXPECT_EQ(graph.needed_spares("a", gone({"b", "c", "d", "e"})), (Set{"c", "d", "e"}));
    EXPECT_EQ(graph.needed_spares("a", gone({"b", "c", "d", "e", "f"})), (Set{"c", "d", "e"}));
  }
}

TEST(SpareLinks, OfAStarJoinEverybodyOnceNoHubIsLeft) {
  const Graph with_backup(config_of(names(5), star("a", "b")));
  EXPECT_EQ(with_backup.needed_spares("c", gone({"a"})), Set{});
  EXPECT_EQ(with_backup.needed_spares("c", gone({"b"})), Set{});
  EXPECT_EQ(with_backup.needed_spares("c", gone({"a", "b"})), (Set{"d", "e"}));
  EXPECT_TRUE(with_backup.spares("a").empty());
  EXPECT_TRUE(with_backup.spares("b").empty());
  const Graph without(config_of(names(4), star("a", "")));
  EXPECT_EQ(without.needed_spares("c", gone({"a"})), (Set{"b", "d"}));
  EXPECT_TRUE(without.may_link("c", "d"));
}

TEST(SpareLinks, WhoeverRemainsOfACircleOrAStarIsConnected) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const size_t n = 3 + random() % 6;
    Names dcs = names(n);
    const Names all = dcs;
    std::shuffle(dcs.begin(), dcs.end(), random);
    auto spec = circle(dcs, random() % 2 == 0);
    if (random() % 2 == 0) spec = star(dcs[0], random() % 2 == 0 ? dcs[1] : "");
    const Graph graph(config_of(all, spec));
    Set dead;
    for (const auto& dc : dcs) {
      if (random() % 2 == 0) dead.insert(dc);
    }
    // Whom each of those alive can reach, from the first one on.
    Names next;
    for (const auto& dc : all) {
      if (next.empty() && !dead.contains(dc)) next.push_back(dc);
    }
    Set reached(next.begin(), next.end());
    while (!next.empty()) {
      const auto me = next.back();
      next.pop_back();
      Set linked = graph.needed_spares(me, gone(dead));
      linked.insert(graph.neighbours(me).begin(), graph.neighbours(me).end());
      for (const auto& dc : linked) {
        if (!dead.contains(dc) && reached.insert(dc).second) next.push_back(dc);
      }
    }
    EXPECT_EQ(reached.size() + dead.size(), n) << round;
  }
}

TEST(SpareLinks, AreNeitherForOtherKindsNorWithoutRerouting) {
  auto fixed = circle(names(5), false);
  fixed.reroute = false;
  for (const auto& spec :
       {fixed, TopologySpec{}, links({{"a", "b"}, {"b", "c"}, {"c", "d"}, {"d", "e"}})}) {
    const Graph graph(config_of(names(5), spec));
    for (const auto& me : names(5)) {
      EXPECT_TRUE(graph.spares(me).empty());
      EXPECT_TRUE(graph.needed_spares(me, gone({"a", "b", "c", "d", "e"})).empty());
    }
  }
}

TEST(Graph, WithoutReroutingEveryDatacenterOfACircleIsASinglePoint) {
  auto spec = circle(names(4), false);
  spec.reroute = false;
  const Graph graph(config_of(names(4), spec));
  EXPECT_EQ(graph.single_points_of_failure(), names(4));
  EXPECT_EQ(graph.bridges().size(), 4u);
  auto with_backup = star("a", "b");
  with_backup.reroute = false;
  EXPECT_EQ(Graph(config_of(names(4), with_backup)).single_points_of_failure(), Names{"a"});
}

TEST(Fingerprint, IsTheSameWhenOnlyTheSpellingDiffers) {
  const Config one = config_of(names(3), circle({"a", "b", "c"}, false));
  Config two = config_of(names(3), circle({"b", "c", "a"}, false));
  std::swap(two.datacenters[0], two.datacenters[2]);
  two.datacenters[1].peers.port = 99;
  two.limits.streams = 1;
  two.topology.failover_after = std::chrono::seconds(9);
  EXPECT_EQ(topology_fingerprint(one), topology_fingerprint(two));
  EXPECT_EQ(topology_fingerprint(one).size(), 32u);

  const auto forwards = config_of(names(2), links({{"a", "b"}}));
  EXPECT_EQ(topology_fingerprint(forwards),
            topology_fingerprint(config_of(names(2), links({{"b", "a"}}))));
}

TEST(Fingerprint, DiffersWithEverythingThatMustAgree) {
  const Config base = config_of(names(3), circle({"a", "b", "c"}, false));
  std::vector<Config> others(6, base);
  others[0].cluster = "other";
  others[1].topology.order = {"a", "c", "b"};
  others[2].topology.both_ways = true;
  others[3].schema_leader = "b";
  others[4].datacenters[2].name = "d";
  others[5].datacenters[2].key_slot = 7;
  for (const auto& other : others) {
    EXPECT_NE(topology_fingerprint(base), topology_fingerprint(other));
  }
}

}  // namespace
}  // namespace entente
