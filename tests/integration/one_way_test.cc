// A network that loses one direction: one gateway hears the other and is not heard.

#include <gtest/gtest.h>

#include "tests/integration/site.h"
#include "tests/support/expect.h"
#include "tests/support/tcp_proxy.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Way = TcpProxy::Way;

VersionVector vector_of(const Committed& write) {
  VersionVector vv = write.applied;
  vv.advance(write.dot->origin, write.dot->seq);
  return vv;
}

Replica::OriginStatus origin_at(Site& site, const std::string& dc) {
  for (auto& origin : site.view().origins) {
    if (origin.dc == dc) return origin;
  }
  return {};
}

bool upstream_becomes(Site& site, const std::string& origin, const std::string& neighbour) {
  return comes_true([&] { return origin_at(site, origin).upstream == neighbour; });
}

bool is_down(const LinkView& link) { return !is_up(link.state); }

class OneWay : public ::testing::TestWithParam<Way> {};

INSTANTIATE_TEST_SUITE_P(Ways, OneWay, ::testing::Values(Way::kToTarget, Way::kFromTarget),
                         [](const auto& tested) {
                           return tested.param == Way::kToTarget ? "AcceptorHearsNothing"
                                                                 : "DiallerHearsNothing";
                         });

TEST_P(OneWay, BothSidesSeeTheLinkDownAndTheirChangesGoRoundIt) {
  auto config = loopback_config({"a", "b", "c"});
  config.topology.failover_after = 200ms;
  TcpProxy proxy(config.datacenters[1].peers.port);  // a dials b
  auto through = config;
  through.datacenters[1].peers.port = static_cast<uint16_t>(proxy.port());
  Site a(through, "a"), b(config, "b"), c(config, "c");
  for (auto* site : {&a, &b, &c}) ASSERT_TRUE(site->start());
  VersionVector before = vector_of(a.put(1, "before"));
  ASSERT_TRUE(b.reaches(before) && c.reaches(before));
  before.join(vector_of(b.put(2, "before")));
  ASSERT_TRUE(a.reaches(before));
  EXPECT_EQ(origin_at(b, "a").upstream, "a");

  proxy.block(GetParam(), true);
  EXPECT_TRUE(a.link_becomes("b", is_down) && b.link_becomes("a", is_down));
  VersionVector during = vector_of(a.put(3, "round it"));
  during.join(vector_of(b.put(4, "round it")));
  ASSERT_TRUE(a.reaches(during) && b.reaches(during) && c.reaches(during));
  EXPECT_EQ(b.note(3), "round it");
  EXPECT_TRUE(is_down(a.link("b")) && is_down(b.link("a")));  // neither took the half for a whole
  EXPECT_EQ(origin_at(b, "a").upstream, "c");
  EXPECT_EQ(origin_at(b, "a").preferred, "a");
  EXPECT_EQ(origin_at(b, "a").detour, Replica::Detour::kLinkDown);

  proxy.block(GetParam(), false);
  EXPECT_TRUE(a.link_up("b") && b.link_up("a"));
  EXPECT_TRUE(upstream_becomes(b, "a", "a") && upstream_becomes(a, "b", "b"));
  VersionVector after = vector_of(a.put(5, "after"));
  after.join(vector_of(b.put(6, "after")));
  EXPECT_TRUE(a.reaches(after) && b.reaches(after) && c.reaches(after));
}

// Without another way the changes wait, and arrive once both directions are there again.
TEST_P(OneWay, WithoutAWayRoundChangesWait) {
  const auto config = loopback_config({"a", "b"});
  TcpProxy proxy(config.datacenters[1].peers.port);
  auto through = config;
  through.datacenters[1].peers.port = static_cast<uint16_t>(proxy.port());
  Site a(through, "a"), b(config, "b");
  ASSERT_TRUE(a.start() && b.start());
  ASSERT_TRUE(b.reaches(vector_of(a.put(1, "before"))));
  proxy.block(GetParam(), true);
  EXPECT_TRUE(a.link_becomes("b", is_down) && b.link_becomes("a", is_down));
  VersionVector all = vector_of(a.put(2, "waits"));
  all.join(vector_of(b.put(3, "waits")));
  proxy.block(GetParam(), false);
  ASSERT_TRUE(a.reaches(all) && b.reaches(all));
  EXPECT_EQ(a.applied(), b.applied());
}

}  // namespace
}  // namespace entente::testing
