// Datacenters compare their rows while they are written to; what was changed behind a gateway's
// back is found, named and repaired. Real gateways, real files.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

// Writes to 50 rows of its own and 20 that everybody writes, over and over, and deletes some.
class Writer {
 public:
  Writer(const Cluster& cluster, const std::string& dc)
      : name_(dc), client_(cluster.port(dc)), thread_([this] { write(); }) {}
  ~Writer() { stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int written() const { return written_; }

 private:
  void write() {
    for (int i = 0; !stop_; ++i) {
      const bool own = i % 3 != 0;
      const std::string key =
          own ? name_ + "-" + std::to_string(i % 50) : "shared-" + std::to_string(i % 20);
      const std::string path = "/v1/tables/items/rows/" + key;
      const std::string body = R"({"row":{"v":")" + name_ + std::to_string(i) + R"("}})";
      const auto answer =
          i % 11 == 0 ? client_.request("DELETE", path) : client_.request("PUT", path, body);
      if (answer.status == 200) ++written_;
    }
  }

  const std::string name_;
  HttpClient client_;
  std::atomic<bool> stop_{false};
  std::atomic<int> written_{0};
  std::thread thread_;
};

// In the file of its database, while the gateway runs.
void behind_its_back(const Cluster& cluster, const std::string& dc, const std::string& statement) {
  sqlite3* db = nullptr;
  const auto path = cluster.folder() / dc / (dc + ".db");
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(db, 5'000);
  EXPECT_EQ(sqlite3_exec(db, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  EXPECT_EQ(sqlite3_changes(db), 1) << statement;
  sqlite3_close(db);
}

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) {
      ASSERT_TRUE(cluster_.wait_ready(dc)) << cluster_.output(dc);
    }
    // Rows in several slices; `pairs` has nothing but its key.
    for (const char* statement :
         {"INSERT INTO items WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
          "i < 3000) SELECT printf('row-%04d', i), 'value ' || i, 0 FROM n",
          "INSERT INTO pairs VALUES ('x', 1), ('x', 2), ('y', 1)"}) {
      const auto answer = sql(cluster_.port("a"), statement);
      ASSERT_FALSE(has(answer, "\"error\"")) << answer;
    }
    ASSERT_TRUE(cluster_.wait_converged(cluster_.applied("a"), 30));
  }

  // Runs `entente …` and answers what it printed; its exit code is in code_.
  std::string command(const std::vector<std::string>& words) {
    std::vector<std::string> all{Cluster::binary()};
    all.insert(all.end(), words.begin(), words.end());
    const auto path = cluster_.folder() / "command.log";
    std::filesystem::remove(path);
    Process process(all, path);
    code_ = process.wait();
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string url(const std::string& dc) const {
    return "http://127.0.0.1:" + std::to_string(cluster_.port(dc));
  }

  void in_the_file(const std::string& dc, const std::string& statement) {
    behind_its_back(cluster_, dc, statement);
  }

  std::string value(const std::string& dc, const std::string& key) {
    HttpClient client(cluster_.port(dc));
    return client.request("GET", "/v1/tables/items/rows/" + key).body;
  }

  Cluster cluster_{{{"a", "b", "c"},
                    "{kind: all-to-all}",
                    "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT, n INTEGER);"
                    "CREATE TABLE pairs (k TEXT, i INTEGER, PRIMARY KEY (k, i));",
                    ""}};
  int code_ = -1;
};

TEST_F(Verify, DatacentersThatAreWrittenToAreEqual) {
  Writer at_a(cluster_, "a"), at_b(cluster_, "b"), at_c(cluster_, "c");
  while (at_a.written() + at_b.written() + at_c.written() < 300) std::this_thread::sleep_for(1ms);
  for (int i = 0; i < 2; ++i) {
    const int before = at_b.written();
    const auto text = command({"verify", url("a"), "-o", "json"});
    EXPECT_EQ(code_, 0) << text;
    EXPECT_TRUE(has(text, R"("different":0)")) << text;
    while (at_b.written() == before) std::this_thread::sleep_for(1ms);  // it never stopped
  }
  for (auto* writer : {&at_a, &at_b, &at_c}) writer->stop();
  ASSERT_TRUE(cluster_.wait_converged({}, 30));
  const auto text = command({"verify", url("b")});
  EXPECT_EQ(code_, 0) << text;
  EXPECT_TRUE(has(text, "the datacenters are equal")) << text;
  EXPECT_FALSE(has(text, "changed whenever")) << text;
}

TEST_F(Verify, ARowEditedBehindTheGatewaysBackIsNamedAndRepaired) {
  in_the_file("b", "UPDATE items SET v = 'edited' WHERE id = 'row-1500'");
  const auto found = command({"verify", url("a"), "-o", "json"});
  EXPECT_EQ(code_, 1) << found;
  EXPECT_TRUE(has(found, R"("different":1)")) << found;
  EXPECT_TRUE(has(found, R"("table":"items","key":["row-1500"],"kind":"edited")")) << found;
  EXPECT_TRUE(has(found, R"({"dc":"a","row":{"id":"row-1500","n":0,"v":"value 1500"})")) << found;
  EXPECT_TRUE(has(found, R"({"dc":"b","row":{"id":"row-1500","n":0,"v":"edited"})")) << found;
  EXPECT_TRUE(has(command({"status", url("a")}), "differed from another datacenter"));
  EXPECT_EQ(code_, 1);
  // Two of three have what was written.
  const auto repaired = command({"repair", url("a")});
  EXPECT_EQ(code_, 0) << repaired;
  EXPECT_TRUE(has(repaired, "1 of them are repaired")) << repaired;
  EXPECT_TRUE(has(value("b", "row-1500"), "\"value 1500\"")) << value("b", "row-1500");
  command({"verify", url("c")});
  EXPECT_EQ(code_, 0);
  command({"status", url("a")});
  EXPECT_EQ(code_, 0);
}

TEST_F(Verify, RepairTakesTheRowsOfTheDatacenterThatItIsTold) {
  in_the_file("b", "UPDATE items SET v = 'edited' WHERE id = 'row-0001'");
  in_the_file("c", "INSERT INTO items VALUES ('foreign', 'not written through a gateway', 1)");
  const auto undecided = command({"repair", url("a")});  // whose the foreign row is: who knows?
  EXPECT_EQ(code_, 1) << undecided;
  EXPECT_TRUE(has(undecided, "--from")) << undecided;
  EXPECT_TRUE(has(value("b", "row-0001"), "\"value 1\"")) << value("b", "row-0001");
  in_the_file("b", "UPDATE items SET v = 'edited again' WHERE id = 'row-0001'");
  const auto repaired = command({"repair", "--from", "b", url("a")});
  EXPECT_EQ(code_, 0) << repaired;
  for (const auto& dc : cluster_.dcs()) {
    EXPECT_TRUE(has(value(dc, "row-0001"), "\"edited again\"")) << dc << value(dc, "row-0001");
    EXPECT_TRUE(has(value(dc, "foreign"), "no_such_row")) << dc << value(dc, "foreign");
  }
}

TEST_F(Verify, ARowDeletedBehindTheGatewaysBackComesBack) {
  in_the_file("a", "DELETE FROM items WHERE id = 'row-2999'");
  in_the_file("b", "DELETE FROM items WHERE id = 'row-0002'");
  in_the_file("c", "DELETE FROM pairs WHERE k = 'x' AND i = 2");
  const auto found = command({"verify", url("a"), "-o", "json"});
  EXPECT_EQ(code_, 1);
  for (const char* row :
       {R"("key":["row-2999"],"kind":"missing")", R"("key":["row-0002"],"kind":"missing")",
        R"("key":["x",2],"kind":"missing")"}) {
    EXPECT_TRUE(has(found, row)) << row << " in " << found;
  }
  const auto repaired = command({"repair", url("a")});
  EXPECT_EQ(code_, 0) << repaired;
  EXPECT_TRUE(has(value("a", "row-2999"), "\"value 2999\"")) << value("a", "row-2999");
  EXPECT_TRUE(has(value("b", "row-0002"), "\"value 2\"")) << value("b", "row-0002");
  EXPECT_TRUE(has(sql(cluster_.port("c"), "SELECT count(*) FROM pairs"), "\"3\""));
}

TEST(VerifyBehindACutLink, WhatIsOnItsWayIsNotCalledDifferent) {
  Cluster cluster({{"a", "b", "c"},
                   "{kind: links, links: [[a, c], [c, b]]}",
                   "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                   ""});
  TcpProxy& link = cluster.proxy("a", "c");
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("a"), 30));
  link.set_up(false);
  HttpClient b(cluster.port("b"));
  for (const char* key : {"x", "y"}) {
    const auto path = std::string("/v1/tables/items/rows/") + key;
    ASSERT_EQ(b.request("PUT", path, R"({"row":{"v":"new"}})").status, 200);
  }
  const auto verify = [&] {
    EXPECT_EQ(b.request("POST", "/v1/verify").status, 202);
    std::string report;
    do {
      std::this_thread::sleep_for(10ms);
      report = b.request("GET", "/v1/verify").body;
    } while (has(report, R"("state":"running")"));
    return report;
  };
  const auto meanwhile = verify();  // b reaches a's peers port itself, its changes do not
  EXPECT_TRUE(has(meanwhile, R"({"dc":"a","compared":true)")) << meanwhile;
  EXPECT_TRUE(has(meanwhile, R"("different":0,"busy":2,)")) << meanwhile;
  link.set_up(true);
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("b"), 30));
  const auto after = verify();
  EXPECT_TRUE(has(after, R"("different":0,"busy":0,)")) << after;
}

TEST(VerifyByItself, GatewaysCompareThemselvesWithTheirNeighbours) {
  Cluster cluster({{"a", "b"},
                   "{kind: all-to-all}",
                   "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                   "limits: {verify_every: 100ms}\n"});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  HttpClient a(cluster.port("a")), b(cluster.port("b"));
  const auto compared = [&] {
    const auto report = a.request("GET", "/v1/verify").body;
    return has(report, R"("state":"done")") && has(report, R"({"dc":"b","compared":true)");
  };
  EXPECT_TRUE(comes_true(compared, 30s)) << a.request("GET", "/v1/verify").body;
  EXPECT_FALSE(has(a.request("GET", "/metrics").body, "entente_verify_runs_total 0"));
  EXPECT_TRUE(has(b.request("GET", "/v1/verify").body, R"("state":"none")"));  // a link, once
}

TEST(VerifyByItself, GatewaysRepairWhatDiffersIfTheyAreToldTo) {
  Cluster cluster({{"a", "b", "c"},
                   "{kind: all-to-all}",
                   "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT);",
                   "limits: {verify_every: 0ms, repair_every: 100ms}\n"});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(cluster.wait_converged({}, 30));  // everybody has the table
  HttpClient c(cluster.port("c"));
  ASSERT_EQ(c.request("PUT", "/v1/tables/items/rows/x", R"({"row":{"v":"right"}})").status, 200);
  ASSERT_TRUE(cluster.wait_converged({}, 30));
  behind_its_back(cluster, "c", "UPDATE items SET v = 'wrong'");
  EXPECT_TRUE(comes_true(
      [&] { return has(c.request("GET", "/v1/tables/items/rows/x").body, "right"); }, 30s));
}

TEST_F(Verify, ADatacenterThatIsAwayIsNotCalledEqual) {
  cluster_.kill("c");
  const auto text = command({"verify", url("a")});
  EXPECT_EQ(code_, 1) << text;
  EXPECT_TRUE(has(text, "c was not compared")) << text;
}

}  // namespace
}  // namespace entente::testing
