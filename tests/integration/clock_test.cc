// A gateway whose wall clock runs ahead, and is then set right. Its clock really is shifted: see
// tests/support/preload.

#include <gtest/gtest.h>

#include "tests/integration/operations_view.h"
#include "tests/support/cluster.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kShift = 6s;

class WrongClock : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer must come before what is preloaded";
#endif
    cluster_.shift_clock("a", 0ms);
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) ASSERT_TRUE(cluster_.wait_ready(dc));
    ASSERT_TRUE(cluster_.wait_converged({}, 20));
  }

  Json status(const std::string& dc) { return page(cluster_.port(dc), "/v1/status"); }
  void write(const std::string& dc, const std::string& id) {
    const auto answer = sql(cluster_.port(dc), "INSERT INTO t VALUES ('" + id + "')");
    ASSERT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  }
  bool is_there(const std::string& dc, const std::string& id) {
    return has(sql(cluster_.port(dc), "SELECT id FROM t WHERE id = '" + id + "'"),
               "\"value\":\"" + id + "\"");
  }
  bool waits(const std::string& at, const std::string& of) {
    const Json standing = entry(status(at), "datacenters", "dc", of);
    return text_of(standing, "link") == "up" &&
           has(text_of(standing, "route_reason"), "ahead of the clock here");
  }

  Cluster cluster_{{{"a", "b", "c"},
                    "{kind: all-to-all, failover_after: 200ms}",
                    "CREATE TABLE t (id TEXT PRIMARY KEY);",
                    "schema_leader: b\nclock: {max_drift: 500ms}\n"
                    "limits: {heartbeat: 100ms, link_timeout: 2s, reconnect_max: 200ms}\n"}};
};

TEST_F(WrongClock, ItIsRefusedAndToldAndComesBackByItselfOnceTimeHasCaughtUp) {
  cluster_.shift_clock("a", kShift);
  write("a", "from the future");
  EXPECT_TRUE(comes_true([&] { return waits("b", "a") && waits("c", "a"); }));
  // Its own status tells, too, once they have met again.
  EXPECT_TRUE(comes_true([&] { return noted(status("a"), "The clock of a is "); }));
  EXPECT_FALSE(flag(status("a"), "healthy"));
  EXPECT_FALSE(is_there("b", "from the future"));  // not clamped, not taken: it waits

  write("b", "of a sane clock");  // the others go on, and it hears them
  EXPECT_TRUE(comes_true([&] { return is_there("c", "of a sane clock"); }));
  EXPECT_TRUE(comes_true([&] { return is_there("a", "of a sane clock"); }));

  cluster_.shift_clock("a", 0ms);
  write("a", "after it was set right");  // stamped after what it wrote before
  const Json told = status("a");
  const Json clock = *told.find("clock");
  EXPECT_GT(number(clock, "ahead_seconds"), 0.5);
  EXPECT_GT(number(clock, "accepted_again_ms"), 1'700'000'000'000);
  EXPECT_TRUE(noted(told, "Peers accept its changes again at 20"));
  EXPECT_FALSE(is_there("b", "after it was set right"));

  for (const std::string dc : {"b", "c"}) {
    EXPECT_TRUE(comes_true([&] { return is_there(dc, "after it was set right"); }));
    EXPECT_TRUE(is_there(dc, "from the future"));
  }
  for (const auto& dc : cluster_.dcs()) {
    EXPECT_TRUE(comes_true([&] { return flag(status(dc), "healthy"); })) << dc;
  }
  EXPECT_EQ(number(*status("a").find("clock"), "ahead_seconds"), 0);
  EXPECT_TRUE(cluster_.wait_converged(cluster_.applied("a"), 20));
}

}  // namespace
}  // namespace entente::testing
