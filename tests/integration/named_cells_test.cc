// What broke other systems, each under the name of whom it broke: published bugs of databases that
// replicate between several writers. Real gateways. (Ties of stamps between three, which wall
// clocks do not bring about on demand, are the simulator's: it fails if it never met "equal
// stamps".)

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class NamedCell : public ::testing::Test {
 protected:
  void start(Names dcs, const std::string& topology, const std::string& schema,
             const std::string& extra = "") {
    cluster_ = std::make_unique<Cluster>(Cluster::Options{
        std::move(dcs), topology, schema, "limits: {reconnect_max: 100ms}\n" + extra});
    const auto& names = cluster_->dcs();
    for (size_t i = 0; i < names.size(); ++i) {
      for (size_t j = i + 1; j < names.size(); ++j) cluster_->proxy(names[i], names[j]);
    }
    cluster_->start_all();
    for (const auto& dc : names) ASSERT_TRUE(cluster_->wait_ready(dc)) << cluster_->output(dc);
    ASSERT_TRUE(cluster_->wait_converged({}, 30));
  }

  void cut_off(const std::string& dc, bool on) {
    for (const auto& other : cluster_->dcs()) {
      if (other != dc) cluster_->proxy(std::min(dc, other), std::max(dc, other)).set_up(!on);
    }
  }
  void apart(bool on) {
    for (const auto& dc : cluster_->dcs()) cut_off(dc, on);
  }

  std::string run(const std::string& dc, const std::string& statement) {
    return sql(cluster_->port(dc), statement);
  }
  void must(const std::string& dc, const std::string& statement) {
    const auto answer = run(dc, statement);
    ASSERT_FALSE(has(answer, R"("type":"error")")) << dc << ": " << statement << ": " << answer;
  }
  // The first value of the first row.
  std::string value(const std::string& dc, const std::string& query) {
    const auto answer = run(dc, query);
    const std::string_view before = R"("value":")";
    const auto at = answer.find(before);
    if (at == std::string::npos) return has(answer, R"("type":"error")") ? answer : "";
    return answer.substr(at + before.size(),
                         answer.find('"', at + before.size()) - at - before.size());
  }
  // In one transaction. Hrana's answers.
  std::string transaction(const std::string& dc, const Names& statements) {
    std::string requests;
    for (const auto& statement : statements) {
      requests += R"({"type":"execute","stmt":{"sql":")" + statement + R"("}},)";
    }
    HttpClient client(cluster_->port(dc));
    return client
        .request("POST", "/v2/pipeline",
                 R"({"baton":null,"requests":[)" + requests + R"({"type":"close"}]})",
                 "Content-Type: application/json\r\n")
        .body;
  }

  // All are linked again, and show the same; what that is.
  std::string meet(const std::string& query) {
    apart(false);
    EXPECT_TRUE(cluster_->wait_converged({}, 30));
    const auto shown = value(cluster_->dcs().front(), query);
    for (const auto& dc : cluster_->dcs()) EXPECT_EQ(value(dc, query), shown) << dc;
    return shown;
  }

  // Over all links of all gateways.
  uint64_t sum(const std::string& member) {
    uint64_t sum = 0;
    for (const auto& dc : cluster_->dcs()) {
      HttpClient client(cluster_->port(dc));
      const auto body = client.request("GET", "/v1/links").body;
      const auto name = "\"" + member + "\":";
      for (auto at = body.find(name); at != std::string::npos; at = body.find(name, at + 1)) {
        sum += std::stoull(body.substr(at + name.size()));
      }
    }
    return sum;
  }

  std::unique_ptr<Cluster> cluster_;
};

constexpr const char* kItems = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT);";
constexpr const char* kRows =
    "SELECT group_concat(id || '=' || v, ' ') FROM (SELECT * FROM t ORDER BY id)";
constexpr const char* kLww = "conflicts: {policy: lww, granularity: row}\n";

TEST_F(NamedCell, MySql_ARingThatIsRePointedSendsAChangeRoundForEver) {
  start({"a", "b", "c", "d"}, "{kind: circle, order: [a, b, c, d], failover_after: 500ms}", kItems);
  must("a", "INSERT INTO t VALUES ('1', 'before')");
  std::ostringstream text;
  text << std::ifstream(cluster_->folder() / "a.yaml").rdbuf();
  std::string next = text.str();
  const auto at = next.find("order: [a, b, c, d]");
  ASSERT_NE(at, std::string::npos);
  next.replace(at, 19, "order: [a, c, b, d]");
  const auto file = cluster_->folder() / "next.yaml";
  std::ofstream(file) << next;
  Process apply({Cluster::binary(), "topology", "apply", file.string(),
                 "http://127.0.0.1:" + std::to_string(cluster_->port("b"))},
                cluster_->folder() / "apply.log");
  EXPECT_EQ(apply.wait(), 0);
  ASSERT_TRUE(cluster_->wait_epoch(1, cluster_->dcs()));  // with counters that begin anew
  must("c", "INSERT INTO t VALUES ('2', 'after')");
  EXPECT_EQ(meet(kRows), "1=before 2=after");
  const uint64_t sent = sum("sent_transactions");
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(sum("sent_transactions"), sent);
}

TEST_F(NamedCell, Riak_ADiamondDeliversTwiceAndASpurNeverFeedsBack) {
  start({"a", "b", "c", "d", "e"}, "{kind: links, links: [[a, b], [a, c], [b, d], [c, d], [d, e]]}",
        kItems);
  for (int i = 0; i < 20; ++i) {
    must("a", "INSERT INTO t VALUES ('a" + std::to_string(i) + "', 'x')");
    must("e", "INSERT INTO t VALUES ('e" + std::to_string(i) + "', 'x')");
  }
  EXPECT_EQ(meet("SELECT CAST(count(*) AS TEXT) FROM t"), "40");
  EXPECT_EQ(sum("duplicates"), 0u);
}

TEST_F(NamedCell, Riak_ARestoredBackupUsesItsNumbersAgain) {
  start({"a", "b"}, "{kind: all-to-all}", kItems);
  const fs::path folder = cluster_->folder() / "b", backup = cluster_->folder() / "backup";
  ASSERT_EQ(cluster_->stop("b"), 0);
  fs::copy(folder, backup, fs::copy_options::recursive);
  cluster_->start("b");
  ASSERT_TRUE(cluster_->wait_ready("b"));
  must("b", "INSERT INTO t VALUES ('1', 'after the backup')");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  ASSERT_EQ(cluster_->stop("b"), 0);
  cut_off("b", true);
  fs::remove_all(folder);
  fs::rename(backup, folder);
  cluster_->start("b");
  ASSERT_TRUE(cluster_->wait_ready("b"));
  must("b", "INSERT INTO t VALUES ('2', 'under the same number')");
  cut_off("b", false);
  ASSERT_TRUE(comes_true([&] { return has(value("a", kRows), "2="); }));
  ASSERT_TRUE(cluster_->wait_ready("b"));
  EXPECT_EQ(meet(kRows), "1=after the backup 2=under the same number");
}

TEST_F(NamedCell, Riak_CrSqlite_AnOldTombstoneTakesTheRowThatWasMadeAgain) {
  start({"a", "b", "c"}, "{kind: all-to-all}", kItems, kLww);
  must("a", "INSERT INTO t VALUES ('k', 'first')");
  meet(kRows);
  cut_off("c", true);
  must("c", "DELETE FROM t");
  std::this_thread::sleep_for(5ms);
  must("a", "DELETE FROM t");
  must("a", "INSERT INTO t VALUES ('k', 'made again')");
  EXPECT_EQ(meet(kRows), "k=made again");
}

TEST_F(NamedCell, Corrosion_BothSidesDeleteTheSameRow) {
  start({"a", "b"}, "{kind: all-to-all}", kItems);
  must("a", "INSERT INTO t VALUES ('k', 'v')");
  meet(kRows);
  apart(true);
  must("a", "DELETE FROM t");
  must("b", "DELETE FROM t");
  EXPECT_EQ(meet("SELECT CAST(count(*) AS TEXT) FROM t"), "0");
  HttpClient client(cluster_->port("a"));
  EXPECT_FALSE(has(client.request("GET", "/v1/conflicts?table=t").body, "\"key\""));
  must("b", "INSERT INTO t VALUES ('k', 'again')");
  EXPECT_EQ(meet(kRows), "k=again");
}

TEST_F(NamedCell, Spock_SqlServer_TwoUniqueIndexesAndASwapInOneTransaction) {
  start({"a", "b"}, "{kind: all-to-all}",
        "CREATE TABLE t (id TEXT PRIMARY KEY, x TEXT UNIQUE, y TEXT UNIQUE);");
  const std::string rows =
      "SELECT group_concat(id || x || y, ' ') FROM (SELECT * FROM t ORDER BY id)";
  must("a", "INSERT INTO t VALUES ('1', 'p', 'q'), ('2', 'r', 's')");
  meet(rows);
  const auto answer = transaction(
      "a", {"BEGIN", "UPDATE t SET x = NULL WHERE id = '1'", "UPDATE t SET x = 'p' WHERE id = '2'",
            "UPDATE t SET x = 'r' WHERE id = '1'", "COMMIT"});
  ASSERT_FALSE(has(answer, R"("type":"error")")) << answer;
  EXPECT_EQ(meet(rows), "1rq 2ps");
  apart(true);  // each takes a key of the other's row, in another index
  must("a", "INSERT INTO t VALUES ('3', 'u', 'v')");
  must("b", "INSERT INTO t VALUES ('4', 'u', 'w'), ('5', 'z', 'v')");
  const auto shown = meet(rows);
  EXPECT_TRUE(has(shown, "1rq 2ps")) << shown;
  EXPECT_TRUE(has(shown, "3uv") != (has(shown, "4uw") && has(shown, "5zv"))) << shown;
}

TEST_F(NamedCell, Everybody_AnUpdateMeetsADelete) {
  start({"a", "b"}, "{kind: all-to-all}", kItems, kLww);
  must("a", "INSERT INTO t VALUES ('deleted last', 'v'), ('updated last', 'v')");
  meet(kRows);
  apart(true);
  must("a", "UPDATE t SET v = 'a' WHERE id = 'deleted last'");
  must("b", "DELETE FROM t WHERE id = 'updated last'");
  std::this_thread::sleep_for(5ms);
  must("b", "DELETE FROM t WHERE id = 'deleted last'");
  must("a", "UPDATE t SET v = 'a' WHERE id = 'updated last'");
  EXPECT_EQ(meet(kRows), "updated last=a");
  for (const auto& dc : cluster_->dcs()) {  // neither loser is lost
    HttpClient client(cluster_->port(dc));
    const auto lost = client.request("GET", "/v1/conflicts?table=t").body;
    EXPECT_TRUE(has(lost, "deleted last") && has(lost, "updated last")) << dc << ": " << lost;
  }
}

TEST_F(NamedCell, Corrosion_ABatchThatIsCutOffIsNotSentAgain) {
  start({"a", "b"}, "{kind: all-to-all}", kItems);
  std::thread flapping([&] {
    for (int i = 0; i < 20; ++i) {
      apart(i % 2 == 0);
      std::this_thread::sleep_for(40ms);
    }
  });
  for (int i = 0; i < 40; ++i) {
    must("a",
         "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
         "i < 50) SELECT '" +
             std::to_string(i) + "-' || i, printf('%.500c', 'x') FROM n");
  }
  flapping.join();
  EXPECT_EQ(meet("SELECT CAST(count(*) AS TEXT) FROM t"), "2000");
}

TEST_F(NamedCell, Corrosion_TheSchemaIsOneStepAheadOrBehind) {
  start({"a", "b"}, "{kind: all-to-all}", kItems);
  must("b", "INSERT INTO t VALUES ('1', 'old')");
  meet(kRows);
  apart(true);
  must("a", "ALTER TABLE t ADD COLUMN w TEXT DEFAULT 'filled'");
  must("a", "INSERT INTO t VALUES ('2', 'ahead', 'named')");
  must("b", "INSERT INTO t VALUES ('3', 'behind')");
  must("b", "UPDATE t SET v = 'behind' WHERE id = '1'");
  EXPECT_EQ(meet("SELECT group_concat(id || v || w, ' ') FROM (SELECT * FROM t ORDER BY id)"),
            "1behindfilled 2aheadnamed 3behindfilled");
}

TEST_F(NamedCell, Marmot_ABlobBecomesTextAndATableHasNoPrimaryKey) {
  start({"a", "b"}, "{kind: all-to-all}", kItems);
  must("a", "INSERT INTO t VALUES ('blob', x'00ff41'), ('text', 'A')");
  EXPECT_EQ(
      meet("SELECT group_concat(typeof(v) || hex(v), ' ') FROM (SELECT * FROM t ORDER BY id)"),
      "blob00FF41 text41");
  const auto refused = run("a", "CREATE TABLE bare (v TEXT)");
  if (has(refused, R"("type":"error")")) {
    EXPECT_TRUE(has(refused, "PRIMARY KEY") || has(refused, "primary key")) << refused;
  } else {  // then its rows are told apart, equal ones, too
    must("a", "INSERT INTO bare VALUES ('same'), ('same')");
    EXPECT_EQ(meet("SELECT CAST(count(*) AS TEXT) FROM bare"), "2");
  }
}

TEST_F(NamedCell, NullInAKeyFloatsAndIntegersPast2To53AreExact) {
  start({"a", "b"}, "{kind: all-to-all}",
        "CREATE TABLE t (id TEXT PRIMARY KEY, v); CREATE TABLE n (id INTEGER PRIMARY KEY, v);");
  EXPECT_TRUE(has(run("a", "INSERT INTO t VALUES (NULL, 1)"), R"("type":"error")"));
  must("a", "INSERT INTO n VALUES (9007199254740993, 0.1 + 0.2), (-9223372036854775808, 5e-324)");
  EXPECT_EQ(meet("SELECT group_concat(id || '=' || printf('%!.17g', v), ' ') FROM "
                 "(SELECT * FROM n ORDER BY id)"),
            "-9223372036854775808=4.9406564584124654e-324 9007199254740993=0.30000000000000004");
}

TEST_F(NamedCell, SqliteSync_ADeferredForeignKeyLeavesTheTransactionOpen) {
  start({"a", "b"}, "{kind: all-to-all}",
        "CREATE TABLE p (id TEXT PRIMARY KEY);"
        "CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES p DEFERRABLE INITIALLY DEFERRED);");
  const auto good = transaction("a", {"BEGIN", "INSERT INTO c VALUES ('1', 'late')",
                                      "INSERT INTO p VALUES ('late')", "COMMIT"});
  EXPECT_FALSE(has(good, R"("type":"error")")) << good;
  const auto bad = transaction("a", {"BEGIN", "INSERT INTO c VALUES ('2', 'never')", "COMMIT"});
  EXPECT_TRUE(has(bad, R"("type":"error")")) << bad;
  must("a", "INSERT INTO c VALUES ('3', 'late')");
  EXPECT_EQ(meet("SELECT group_concat(id) FROM (SELECT * FROM c ORDER BY id)"), "1,3");
}

TEST_F(NamedCell, Corrosion_OnePoisonRowLocksTheFleet) {
  start({"a", "b", "c"}, "{kind: all-to-all}",
        "CREATE TABLE t (id TEXT PRIMARY KEY, lo INTEGER, hi INTEGER, CHECK (lo <= hi));",
        "conflicts: {policy: lww, granularity: column}\n");
  must("a", "INSERT INTO t VALUES ('poison', 0, 10)");
  meet("SELECT group_concat(id) FROM t");
  apart(true);
  must("a", "UPDATE t SET lo = 5");
  must("b", "UPDATE t SET hi = 3");  // each is right, and together they are not
  must("a", "INSERT INTO t VALUES ('x', 1, 2)");
  must("b", "INSERT INTO t VALUES ('y', 1, 2)");
  EXPECT_EQ(meet("SELECT group_concat(id) FROM (SELECT * FROM t WHERE id <> 'poison' ORDER BY id)"),
            "x,y");
  must("c", "INSERT INTO t VALUES ('z', 1, 2)");
  EXPECT_EQ(meet("SELECT group_concat(id) FROM (SELECT * FROM t WHERE id <> 'poison' ORDER BY id)"),
            "x,y,z");
}

TEST_F(NamedCell, Antidote_OneSlowOriginStallsEverybody) {
  start({"a", "b", "c"}, "{kind: all-to-all}", kItems);
  must("c",
       "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
       "i < 2000) SELECT 'c' || i, printf('%.500c', 'x') FROM n");
  cut_off("c", true);  // in the middle of it, as a rule
  must("a", "INSERT INTO t VALUES ('1', 'fast')");
  EXPECT_TRUE(
      comes_true([&] { return has(value("b", "SELECT v FROM t WHERE id = '1'"), "fast"); }, 5s));
  EXPECT_EQ(meet("SELECT CAST(count(*) AS TEXT) FROM t"), "2001");
}

TEST_F(NamedCell, Cassandra_Spock_AClockTenYearsAheadWinsForTenYears) {
  cluster_ = std::make_unique<Cluster>(
      Cluster::Options{{"a", "b", "c"},
                       "{kind: all-to-all, failover_after: 200ms}",
                       kItems,
                       "schema_leader: b\nlimits: {heartbeat: 100ms, link_timeout: 2s, "
                       "reconnect_max: 200ms}\n" +
                           std::string(kLww)});
  cluster_->shift_clock("a", 0ms);
  cluster_->start_all();
  for (const auto& dc : cluster_->dcs()) ASSERT_TRUE(cluster_->wait_ready(dc));
  must("b", "INSERT INTO t VALUES ('k', 'before')");
  ASSERT_TRUE(cluster_->wait_converged({}, 30));
  cluster_->shift_clock("a", 10 * 365 * 24h);
  must("a", "UPDATE t SET v = 'of the year after next' WHERE id = 'k'");
  const auto status = [&](const std::string& dc) {
    HttpClient client(cluster_->port(dc));
    return client.request("GET", "/v1/status").body;
  };
  EXPECT_TRUE(comes_true([&] { return has(status("b"), "ahead of the clock here"); }));
  must("b",
       "UPDATE t SET v = 'of today' WHERE id = 'k'");  // it is the last word where clocks are sane
  EXPECT_TRUE(comes_true([&] { return value("c", kRows) == "k=of today"; }));
  EXPECT_EQ(value("b", kRows), "k=of today");
}

}  // namespace
}  // namespace entente::testing
