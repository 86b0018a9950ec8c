// A link that is up and carries next to nothing.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/integration/site.h"
#include "tests/support/expect.h"
#include "tests/support/tcp_proxy.h"

namespace entente::testing {
namespace {

std::string incompressible(size_t bytes) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < bytes) text.push_back(static_cast<char>('a' + random() % 26));
  return text;
}

// b answers a: what c needs of a's for that comes over b, long before the link to a has it.
TEST(SlowLink, HoldsUpNothingThatCameByAnother) {
  auto config = loopback_config({"a", "b", "c"});
  TcpProxy proxy(config.datacenters[2].peers.port);  // a dials c
  auto through = config;
  through.datacenters[2].peers.port = static_cast<uint16_t>(proxy.port());
  Site a(through, "a"), b(config, "b"), c(config, "c");
  for (auto* site : {&a, &b, &c}) ASSERT_TRUE(site->start());
  ASSERT_TRUE(a.link_up("b") && a.link_up("c") && b.link_up("c"));

  proxy.slow_down(1000);
  const auto began = std::chrono::steady_clock::now();
  const auto cause = a.put(1, incompressible(100'000));
  VersionVector both;
  both.advance(cause.dot->origin, cause.dot->seq);
  ASSERT_TRUE(b.reaches(both));
  const auto effect = b.put(2, "having seen it");
  both.advance(effect.dot->origin, effect.dot->seq);
  EXPECT_TRUE(c.reaches(both));
  EXPECT_LT(std::chrono::steady_clock::now() - began, config.topology.failover_after);
  EXPECT_EQ(c.link("a").state, LinkState::kUp);
}

}  // namespace
}  // namespace entente::testing
