// Two datacenters that were apart for longer than either's log reaches. Real gateways.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/feed_client.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class ForgettingTest : public ::testing::Test {
 protected:
  void start(const std::string& topology) {
    Cluster::Options options;
    options.dcs = {"a", "b"};
    options.topology = topology;
    options.schema = "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);";
    options.extra =
        "limits: {log_retention: 1s, log_bytes: 16KiB, changes_retention: 0ms}\n"
        "conflicts: {policy: lww, granularity: row}\n";
    cluster_ = std::make_unique<Cluster>(options);
    cluster_->proxy("a", "b");
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
    write("a", "first", "shared");
    ASSERT_TRUE(cluster_->wait_converged({}, 30));
  }

  void write(const std::string& dc, const std::string& key, const std::string& value) {
    HttpClient client(cluster_->port(dc));
    const auto answer = client.request("PUT", "/v1/tables/items/rows/" + key,
                                       R"({"row":{"v":")" + value + R"("}})");
    ASSERT_EQ(answer.status, 200) << answer.body;
  }

  void write_many(const std::string& dc, int rows, size_t bytes = 500) {
    HttpClient client(cluster_->port(dc));
    for (int i = 0; i < rows; ++i) {
      const auto answer = client.request("PUT", "/v1/tables/items/rows/" + dc + std::to_string(i),
                                         R"({"row":{"v":")" + std::string(bytes, 'x') + R"("}})");
      ASSERT_EQ(answer.status, 200) << answer.body;
    }
  }

  std::string query(const std::string& dc, const std::string& statement) {
    const auto answer = sql(cluster_->port(dc), statement);
    const auto at = answer.find("\"rows\"");
    return at == std::string::npos ? answer : answer.substr(at, answer.find("affected") - at);
  }

  std::string cursor(const std::string& dc) { return cursor_now(cluster_->port(dc)); }
  bool forgets(const std::string& dc, const std::string& after) {
    return log_forgets(cluster_->port(dc), after);
  }

  std::string conflicts(const std::string& dc) {
    HttpClient client(cluster_->port(dc));
    return client.request("GET", "/v1/conflicts?table=items", "").body;
  }

  // Both write past what the logs keep, meet, and have everything.
  void part_and_meet() {
    cluster_->proxy("a", "b").set_up(false);
    const std::string at_a = cursor("a"), at_b = cursor("b");
    // Stamps are of milliseconds; within one, origins decide.
    const auto later = [] { std::this_thread::sleep_for(2ms); };
    write("a", "both", "a wrote first");
    later();
    write("b", "both", "b wrote last");
    write("b", "other", "b wrote first");
    later();
    write("a", "other", "a wrote last");
    write_many("a", kRows);
    write_many("b", kRows);
    ASSERT_TRUE(forgets("a", at_a) && forgets("b", at_b));
    cluster_->proxy("a", "b").set_up(true);
    const auto all = std::to_string(2 * kRows + 3);
    ASSERT_TRUE(comes_true(
        [&] {
          return has(query("a", "SELECT count(*) FROM items"), all) &&
                 has(query("b", "SELECT count(*) FROM items"), all);
        },
        60s))
        << cluster_->output("a") << cluster_->output("b");
    ASSERT_TRUE(cluster_->wait_converged({}, 30)) << cluster_->output("a") << cluster_->output("b");
    for (const auto& dc : cluster_->dcs()) {
      const auto rows = query(dc, "SELECT v FROM items WHERE id IN ('both', 'other') ORDER BY id");
      EXPECT_TRUE(has(rows, "b wrote last") && has(rows, "a wrote last")) << rows;
      const auto listed = conflicts(dc);
      EXPECT_TRUE(has(listed, "a wrote first")) << dc << " " << listed;
      EXPECT_TRUE(has(listed, "b wrote first")) << dc << " " << listed;
    }
    // A reader who lacks what came as rows is told so.
    for (const auto& dc : cluster_->dcs()) {
      for (const auto& at : {at_a, at_b}) {
        EXPECT_EQ(FeedClient(cluster_->port(dc), "?until=now&since=" + at).status(), 410) << dc;
      }
    }
    EXPECT_EQ(
        query("a", "SELECT group_concat(id || length(v)) FROM (SELECT * FROM items ORDER BY id)"),
        query("b", "SELECT group_concat(id || length(v)) FROM (SELECT * FROM items ORDER BY id)"));
  }

  int lives(const std::string& dc) {
    const std::string text = cluster_->output(dc);
    int count = 0;
    for (size_t at = text.find(" rejoined dc="); at != std::string::npos;
         at = text.find(" rejoined dc=", at + 1)) {
      ++count;
    }
    return count;
  }

  static constexpr int kRows = 150;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ForgettingTest, TwoThatForgotOfEachOtherMeetWithAllThatBothWrote) {
  start("{kind: all-to-all, failover_after: 300ms}");
  part_and_meet();
  EXPECT_GE(lives("a") + lives("b"), 1);
  EXPECT_LE(lives("a") + lives("b"), 6);  // it ends
  const int before = lives("a") + lives("b");
  write("a", "after", "a");
  write("b", "afterwards", "b");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  EXPECT_EQ(lives("a") + lives("b"), before);
}

TEST_F(ForgettingTest, SoDoTwoThatDoNotReroute) {
  start("{kind: all-to-all, failover_after: 300ms, reroute: false}");
  part_and_meet();
}

TEST_F(ForgettingTest, WhoIsAloneFillsNoDisk) {
  start("{kind: all-to-all, failover_after: 300ms}");
  cluster_->proxy("a", "b").set_up(false);
  // The same rows again and again, 400 KiB each time: only the log could grow.
  constexpr int kRounds = 40, kRowsARound = 20;
  constexpr size_t kBytes = 20 << 10;
  write_many("a", kRowsARound, kBytes);
  const auto file = cluster_->folder() / "a" / "a.db";
  for (int round = 0; round < kRounds; ++round) {
    const std::string at = cursor("a");
    write_many("a", kRowsARound, kBytes);
    ASSERT_TRUE(forgets("a", at));
  }
  ASSERT_EQ(cluster_->stop("a"), 0);
  std::error_code ec;
  EXPECT_LT(fs::file_size(file, ec), kRounds * kRowsARound * kBytes / 4);
  EXPECT_FALSE(ec) << ec.message();
}

}  // namespace
}  // namespace entente::testing
