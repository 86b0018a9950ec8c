// What /v1/status, /v1/links and /metrics say of a ring with a dead link, and with a dead
// datacenter.

#include <gtest/gtest.h>

#include "tests/integration/operations_view.h"
#include "tests/support/cluster.h"

namespace entente::testing {
namespace {

const char* const kSchema = "CREATE TABLE t (id TEXT PRIMARY KEY, note TEXT);";
const char* const kLimits = "limits: {heartbeat: 100ms, link_timeout: 1s, reconnect_max: 100ms}\n";

std::string insert(const std::string& id) {
  return "INSERT INTO t VALUES ('" + id + "', 'some text')";
}

std::string metrics(int port) {
  HttpClient client(port);
  return client.request("GET", "/metrics").body;
}

// A ring a → b → c → a, so that b takes a's changes from a; the link of a and b through a proxy.
class StatusOfARing : public ::testing::Test {
 protected:
  void start(const std::string& reroute) {
    cluster_.emplace(Cluster::Options{
        {"a", "b", "c"},
        "{kind: circle, order: [a, b, c], failover_after: 200ms, reroute: " + reroute + "}",
        kSchema,
        kLimits});
    cluster_->proxy("a", "b");
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
    ASSERT_TRUE(cluster_->wait_converged({}, 20));
  }
  Json status(const std::string& dc) { return page(cluster_->port(dc), "/v1/status"); }
  Json links(const std::string& dc) { return page(cluster_->port(dc), "/v1/links"); }
  void write(const std::string& dc, const std::string& id) {
    const auto answer = sql(cluster_->port(dc), insert(id));
    ASSERT_TRUE(has(answer, "\"type\":\"ok\"")) << answer;
  }
  // b's route for a's changes.
  Json route() { return entry(status("b"), "datacenters", "dc", "a"); }

  std::optional<Cluster> cluster_;
};

TEST_F(StatusOfARing, ADeadLinkShowsTheRouteThePreferredOneAndWhyTheyDiffer) {
  start("true");
  EXPECT_EQ(text_of(route(), "route"), "a");
  EXPECT_EQ(text_of(route(), "route_reason"), "");
  EXPECT_TRUE(flag(status("b"), "healthy"));
  EXPECT_TRUE(flag(status("b"), "reroute"));

  cluster_->proxy("a", "b").set_up(false);
  ASSERT_TRUE(comes_true([&] { return text_of(route(), "link") != "up"; }));
  write("a", "round the ring");
  ASSERT_TRUE(comes_true([&] { return text_of(route(), "route") == "c"; }));
  const Json seen = status("b"), listed = links("b");
  const Json of_a = entry(seen, "datacenters", "dc", "a");
  EXPECT_EQ(text_of(of_a, "preferred"), "a");
  EXPECT_TRUE(has(text_of(of_a, "route_reason"), "the link to a is down since 20"))
      << text_of(of_a, "route_reason");
  EXPECT_FALSE(flag(seen, "healthy"));
  EXPECT_TRUE(has(text_of(seen, "verdict"), "no link to a"));
  EXPECT_TRUE(noted(seen, "Changes of a come from c rather than a: the link to a is down"));
  for (const Json& answer : {seen, listed}) {  // the same in both
    const Json origin = entry(answer, "origins", "dc", "a");
    EXPECT_EQ(text_of(origin, "upstream"), "c");
    EXPECT_EQ(text_of(origin, "preferred"), "a");
    EXPECT_EQ(text_of(origin, "route_reason"), text_of(of_a, "route_reason"));
    EXPECT_GE(number(origin, "lag_seconds"), 0);
    EXPECT_GE(number(origin, "behind"), 0);
    EXPECT_NE(text_of(entry(answer, "links", "peer", "a"), "state"), "up");
  }
  const std::string measured = metrics(cluster_->port("b"));
  EXPECT_TRUE(has(measured, "entente_origin_rerouted{dc=\"a\",origin=\"" +
                                text_of(entry(seen, "origins", "dc", "a"), "origin") + "\"} 1"));
  EXPECT_TRUE(has(measured, "entente_link_up{peer=\"a\"} 0"));

  cluster_->proxy("a", "b").set_up(true);
  EXPECT_TRUE(comes_true([&] { return text_of(route(), "route") == "a"; }));
  EXPECT_TRUE(comes_true([&] { return flag(status("b"), "healthy"); }));
  EXPECT_EQ(text_of(route(), "route_reason"), "");
}

TEST_F(StatusOfARing, WithoutRerouteItSaysSoAndThatChangesWait) {
  start("false");
  cluster_->proxy("a", "b").set_up(false);
  write("a", "waits");
  ASSERT_TRUE(comes_true([&] { return text_of(route(), "link") != "up"; }));
  const Json seen = status("b");
  EXPECT_FALSE(flag(seen, "reroute"));
  EXPECT_TRUE(noted(seen, "Rerouting is off"));
  EXPECT_TRUE(has(text_of(route(), "route_reason"), "reroute is off"));
  EXPECT_EQ(text_of(route(), "route"), "");
  EXPECT_TRUE(has(metrics(cluster_->port("b")), "entente_reroute_enabled 0"));
}

TEST_F(StatusOfARing, ADeadDatacenterIsNamedAsWhatTheLogIsKeptFor) {
  start("true");
  ASSERT_TRUE(comes_true([&] {
    const Json log = *status("a").find("log");
    return log.find("kept_for")->array()->empty() && number(log, "records") == 0;
  }));
  cluster_->kill("c");
  for (int i = 0; i < 5; ++i) write("a", std::to_string(i));
  ASSERT_TRUE(comes_true([&] {  // b has them, c never will
    const Json log = *status("a").find("log");
    return log.find("kept_for")->array()->size() == 1;
  }));
  ASSERT_TRUE(comes_true([&] { return noted(status("a"), "The log is kept for c"); }));
  const Json log = *status("a").find("log");
  EXPECT_EQ(number(entry(log, "kept_for", "dc", "c"), "behind"), 5);
  EXPECT_EQ(number(log, "records"), 5);
  EXPECT_EQ(number(log, "head") - number(log, "needed_after"), 5);
  EXPECT_TRUE(has(text_of(log, "reason"), "for c, which has not applied 5 of the changes here"));
  EXPECT_TRUE(has(metrics(cluster_->port("a")), "entente_log_kept_for{dc=\"c\"} 5"));
}

TEST_F(StatusOfARing, TrafficShowsAsRatesThatFadeAway) {
  start("true");
  for (int i = 0; i < 20; ++i) write("a", std::to_string(i));
  const auto to_b = [&] { return entry(links("a"), "links", "peer", "b"); };
  ASSERT_TRUE(comes_true([&] { return number(to_b(), "sent_changes_per_second") > 0; }));
  ASSERT_TRUE(comes_true([&] { return number(to_b(), "round_trip_ms") > 0; }));
  const Json link = to_b();
  EXPECT_GT(number(link, "sent_bytes_per_second"), 20 * number(link, "sent_changes_per_second"));
  EXPECT_LT(std::abs(number(link, "clock_offset_ms")), 1'000);
  EXPECT_TRUE(comes_true([&] {
    return number(entry(links("b"), "links", "peer", "a"), "received_changes_per_second") > 0;
  }));
  EXPECT_TRUE(comes_true([&] { return number(to_b(), "sent_changes_per_second") == 0; }));
  EXPECT_EQ(number(to_b(), "sent_bytes_per_second"), 0);
}

}  // namespace
}  // namespace entente::testing
