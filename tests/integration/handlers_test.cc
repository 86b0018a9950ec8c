// A handler that fails at real gateways, and what becomes of it when somebody repairs it.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <fstream>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

std::string get(int port, const std::string& path) {
  HttpClient client(port);
  return client.request("GET", path).body;
}

std::string open_conflicts(int port) { return get(port, "/v1/conflicts?state=open"); }

void put(int port, const std::string& key, const std::string& bid) {
  HttpClient client(port);
  const auto response =
      client.request("PUT", "/v1/tables/auctions/rows/" + key, R"({"row":{"bid":)" + bid + "}}",
                     "Content-Type: application/json\r\n");
  ASSERT_EQ(response.status, 200) << response.body;
}

std::string bid_at(int port, const std::string& key) {
  std::string body = get(port, "/v1/tables/auctions/rows/" + key);
  simdjson::dom::parser parser;
  const auto parsed = parser.parse(body);
  simdjson::dom::element bid;
  if (parsed["row"]["bid"].get(bid) != simdjson::SUCCESS) return body;
  return simdjson::minify(bid);
}

class FailingHandler : public ::testing::Test {
 protected:
  void write_handler(const std::string& text) {
    std::ofstream(cluster_.folder() / "highest.lua") << text;
  }

  void start() {
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) {
      ASSERT_TRUE(cluster_.wait_ready(dc)) << cluster_.output(dc);
    }
  }

  Cluster cluster_{
      {{"amber", "birch"},
       "{kind: all-to-all}",
       "CREATE TABLE auctions (id TEXT PRIMARY KEY, bid INTEGER);",
       "tables:\n"
       "  auctions: {policy: handler, handler: highest, run: write, granularity: row}\n"
       "handlers:\n"
       "  highest: {lua: highest.lua}\n"}};
};

TEST_F(FailingHandler, LeavesAnOpenConflictAlarmsAndIsAskedAgainWhenItIsRepaired) {
  write_handler("function resolve(conflict) error('no opinion today') end\n");
  TcpProxy& link = cluster_.proxy("amber", "birch");
  start();
  ASSERT_TRUE(cluster_.wait_converged({}, 20));
  const int amber = cluster_.port("amber"), birch = cluster_.port("birch");
  link.set_up(false);
  put(amber, "1", "70");
  std::this_thread::sleep_for(5ms);  // in one millisecond, counters decide which is the newer
  put(birch, "1", "50");             // this one, and what SQL shows while nobody decides
  link.set_up(true);

  for (const int port : {amber, birch}) {
    ASSERT_TRUE(comes_true([&] {
      return open_conflicts(port).find("no opinion today") != std::string::npos;
    })) << open_conflicts(port);
    EXPECT_EQ(bid_at(port, "1"), "50");
    ASSERT_TRUE(comes_true([&] {
      return get(port, "/metrics").find("entente_handlers_failed 1") != std::string::npos;
    })) << get(port, "/metrics");
  }
  EXPECT_NE(cluster_.output("amber").find("handlers_failed conflicts=1"), std::string::npos)
      << cluster_.output("amber");
  put(amber, "2", "10");  // the stream flows on
  ASSERT_TRUE(comes_true([&] { return bid_at(birch, "2") == "10"; }));

  for (const auto& dc : cluster_.dcs()) EXPECT_EQ(cluster_.stop(dc), 0) << cluster_.output(dc);
  write_handler(
      "function resolve(conflict)\n"
      "  local best = 1\n"
      "  for i, s in ipairs(conflict.siblings) do\n"
      "    if s.row.bid > conflict.siblings[best].row.bid then best = i end\n"
      "  end\n"
      "  return {pick = best}\n"
      "end\n");
  start();
  for (const auto& dc : cluster_.dcs()) {
    const int port = cluster_.port(dc);
    ASSERT_TRUE(comes_true([&] { return bid_at(port, "1") == "70"; })) << bid_at(port, "1");
    EXPECT_EQ(open_conflicts(port).find("no opinion today"), std::string::npos);
    const std::string resolved = get(port, "/v1/conflicts?state=resolved");
    EXPECT_NE(resolved.find("handler highest lua:"), std::string::npos) << resolved;
    EXPECT_NE(resolved.find("50"), std::string::npos) << resolved;
  }
}

TEST_F(FailingHandler, GatewaysWithDifferentVersionsHoldTheLinkAndSayWhy) {
  write_handler("function resolve(conflict) return {pick = 1} end\n");
  cluster_.start("amber");
  ASSERT_TRUE(cluster_.wait_ready("amber")) << cluster_.output("amber");
  write_handler("function resolve(conflict) return {pick = 2} end\n");
  cluster_.start("birch");
  const auto says = [&] {
    const std::string text = cluster_.output("amber") + cluster_.output("birch");
    const size_t refused = text.find("link_refused");
    return refused != std::string::npos &&
           text.find("handler highest", refused) != std::string::npos;
  };
  EXPECT_TRUE(comes_true(says)) << cluster_.output("amber") << cluster_.output("birch");
}

}  // namespace
}  // namespace entente::testing
