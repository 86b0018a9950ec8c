// A datacenter whose database cannot go on gets a copy of a neighbour's, and keeps what it alone
// wrote. Real gateways.

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/feed_client.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class RejoinTest : public ::testing::Test {
 protected:
  // `limits`: YAML in flow style.
  void start(const std::string& limits) {
    Cluster::Options options;
    options.dcs = {"a", "b", "c"};
    options.topology = "{kind: all-to-all, failover_after: 300ms}";
    options.schema = "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);";
    options.extra = "limits: " + limits + "\n";
    cluster_ = std::make_unique<Cluster>(options);
    // c is dialled by both, so it can be cut off.
    cluster_->proxy("a", "c"), cluster_->proxy("b", "c");
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
    write("a", "first", 5);
    meet();
  }

  void isolate_c(bool on) {
    cluster_->proxy("a", "c").set_up(!on);
    cluster_->proxy("b", "c").set_up(!on);
  }

  void write(const std::string& dc, const std::string& prefix, int rows) {
    HttpClient client(cluster_->port(dc));
    for (int i = 0; i < rows; ++i) {
      const std::string key = prefix + std::to_string(i);
      const auto answer = client.request("PUT", "/v1/tables/items/rows/" + key,
                                         R"({"row":{"v":")" + std::string(500, 'x') + R"("}})");
      ASSERT_EQ(answer.status, 200) << answer.body;
      acknowledged_.insert(key);
    }
  }

  std::string rows_at(const std::string& dc) {
    const auto answer = sql(cluster_->port(dc),
                            "SELECT group_concat(id || ':' || length(v)) FROM "
                            "(SELECT * FROM items ORDER BY id)");
    const auto at = answer.find("\"rows\"");
    return at == std::string::npos ? answer : answer.substr(at, answer.find("affected") - at);
  }

  // Everybody has the same, and everything that was acknowledged.
  void meet() {
    ASSERT_TRUE(cluster_->wait_converged({}, 30)) << cluster_->output("c");
    // Who needed a copy serves once it has caught up.
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc)) << dc;
    const auto rows = rows_at("a");
    EXPECT_EQ(rows_at("b"), rows);
    EXPECT_EQ(rows_at("c"), rows);
    for (const auto& key : acknowledged_) EXPECT_TRUE(has(rows, key + ":")) << key;
  }

  bool says(const std::string& dc, const std::string& what, std::chrono::seconds patience = 20s) {
    return comes_true([&] { return has(cluster_->output(dc), what); }, patience);
  }

  std::string cursor(const std::string& dc) { return cursor_now(cluster_->port(dc)); }
  bool forgets(const std::string& dc, const std::string& after) {
    return log_forgets(cluster_->port(dc), after);
  }

  std::unique_ptr<Cluster> cluster_;
  std::set<std::string> acknowledged_;
};

TEST_F(RejoinTest, WhoWasAwayPastTheOthersLogsMeetsThemWithWhatItWroteAlone) {
  // Long enough for whoever is linked to take what is new before it is forgotten.
  start("{log_retention: 3s, changes_retention: 0ms, conflict_log_rows: 1000}");
  isolate_c(true);
  const std::string had = cursor("a"), had_c = cursor("c");
  write("a", "theirs-a", 30);
  write("b", "theirs-b", 30);
  write("c", "ours", 20);
  ASSERT_TRUE(forgets("a", had) && forgets("b", had) && forgets("c", had_c));
  isolate_c(false);
  ASSERT_TRUE(says("c", "rejoined dc=c")) << cluster_->output("c");
  ASSERT_TRUE(cluster_->wait_ready("c"));
  meet();
  write("c", "after", 5);
  meet();
  EXPECT_TRUE(has(cluster_->output("c"), "reissued=0")) << cluster_->output("c");
}

TEST_F(RejoinTest, AFolderThatWasPutBackAndWrittenToLosesNothing) {
  start("{conflict_log_rows: 1000}");
  const fs::path folder = cluster_->folder() / "c", backup = cluster_->folder() / "c.backup";
  ASSERT_EQ(cluster_->stop("c"), 0);
  fs::copy(folder, backup, fs::copy_options::recursive);
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_ready("c"));
  write("c", "after-the-backup", 10);
  meet();
  ASSERT_EQ(cluster_->stop("c"), 0);
  isolate_c(true);
  fs::remove_all(folder);
  fs::rename(backup, folder);
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_ready("c"));
  write("c", "orphan", 20);
  write("a", "meanwhile", 5);
  isolate_c(false);
  ASSERT_TRUE(says("c", "rejoined dc=c")) << cluster_->output("c");
  EXPECT_TRUE(has(cluster_->output("c"), "reissued=20")) << cluster_->output("c");
  ASSERT_TRUE(cluster_->wait_ready("c"));
  meet();
  write("c", "after", 5);
  meet();
}

TEST_F(RejoinTest, AFolderWithoutItsMarkerJoinsAgain) {
  start("{conflict_log_rows: 1000}");
  isolate_c(true);
  write("c", "unshipped", 5);
  ASSERT_EQ(cluster_->stop("c"), 0);
  isolate_c(false);
  fs::remove(cluster_->folder() / "c" / "incarnation");
  cluster_->start("c");
  ASSERT_TRUE(cluster_->wait_ready("c")) << cluster_->output("c");
  EXPECT_TRUE(has(cluster_->output("c"), "rejoined dc=c"));
  meet();
}

// Two gateways of one folder: the copy is refused, and does not become a second c with a new name.
TEST_F(RejoinTest, AClonedFolderIsRefusedWhileTheOriginalRuns) {
  start("{conflict_log_rows: 1000}");
  const fs::path folder = cluster_->folder() / "a", clone = cluster_->folder() / "a.clone";
  ASSERT_EQ(cluster_->stop("a"), 0);
  fs::copy(folder, clone, fs::copy_options::recursive);
  cluster_->start("a");
  ASSERT_TRUE(cluster_->wait_ready("a"));
  write("a", "original", 5);
  meet();
  std::stringstream config;
  config << std::ifstream(cluster_->folder() / "a.yaml").rdbuf();
  std::string text = config.str();
  const std::string clients = "127.0.0.1:" + std::to_string(cluster_->port("a"));
  const int other = free_port();
  text.replace(text.find(clients), clients.size(), "127.0.0.1:" + std::to_string(other));
  const bool tls = has(text, "wss://");
  if (tls) speak_tls(other, cluster_->tls_folder("a") / "ca.crt");
  const std::string scheme = tls ? "wss" : "ws";
  const auto mine = text.find(scheme + "://127.0.0.1:");
  const auto end = text.find('"', mine);
  text.replace(mine, end - mine, scheme + "://127.0.0.1:" + std::to_string(free_port()));
  std::ofstream(cluster_->folder() / "clone.yaml") << text;
  const auto log = cluster_->folder() / "clone.log";
  Process process(
      {Cluster::binary(), "serve", "--config", (cluster_->folder() / "clone.yaml").string(), "--dc",
       "a", "--data", clone.string()},
      log);
  const auto said = [&] {
    std::stringstream out;
    out << std::ifstream(log).rdbuf();
    return out.str();
  };
  EXPECT_TRUE(comes_true([&] { return has(said(), "not_rejoined"); }));
  EXPECT_TRUE(has(said(), "another gateway runs as a")) << said();
  EXPECT_FALSE(has(said(), " rejoined dc=a")) << said();
  // Whoever asks it how it is is told why, not that it heals by itself.
  const auto status = [&] { return HttpClient(other).request("GET", "/v1/status").body; };
  EXPECT_TRUE(comes_true([&] { return has(status(), "another gateway runs as a"); })) << status();
  EXPECT_TRUE(has(status(), "\"healthy\":false")) << status();
  write("a", "on-it-goes", 5);
  meet();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

}  // namespace
}  // namespace entente::testing
