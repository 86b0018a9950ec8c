// Stores and Peers of a few datacenters in one process, over real sockets on loopback.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/integration/site.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"
#include "tests/support/tcp_proxy.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

VersionVector vector_of(const Committed& write) {
  VersionVector vv = write.applied;
  vv.advance(write.dot->origin, write.dot->seq);
  return vv;
}

void start(std::initializer_list<Site*> sites) {
  for (auto* site : sites) {
    const auto started = site->start();
    ASSERT_TRUE(started) << started.error().text;
  }
}

enum class Kind { kMemory, kSqlite };

class ReplicationOver : public ::testing::TestWithParam<Kind> {
 protected:
  std::filesystem::path folder() const {
    return GetParam() == Kind::kSqlite ? root_.path() : std::filesystem::path();
  }
  TemporaryFolder root_;
};

INSTANTIATE_TEST_SUITE_P(Databases, ReplicationOver,
                         ::testing::Values(Kind::kMemory, Kind::kSqlite), [](const auto& tested) {
                           return tested.param == Kind::kSqlite ? "Sqlite" : "Memory";
                         });

TEST_P(ReplicationOver, AWriteAtOneAppearsAtTheOther) {
  const auto config = loopback_config({"a", "b"});
  Site a(config, "a", folder()), b(config, "b", folder());
  start({&a, &b});
  ASSERT_TRUE(b.reaches(vector_of(a.put(1, "from a"))));
  EXPECT_EQ(b.note(1), "from a");
  ASSERT_TRUE(a.reaches(vector_of(b.put(1, "from b"))));
  EXPECT_EQ(a.note(1), "from b");
}

TEST(Replication, EveryTopologyOfThreeConverges) {
  for (const auto kind : {TopologyKind::kAllToAll, TopologyKind::kCircle, TopologyKind::kStar}) {
    auto config = loopback_config({"a", "b", "c"});
    config.topology.kind = kind;
    config.topology.hub = "b";
    Site a(config, "a"), b(config, "b"), c(config, "c");
    start({&a, &b, &c});
    ASSERT_TRUE(b.reaches(a.applied()) && c.reaches(a.applied()));
    VersionVector all;
    for (int64_t i = 0; i < 50; ++i) {
      all.join(vector_of(a.put(i, "a" + std::to_string(i))));
      all.join(vector_of(b.put(i % 10, "b" + std::to_string(i))));
      all.join(vector_of(c.put(i + 30, "c" + std::to_string(i))));
    }
    ASSERT_TRUE(a.reaches(all) && b.reaches(all) && c.reaches(all));
    for (int64_t i = 0; i < 80; ++i) {
      EXPECT_EQ(a.note(i), b.note(i));
      EXPECT_EQ(a.note(i), c.note(i));
      EXPECT_NE(a.note(i), "");
    }
  }
}

TEST_P(ReplicationOver, AGatewayThatWasAwayCatchesUpAndShipsWhatItHad) {
  const auto config = loopback_config({"a", "b"});
  Site a(config, "a", folder()), b(config, "b", folder());
  start({&a, &b});
  ASSERT_TRUE(b.reaches(vector_of(a.put(1, "before"))));
  a.stop();
  VersionVector all = vector_of(b.put(100, "while a was away"));
  ASSERT_TRUE(a.start());
  for (int64_t i = 0; i < 500; ++i) all.join(vector_of(a.put(i % 50, std::string(100, 'x'))));
  b.stop();
  for (int64_t i = 0; i < 500; ++i) all.join(vector_of(a.put(i % 50, std::string(100, 'y'))));
  ASSERT_TRUE(b.start());
  ASSERT_TRUE(a.reaches(all) && b.reaches(all));
  EXPECT_EQ(b.note(7), std::string(100, 'y'));
  EXPECT_EQ(a.note(100), "while a was away");
}

// More than one link window and one hot log: credit, log reads and back-pressure all take part.
TEST(Replication, ALongBacklogArrivesInSmallWindows) {
  auto config = loopback_config({"a", "b"});
  config.limits.link_window = 64 << 10;
  config.limits.batch_bytes = 16 << 10;
  config.limits.apply_bytes = 32 << 10;
  Site a(config, "a"), b(config, "b");
  start({&a});
  VersionVector all;
  for (int64_t i = 0; i < 3'000; ++i) all.join(vector_of(a.put(i, std::string(8'000, 'x'))));
  start({&b});
  ASSERT_TRUE(b.reaches(all, 60s));
  EXPECT_EQ(b.note(2'999).size(), 8'000u);
  EXPECT_EQ(b.note(0).size(), 8'000u);
}

TEST(Replication, ACutLinkResumesWithoutLossOrRepeat) {
  auto config = loopback_config({"a", "b"});
  TcpProxy proxy(config.datacenters[1].peers.port);
  auto through = config;
  through.datacenters[1].peers.port = static_cast<uint16_t>(proxy.port());
  Site a(through, "a"), b(config, "b");
  start({&a, &b});
  ASSERT_TRUE(b.reaches(a.applied()));
  VersionVector all;
  for (int64_t i = 0; i < 400; ++i) {
    if (i % 100 == 50) proxy.set_up(false);
    if (i % 100 == 75) proxy.set_up(true);
    all.join(vector_of(a.put(i, "a")));
    all.join(vector_of(b.put(1'000 + i, "b")));
  }
  ASSERT_TRUE(a.reaches(all) && b.reaches(all));
  EXPECT_EQ(a.applied(), b.applied());
}

TEST_P(ReplicationOver, TheLogIsTrimmedOnceEverybodyHasIt) {
  auto config = loopback_config({"a", "b"});
  config.limits.changes_retention = 0ms;
  Site a(config, "a", folder()), b(config, "b", folder());
  start({&a, &b});
  const auto write = a.put(1, "x");
  ASSERT_TRUE(b.reaches(vector_of(write)));
  const auto trimmed = [&] {
    const auto position = a.store().database().position_before(write.dot->origin, write.dot->seq);
    return !position && position.error().code == Code::kNotFound;
  };
  EXPECT_TRUE(comes_true(trimmed));
  ASSERT_TRUE(b.reaches(vector_of(a.put(2, "after"))));
  b.stop();
  ASSERT_TRUE(b.start());
  ASSERT_TRUE(b.reaches(vector_of(a.put(3, "after a restart"))));
}

TEST(Replication, APeerOfAnotherClusterOrTopologyIsRefusedAndSaysWhy) {
  const auto config = loopback_config({"a", "b"});
  for (const std::string differs : {"cluster", "topology", "rules"}) {
    auto other = config;
    if (differs == "cluster") other.cluster = "test";
    if (differs == "topology") {
      other.topology.kind = TopologyKind::kCircle;
      other.topology.order = {"b", "a"};
    }
    if (differs == "rules") other.rules.defaults.policy.kind = PolicyKind::kSiblings;
    Site a(config, "a"), b(other, "b");
    start({&a, &b});
    const auto refused = [&](const LinkView& l) {
      return l.state == LinkState::kRefused && l.reason.find(differs) != std::string::npos;
    };
    EXPECT_TRUE(a.link_becomes("b", refused)) << a.link("b").reason;
    EXPECT_TRUE(b.link_becomes("a", refused)) << b.link("a").reason;
    a.put(1, "still writable");
    EXPECT_EQ(a.note(1), "still writable");
  }
}

TEST(Replication, ACopyOfADatabaseThatWentAnotherWayIsAFork) {
  const auto config = loopback_config({"a", "b"});
  Site a(config, "a"), b(config, "b");
  start({&a, &b});
  ASSERT_TRUE(b.reaches(vector_of(a.put(1, "x"))));
  // Another `a`, with an empty disk, under the incarnation that b knows.
  const Origin self = a.store().opened().self;
  a.stop();
  DatabaseOptions options;
  options.dc = "a";
  options.fresh_origin = self;
  options.schema_leader_name = "a";
  options.wall_ms = 1'700'000'000'000;
  const Graph graph(config);
  Store store(open_memory(make_memory_disk(), options), config.limits, [](Error) {});
  Peers peers(config, graph, "a", store);
  ASSERT_TRUE(store.start() && peers.start());
  const auto refused = [](const LinkView& l) {
    return l.state == LinkState::kRefused && l.reason.find("restored copy") != std::string::npos;
  };
  const auto view = [&] {
    std::promise<PeersView> answer;
    peers.view([&](PeersView v) { answer.set_value(std::move(v)); });
    return answer.get_future().get().links.at(0);
  };
  EXPECT_TRUE(comes_true([&] { return refused(view()); }))
      << to_string(view().state) << " " << view().reason;
  peers.stop();
  store.stop();
}

TEST(Replication, GarbageOnThePeerPortDoesNoHarm) {
  const auto config = loopback_config({"a", "b"});
  Site a(config, "a"), b(config, "b");
  start({&a, &b});
  ASSERT_TRUE(a.link_up("b") && b.link_up("a"));
  std::minstd_rand random(5);
  for (int i = 0; i < 50; ++i) {
    std::string noise(1 + random() % 5'000, '\0');
    for (auto& c : noise) c = static_cast<char>(random());
    HttpClient(b.peers().port()).raw(noise + "\r\n\r\n");
  }
  ASSERT_TRUE(b.reaches(vector_of(a.put(1, "still here"))));
  EXPECT_EQ(a.link("b").traffic.duplicates, 0u);
}

// The figures of DESIGN.md §10 are tests/bench's; here only that nothing waits for a timer.
TEST_P(ReplicationOver, AnIdleLinkCarriesAWriteAtOnce) {
  const auto config = loopback_config({"a", "b"});
  Site a(config, "a", folder()), b(config, "b", folder());
  start({&a, &b});
  ASSERT_TRUE(b.reaches(vector_of(a.put(0, "warm"))));
  std::vector<double> lags;
  for (int64_t i = 0; i < 200; ++i) {
    const auto write = a.put(i, "x");
    const auto replied = Store::Clock::now();
    ASSERT_TRUE(b.reaches(vector_of(write)));
    lags.push_back(
        std::chrono::duration<double, std::milli>(Store::Clock::now() - replied).count());
  }
  std::sort(lags.begin(), lags.end());
  RecordProperty("lag_p50_us", static_cast<int>(lags[100] * 1'000));
  RecordProperty("lag_p99_us", static_cast<int>(lags[198] * 1'000));
  EXPECT_LT(lags[100], 5.0);
}

}  // namespace
}  // namespace entente::testing
