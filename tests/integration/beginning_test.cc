// Where a cluster begins, and what a datacenter without a database, or without the marker beside
// it, does before it serves. Real gateways.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class BeginningTest : public ::testing::Test {
 protected:
  // a's links go through proxies, what it asks by HTTP included.
  explicit BeginningTest(const std::string& rules = "") {
    Cluster::Options options;
    options.dcs = {"a", "b", "c"};
    options.topology = "{kind: all-to-all, failover_after: 300ms}";
    options.schema = "CREATE TABLE t (id TEXT PRIMARY KEY, v, n INTEGER NOT NULL DEFAULT 0);";
    options.extra =
        "tables: {t: {columns: {n: {policy: counter}}}}\n"
        "limits: {link_timeout: 2s, heartbeat: 500ms}\n" +
        rules;
    cluster_ = std::make_unique<Cluster>(options);
    for (const char* other : {"b", "c"}) cluster_->proxy("a", other);
    cluster_->proxy("b", "c");
  }

  void start_all() {
    cluster_->start_all();
    for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc)) << dc;
    ASSERT_TRUE(cluster_->wait_converged({}, 30));
  }

  void cut(const std::string& a, const std::string& b, bool on = true) {
    cluster_->proxy(a, b).set_up(!on);
  }
  void cut_a(bool on) { cut("a", "b", on), cut("a", "c", on); }

  HttpResponse get(const std::string& dc, const std::string& path) {
    return HttpClient(cluster_->port(dc)).request("GET", path);
  }
  bool says(const std::string& dc, const std::string& what) {
    return comes_true([&] { return has(cluster_->output(dc), what); });
  }
  void must(const std::string& dc, const std::string& statement) {
    const auto answer = sql(cluster_->port(dc), statement);
    ASSERT_FALSE(has(answer, "\"error\"")) << dc << ": " << statement << ": " << answer;
  }
  std::string rows(const std::string& dc, const std::string& query) {
    const auto answer = sql(cluster_->port(dc), query);
    const auto at = answer.find("\"rows\"");
    return at == std::string::npos ? answer : answer.substr(at, answer.find("affected") - at);
  }
  void expect_everywhere(const std::string& query, const std::string& what) {
    ASSERT_TRUE(cluster_->wait_converged({}, 30));
    for (const auto& dc : cluster_->dcs()) {
      EXPECT_TRUE(has(rows(dc, query), what)) << dc << ": " << rows(dc, query);
    }
  }
  void lose_disk(const std::string& dc) {
    cluster_->kill(dc);
    fs::remove_all(cluster_->folder() / dc);
  }

  std::unique_ptr<Cluster> cluster_;
};

// Nobody has anything, and nobody said that a cluster begins here.
TEST_F(BeginningTest, WithoutADatabaseItWaitsAliveAndNotReadyAndSaysForWhat) {
  cluster_->start("b", false);
  ASSERT_TRUE(comes_true([&] { return get("b", "/livez").status == 200; }));
  ASSERT_TRUE(comes_true([&] { return has(get("b", "/readyz").body, "waits for a copy"); }));
  EXPECT_EQ(get("b", "/readyz").status, 503);
  const auto status = get("b", "/v1/status").body;
  EXPECT_TRUE(has(status, "b has no database yet, and waits for a copy from a, c")) << status;
  EXPECT_TRUE(has(status, "To begin a new cluster: entente serve --first")) << status;
  EXPECT_TRUE(has(status, "\"healthy\":false")) << status;
  EXPECT_TRUE(has(sql(cluster_->port("b"), "SELECT 1"), "not_ready"));
  EXPECT_FALSE(fs::exists(cluster_->folder() / "b" / "b.db"));
  cluster_->start("a", true);
  ASSERT_TRUE(cluster_->wait_ready("a"));
  must("a", "INSERT INTO t (id, v) VALUES ('x', 'first')");
  ASSERT_TRUE(cluster_->wait_ready("b")) << cluster_->output("b");
  EXPECT_TRUE(has(rows("b", "SELECT v FROM t"), "first"));
  cluster_->start("c", false);
  ASSERT_TRUE(cluster_->wait_ready("c"));
  expect_everywhere("SELECT v FROM t", "first");
}

TEST_F(BeginningTest, WhoWaitsStopsInOrder) {
  cluster_->start("b", false);
  ASSERT_TRUE(says("b", "waiting dc=b"));
  EXPECT_EQ(cluster_->stop("b"), 0);
}

// P1, P2: its file would make the table again as it was at first.
TEST_F(BeginningTest, ALeaderThatLostItsDiskNeverAppliesItsSchemaAgain) {
  start_all();
  must("a", "ALTER TABLE t ADD COLUMN extra TEXT");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  must("b", "INSERT INTO t (id, v, extra) VALUES ('x', 'v', 'precious')");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  lose_disk("a");
  cut_a(true);
  cluster_->start("a");
  ASSERT_TRUE(says("a", "waiting dc=a"));
  EXPECT_EQ(get("a", "/readyz").status, 503);
  cut_a(false);
  ASSERT_TRUE(cluster_->wait_ready("a")) << cluster_->output("a");
  const auto output = cluster_->output("a");
  EXPECT_EQ(output.find("schema_applied"), output.rfind("schema_applied")) << output;
  expect_everywhere("SELECT extra FROM t WHERE id = 'x'", "precious");
}

// Its machine died without a word, so its neighbours still think that it runs.
TEST_F(BeginningTest, WhoIsRefusedACopyWaitsUntilItGetsOne) {
  start_all();
  for (int i = 0; i < 50; ++i) must("a", "INSERT INTO t (id) VALUES ('" + std::to_string(i) + "')");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  for (const char* other : {"b", "c"}) {  // nothing passes, not even the end of a connection
    for (const auto way : {TcpProxy::Way::kToTarget, TcpProxy::Way::kFromTarget}) {
      cluster_->proxy("a", other).block(way, true);
    }
  }
  lose_disk("a");
  cluster_->start("a", true);  // --first: it joins whom it meets, and waits for who is there
  ASSERT_TRUE(comes_true([&] { return get("a", "/livez").status == 200; }));
  EXPECT_NE(get("a", "/readyz").status, 200);
  for (const char* other : {"b", "c"}) {
    for (const auto way : {TcpProxy::Way::kToTarget, TcpProxy::Way::kFromTarget}) {
      cluster_->proxy("a", other).block(way, false);
    }
  }
  ASSERT_TRUE(cluster_->wait_ready("a", 40)) << cluster_->output("a");
  expect_everywhere("SELECT count(*) FROM t", "\"50\"");
}

// While b lives, a second b gets nothing, and serves nobody.
TEST_F(BeginningTest, ATwinOfALiveDatacenterIsNotReady) {
  start_all();
  must("b", "INSERT INTO t (id) VALUES ('x')");
  std::string text;
  {
    std::ifstream in(cluster_->folder() / "b.yaml");
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const int port = free_port();
  const std::string clients = "127.0.0.1:" + std::to_string(cluster_->port("b"));
  text.replace(text.find(clients), clients.size(), "127.0.0.1:" + std::to_string(port));
  std::ofstream(cluster_->folder() / "twin.yaml") << text;
  if (has(text, "wss://")) speak_tls(port, cluster_->tls_folder("b") / "ca.crt");
  Process twin({Cluster::binary(), "serve", "--config", (cluster_->folder() / "twin.yaml").string(),
                "--dc", "b", "--data", (cluster_->folder() / "twin").string(), "--first"},
               cluster_->folder() / "twin.log");
  const auto ready = [&] { return HttpClient(port).request("GET", "/readyz"); };
  EXPECT_TRUE(comes_true([&] { return has(ready().body, "another gateway runs as b"); }))
      << ready().body;
  EXPECT_EQ(ready().status, 503);
  twin.signal(SIGTERM);
  EXPECT_EQ(twin.wait(), 0);
}

// P6, P8: only c is there, which lags; b has what a wrote under its old name.
TEST_F(BeginningTest, WhoLosesItsMarkerWritesNothingTwice) {
  start_all();
  must("a", "INSERT INTO t (id, v, n) VALUES ('x', 'v', 100)");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  cut("a", "c"), cut("b", "c");
  for (int i = 0; i < 10; ++i) must("a", "UPDATE t SET n = n + 1");
  must("a", "INSERT INTO t (id, v) VALUES ('gone', 'v')");
  ASSERT_TRUE(comes_true([&] { return has(rows("b", "SELECT id FROM t"), "gone"); }));
  cut("a", "b");
  must("b", "DELETE FROM t WHERE id = 'gone'");
  must("a", "UPDATE t SET v = 'unshipped' WHERE id = 'x'");
  ASSERT_EQ(cluster_->stop("a"), 0);
  fs::remove(cluster_->folder() / "a" / "incarnation");
  cut("a", "c", false);
  cluster_->start("a");
  ASSERT_TRUE(cluster_->wait_ready("a")) << cluster_->output("a");
  EXPECT_TRUE(has(cluster_->output("a"), "reissued=0")) << cluster_->output("a");
  cut("a", "b", false), cut("b", "c", false);
  expect_everywhere("SELECT id || ':' || v || ':' || n FROM t", "x:unshipped:110");
  expect_everywhere("SELECT count(*) FROM t", "\"1\"");
}

// It waits, alive, instead of ending; and takes whoever comes first.
TEST_F(BeginningTest, WhoLostItsMarkerAndMeetsNobodyWaits) {
  start_all();
  must("a", "INSERT INTO t (id, v) VALUES ('x', 'v')");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  ASSERT_EQ(cluster_->stop("a"), 0);
  fs::remove(cluster_->folder() / "a" / "incarnation");
  cut_a(true);
  cluster_->start("a");
  ASSERT_TRUE(comes_true([&] { return has(get("a", "/readyz").body, "waits for a copy"); }));
  EXPECT_EQ(get("a", "/readyz").status, 503);
  cut("a", "c", false);
  ASSERT_TRUE(cluster_->wait_ready("a")) << cluster_->output("a");
  cut("a", "b", false);
  expect_everywhere("SELECT v FROM t", "\"v\"");
}

// a has changes whose time has not come: whoever copied them would stamp after them, and be
// refused.
TEST_F(BeginningTest, AClockThatWasWrongDoesNotSpreadByACopy) {
  cluster_->shift_clock("a", 0ms);
  cluster_->start("a"), cluster_->start("b");
  ASSERT_TRUE(cluster_->wait_ready("a") && cluster_->wait_ready("b"));
  must("a", "INSERT INTO t (id, v) VALUES ('1', 'in time')");
  ASSERT_TRUE(comes_true([&] { return has(rows("b", "SELECT v FROM t"), "in time"); }));
  cluster_->shift_clock("a", 1h);
  must("a", "INSERT INTO t (id, v) VALUES ('2', 'an hour ahead')");
  cluster_->shift_clock("a", 0ms);
  cluster_->start("c", false);
  ASSERT_TRUE(cluster_->wait_ready("c")) << cluster_->output("c");
  EXPECT_TRUE(has(cluster_->output("c"), "joined dc=c from=b")) << cluster_->output("c");
  must("c", "INSERT INTO t (id, v) VALUES ('3', 'of c')");
  EXPECT_TRUE(comes_true([&] { return has(rows("b", "SELECT v FROM t"), "of c"); }));
  EXPECT_FALSE(has(rows("c", "SELECT v FROM t"), "ahead"));
}

TEST(Beginning, WhoHasNobodyToWaitForIsToldHowToBegin) {
  Cluster cluster({{"solo"}, "{kind: all-to-all}", "CREATE TABLE t (id TEXT PRIMARY KEY);", ""});
  cluster.start("solo", false);
  EXPECT_EQ(cluster.process("solo").wait(), 1);
  EXPECT_TRUE(has(cluster.output("solo"), "To begin a new cluster: entente serve --first"));
  cluster.start("solo", true);
  ASSERT_TRUE(cluster.wait_ready("solo"));
  EXPECT_TRUE(has(sql(cluster.port("solo"), "SELECT count(*) FROM t"), "\"0\""));
  // With a database it says nothing: whoever keeps it in a script does no harm.
  sql(cluster.port("solo"), "DROP TABLE t");
  ASSERT_EQ(cluster.stop("solo"), 0);
  cluster.start("solo", true);
  ASSERT_TRUE(cluster.wait_ready("solo"));
  EXPECT_TRUE(has(sql(cluster.port("solo"), "SELECT count(*) FROM t"), "no such table"));
}

}  // namespace
}  // namespace entente::testing
