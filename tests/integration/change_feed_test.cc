// A reader follows the change feed of real gateways that take writes, goes to the next gateway
// every now and then, and sees one of them die: every acknowledged transaction comes once and
// whole.

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/feed_client.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

constexpr int kTransactions = 400;  // of each writer
constexpr size_t kStay = 60;        // lines that the reader takes before it goes on elsewhere

// What was acknowledged, by dot: what both rows of the transaction hold.
class Acknowledged {
 public:
  void add(const std::string& dot, const std::string& value) {
    const std::lock_guard lock(mutex_);
    by_dot_[dot] = value;
  }
  std::map<std::string, std::string> all() const {
    const std::lock_guard lock(mutex_);
    return by_dot_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> by_dot_;
};

// Two rows a transaction. What is not acknowledged, because the gateway is down, is not written
// again.
void write_at(const Cluster& cluster, const std::string& dc, Acknowledged& acknowledged) {
  HttpClient client(cluster.port(dc));
  for (int i = 0; i < kTransactions; ++i) {
    const std::string value = dc + "-" + std::to_string(i);
    const std::string row = R"(,"row":{"v":")" + value + R"("}})";
    const auto answer =
        client.request("POST", "/v1/transactions",
                       R"({"writes":[{"op":"put","table":"items","key":"own-)" + value + "\"" +
                           row + R"(,{"op":"put","table":"items","key":"hot)" +
                           std::to_string(i % 7) + "\"" + row + "]}");
    if (answer.status == 200) acknowledged.add(member(answer.body, "dot"), value);
  }
}

// What the reader had, by dot: the line.
using Had = std::map<std::string, std::string>;

// Reads at most `lines` transactions; the cursor of the last line, or `cursor` if there was none.
std::string read_some(int port, std::string cursor, size_t lines, const std::string& until,
                      Had& had) {
  FeedClient feed(port, "?since=" + cursor + "&limit=" + std::to_string(lines) + until);
  EXPECT_TRUE(feed.status() == 200 || feed.status() == 0) << feed.head();
  while (const auto line = feed.line()) {
    cursor = member(*line, "cursor");
    const auto dot = member(*line, "dot");
    if (dot.empty()) continue;
    EXPECT_TRUE(had.emplace(dot, *line).second) << "again: " << *line;
  }
  return cursor;
}

TEST(ChangeFeed, AReaderThatGoesFromGatewayToGatewayHasEveryTransactionOnceAndWhole) {
  Cluster cluster({{"amber", "birch", "cedar"},
                   "{kind: all-to-all}",
                   "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                   "changes: {old_values: true}\n"});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(cluster.wait_converged({}, 20));

  Acknowledged acknowledged;
  std::vector<std::thread> writers;
  for (const std::string dc : {"amber", "birch"}) {
    writers.emplace_back([&, dc] { write_at(cluster, dc, acknowledged); });
  }
  Had had;
  std::string cursor = "beginning";
  for (size_t turn = 0; turn < 6; ++turn) {
    const auto& dc = cluster.dcs()[turn % 3];
    cursor = read_some(cluster.port(dc), cursor, kStay, "", had);
    if (turn == 2) {
      cluster.kill("cedar");
      cluster.start("cedar");
      ASSERT_TRUE(cluster.wait_ready("cedar")) << cluster.output("cedar");
    }
  }
  for (auto& writer : writers) writer.join();
  VersionVector everything = cluster.applied("amber");
  everything.join(cluster.applied("birch"));
  ASSERT_TRUE(cluster.wait_converged(everything, 30));
  read_some(cluster.port("cedar"), cursor, 1'000'000, "&until=now", had);

  const auto written = acknowledged.all();
  EXPECT_EQ(written.size(), 2u * kTransactions);
  for (const auto& [dot, value] : written) {
    const auto line = had.find(dot);
    ASSERT_NE(line, had.end()) << value << " is missing";
    for (const auto& key : {"own-" + value, std::string("hot")}) {
      EXPECT_NE(line->second.find("\"key\":{\"id\":\"" + key), std::string::npos) << line->second;
    }
    const std::string own = "\"op\":\"insert\",\"new\":{\"v\":\"" + value + "\"}";
    EXPECT_NE(line->second.find(own), std::string::npos) << line->second;
  }
  HttpClient client(cluster.port("amber"));
  const auto metrics = client.request("GET", "/metrics").body;
  EXPECT_NE(metrics.find("\nentente_change_feed_transactions_total "), std::string::npos);
  EXPECT_NE(metrics.find("\nentente_change_feeds "), std::string::npos);
}

}  // namespace
}  // namespace entente::testing
