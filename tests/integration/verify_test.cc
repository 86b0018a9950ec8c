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

class VerifiedCluster : public ::testing::Test {
 protected:
  explicit VerifiedCluster(Cluster::Options options) : cluster_(std::move(options)) {}

  void SetUp() override {
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) {
      ASSERT_TRUE(cluster_.wait_ready(dc)) << cluster_.output(dc);
    }
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

  Cluster cluster_;
  int code_ = -1;
};

class Verify : public VerifiedCluster {
 protected:
  Verify()
      : VerifiedCluster({{"a", "b", "c"},
                         "{kind: all-to-all}",
                         "CREATE TABLE items (id TEXT PRIMARY KEY, v TEXT, n INTEGER);"
                         "CREATE TABLE pairs (k TEXT, i INTEGER, PRIMARY KEY (k, i));",
                         ""}) {}

  void SetUp() override {
    VerifiedCluster::SetUp();
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

  std::string value(const std::string& dc, const std::string& key) {
    HttpClient client(cluster_.port(dc));
    return client.request("GET", "/v1/tables/items/rows/" + key).body;
  }
};

// Rows that are made of more than what they show: counters and sets that everybody has added to,
// and values that nobody has decided about.
class VerifyMerging : public VerifiedCluster {
 protected:
  VerifyMerging()
      : VerifiedCluster(
            {{"a", "b", "c"},
             "{kind: all-to-all}",
             "CREATE TABLE stock (id TEXT PRIMARY KEY, v TEXT, n INTEGER, tags TEXT);"
             "CREATE TABLE notes (id TEXT PRIMARY KEY, v TEXT);",
             "tables:\n"
             "  stock: {columns: {n: {policy: counter}, tags: {policy: merge, merge: union}}}\n"
             "  notes: {policy: siblings}\n"}) {}

  void SetUp() override {
    VerifiedCluster::SetUp();
    for (const char* row : {"apple", "pear"}) {
      put("a", std::string("stock/rows/") + row,
          R"({"row":{"v":"ripe","n":5,"tags":"[\"fruit\",\"red\"]"}})");
    }
    ASSERT_TRUE(cluster_.wait_converged(cluster_.applied("a"), 30));
    add("b", "apple", 3);
    add("c", "apple", 2);
    put("b", "stock/rows/apple", R"({"row":{"tags":"[\"fruit\",\"sweet\"]"}})", "PATCH");
    ASSERT_TRUE(cluster_.wait_converged(cluster_.applied("b"), 30));
  }

  void put(const std::string& dc, const std::string& row, const std::string& body,
           const char* method = "PUT") {
    HttpClient client(cluster_.port(dc));
    const auto answer = client.request(method, "/v1/tables/" + row, body);
    ASSERT_EQ(answer.status, 200) << answer.body;
  }
  void add(const std::string& dc, const std::string& row, int n) {
    put(dc, "stock/rows/" + row + "/increment", R"({"n":)" + std::to_string(n) + "}", "POST");
  }

  std::string row(const std::string& dc, const std::string& path) {
    HttpClient client(cluster_.port(dc));
    return client.request("GET", "/v1/tables/" + path).body;
  }
  // What a write carries that has seen this row as it is at a.
  std::string context_of(const std::string& path) {
    const auto read = row("a", path);
    const auto at = read.find(R"("context":")") + 11;
    return read.substr(at, read.find('"', at) - at);
  }
  // Two values that stand side by side, the second shown; "": the row is erased.
  void write_both(const std::string& note, const std::vector<std::string>& values) {
    const auto path = "notes/rows/" + note;
    const auto context = context_of(path);
    for (const auto& v : values) {
      if (v.empty()) put("a", path + "?context=" + context, "", "DELETE");
      if (v.empty()) continue;
      put("a", path, R"({"row":{"v":")" + v + R"("},"context":")" + context + R"("})");
    }
    ASSERT_TRUE(cluster_.wait_converged(cluster_.applied("a"), 30));
  }

  void repair(const std::string& at, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"repair", url(at)};
    words.insert(words.end(), more.begin(), more.end());
    const auto text = command(words);
    EXPECT_EQ(code_, 0) << text;
    EXPECT_TRUE(has(text, "are repaired")) << text;
    expect_equal();
  }
  void expect_equal() {
    for (const auto& dc : cluster_.dcs()) {
      const auto text = command({"verify", url(dc)});
      EXPECT_EQ(code_, 0) << text;
    }
  }
  void expect_everywhere(const std::string& path, const std::string& part) {
    for (const auto& dc : cluster_.dcs()) {
      EXPECT_TRUE(comes_true([&] { return has(row(dc, path), part); })) << dc << row(dc, path);
    }
  }
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

TEST_F(VerifyMerging, ACounterEditedBehindTheGatewaysBackIsRepaired) {
  in_the_file("b", "UPDATE stock SET n = 99 WHERE id = 'apple'");
  in_the_file("c", "UPDATE stock SET n = 99 WHERE id = 'pear'");
  repair("a");
  expect_everywhere("stock/rows/apple", R"("n":10,)");
  expect_everywhere("stock/rows/pear", R"("n":5,)");
  for (const auto& dc : cluster_.dcs()) add(dc, "apple", 1), add(dc, "pear", 1);
  expect_everywhere("stock/rows/apple", R"("n":13,)");
  expect_everywhere("stock/rows/pear", R"("n":8,)");
  in_the_file("c", "UPDATE stock SET n = 99 WHERE id = 'pear'");
  repair("b", {"--from", "c"});
  expect_everywhere("stock/rows/pear", R"("n":99,)");
  add("a", "pear", 1);
  expect_everywhere("stock/rows/pear", R"("n":100,)");
  expect_equal();
}

constexpr const char* kLoseParts =
    "DELETE FROM _entente_siblings WHERE tbl = (SELECT id FROM _entente_tables WHERE name = ";

TEST_F(VerifyMerging, PartsOfACounterThatWereLostComeBack) {
  for (const char* at : {"a", "c"}) {
    in_the_file("c", kLoseParts + std::string("'stock')"));
    repair(at);
    for (const auto& dc : cluster_.dcs()) add(dc, "apple", 1);
    expect_everywhere("stock/rows/apple", *at == 'a' ? R"("n":13,)" : R"("n":16,)");
    expect_equal();
  }
}

TEST_F(VerifyMerging, ARowWithACounterComesBackWhereItWasLostAndGoesWhereItWasMade) {
  in_the_file("b", "DELETE FROM stock WHERE id = 'apple'");
  repair("a");
  expect_everywhere("stock/rows/apple", R"("n":10,)");
  in_the_file("c", "INSERT INTO stock VALUES ('plum', 'foreign', 7, NULL)");
  repair("a", {"--from", "b"});
  expect_everywhere("stock/rows/plum", "no_such_row");
  in_the_file("c", "INSERT INTO stock VALUES ('plum', 'foreign', 7, NULL)");
  repair("a", {"--from", "c"});
  add("b", "plum", 1);
  expect_everywhere("stock/rows/plum", R"("n":8,)");
  expect_equal();
}

TEST_F(VerifyMerging, ASetEditedBehindTheGatewaysBackIsRepaired) {
  in_the_file("b", R"(UPDATE stock SET tags = '["foul"]' WHERE id = 'apple')");
  repair("c");
  for (const char* tag : {"fruit", "sweet"}) expect_everywhere("stock/rows/apple", tag);
  for (const auto& dc : cluster_.dcs())
    EXPECT_FALSE(has(row(dc, "stock/rows/apple"), "foul")) << dc;
}

TEST_F(VerifyMerging, IncrementsGoOnWhileACounterIsRepaired) {
  std::atomic<bool> stop{false};
  int added = 0;
  std::thread adding([&] {
    for (; !stop; ++added) {
      add("b", "apple", 1);
      if (added % 5 == 4) std::this_thread::sleep_for(100ms);  // else it is called busy for ever
    }
  });
  in_the_file("c", kLoseParts + std::string("'stock')"));
  std::string text;
  const auto repaired = [&] {
    text = command({"repair", url("a")});
    return has(text, "1 of them are repaired");
  };
  EXPECT_TRUE(comes_true(repaired, 60s)) << text;
  stop = true;
  adding.join();
  expect_everywhere("stock/rows/apple", R"("n":)" + std::to_string(10 + added) + ",");
  expect_equal();
}

TEST_F(VerifyMerging, ValuesThatNobodyDecidedAboutStandSideBySideAgain) {
  for (const std::string note : {"lost", "edited"}) {
    write_both(note, {"one", "two"});
    in_the_file("c", note == "lost" ? kLoseParts + std::string("'notes')")
                                    : "UPDATE notes SET v = 'three' WHERE id = 'edited'");
    repair(note == "lost" ? "a" : "c");
    const auto path = "notes/rows/" + note + "?siblings=all";
    expect_everywhere(path, R"("conflict":"open")");
    expect_everywhere(path, R"("row":{"id":")" + note + R"(","v":"two"})");
    expect_everywhere(path, R"("v":"one")");
    expect_everywhere(path, R"("siblings":2)");
    in_the_file("a", "UPDATE notes SET v = 'four' WHERE id = '" + note + "'");
    repair("b");
    expect_everywhere(path, R"("siblings":2)");
  }
}

TEST_F(VerifyMerging, AnEraseThatNobodyDecidedAboutStandsBesideAValueAgain) {
  for (const std::string note : {"first", "last"}) {
    put("a", "notes/rows/" + note, R"({"row":{"v":"zero"}})");
    write_both(note, note == "first" ? std::vector<std::string>{"", "one"}
                                     : std::vector<std::string>{"one", ""});
    in_the_file("c", kLoseParts + ("'notes') AND hex(key) LIKE '%' || hex('" + note + "')"));
    repair("b", {"--from", "a"});
    const auto path = "notes/rows/" + note + "?siblings=all";
    expect_everywhere(path, R"("conflict":"open")");
    expect_everywhere(path, R"("siblings":2)");
    expect_everywhere(path, R"("v":"one")");
    expect_everywhere(path, R"("deleted":true)");
    expect_everywhere("notes/rows/" + note, note == "first" ? R"("v":"one")" : "no_such_row");
  }
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
