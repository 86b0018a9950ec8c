// Tables without a primary key, and small numbers, between real gateways: what an ORM makes of a
// relation between many and many.

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

class Keyless : public ::testing::Test {
 protected:
  Keyless()
      : cluster_({{"a", "b", "c"},
                  "{kind: all-to-all}",
                  "CREATE TABLE log (what TEXT, n INTEGER);"
                  "CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT);"
                  "CREATE TABLE \"_AToB\" (\"A\" TEXT NOT NULL, \"B\" TEXT NOT NULL);",
                  "keys: {numbering: interleaved}\n"}),
        link_(cluster_.proxy("a", "b")) {}

  void SetUp() override {
    cluster_.start_all();
    for (const auto& dc : cluster_.dcs()) {
      ASSERT_TRUE(cluster_.wait_ready(dc)) << cluster_.output(dc);
    }
  }

  std::string run(const std::string& dc, const std::string& statement) {
    auto answer = sql(cluster_.port(dc), statement);
    EXPECT_FALSE(has(answer, "\"error\"")) << dc << ": " << statement << ": " << answer;
    return answer;
  }
  void everybody_has_everything() {
    VersionVector all;
    for (const auto& dc : cluster_.dcs()) all.join(cluster_.applied(dc));
    ASSERT_TRUE(cluster_.wait_converged(all, 30));
  }
  // The one integer that a query answers.
  int64_t number(const std::string& dc, const std::string& query) {
    const auto answer = run(dc, query);
    std::smatch found;
    const std::regex integer(R"re("type":"integer","value":"(-?\d+)")re");
    EXPECT_TRUE(std::regex_search(answer, found, integer)) << answer;
    return found.empty() ? -1 : std::stoll(found[1]);
  }
  std::string get(const std::string& dc, const std::string& path) {
    HttpClient client(cluster_.port(dc));
    return client.request("GET", path).body;
  }
  std::string verify() {
    const auto log = cluster_.folder() / "verify.log";
    Process process(
        {Cluster::binary(), "verify", "http://127.0.0.1:" + std::to_string(cluster_.port("a"))},
        log);
    EXPECT_EQ(process.wait(), 0);
    std::ostringstream text;
    text << std::ifstream(log).rdbuf();
    return text.str();
  }

  Cluster cluster_;
  TcpProxy& link_;
};

TEST_F(Keyless, TheSameLinkMadeAtTwoSitesIsOneLinkAndCanBeDeleted) {
  run("a", "CREATE UNIQUE INDEX \"_AToB_AB_unique\" ON \"_AToB\" (\"A\", \"B\")");
  everybody_has_everything();
  cluster_.kill("c");
  link_.set_up(false);
  for (const char* dc : {"a", "b"}) {
    run(dc, "INSERT INTO \"_AToB\" VALUES ('post', 'tag') ON CONFLICT DO NOTHING");
    run(dc, std::string("INSERT INTO log VALUES ('at ") + dc + "', 1), ('twice', 2), ('twice', 2)");
  }
  link_.set_up(true);
  cluster_.start("c");
  ASSERT_TRUE(cluster_.wait_ready("c"));
  everybody_has_everything();
  for (const auto& dc : cluster_.dcs()) {
    EXPECT_EQ(number(dc, "SELECT count(*) FROM \"_AToB\""), 1) << dc;
    EXPECT_EQ(number(dc, "SELECT count(*) FROM log"), 6) << dc;
    EXPECT_TRUE(has(get(dc, "/v1/conflicts?state=open"), "\"conflicts\":[]"));
  }
  EXPECT_TRUE(has(verify(), "equal"));
  const auto row = std::to_string(number("b", "SELECT rowid FROM log WHERE what = 'at a'"));
  EXPECT_TRUE(has(get("b", "/v1/tables/log/rows/" + row), "\"what\":\"at a\""));
  EXPECT_TRUE(has(get("b", "/v1/tables/log/rows/" + row), "\"rowid\":" + row));

  run("c", "DELETE FROM \"_AToB\" WHERE \"A\" = 'post'");
  run("b", "UPDATE log SET n = n + 10 WHERE what = 'twice'");
  run("a", "DELETE FROM log WHERE what = 'at b'");
  everybody_has_everything();
  for (const auto& dc : cluster_.dcs()) {
    EXPECT_EQ(number(dc, "SELECT count(*) FROM \"_AToB\""), 0) << dc;
    EXPECT_EQ(number(dc, "SELECT count(*) FROM log"), 5) << dc;
    EXPECT_EQ(number(dc, "SELECT sum(n) FROM log"), 49) << dc;
  }
  EXPECT_TRUE(has(verify(), "equal"));
}

TEST_F(Keyless, SmallNumbersOfALifeThatIsOverAreNotGivenAgain) {
  std::set<int64_t> given;
  const auto order = [&](const std::string& dc) {
    return number(dc, "INSERT INTO orders (what) VALUES ('tea') RETURNING id");
  };
  for (const auto& dc : cluster_.dcs()) {
    int64_t last = 0;
    for (int i = 0; i < 10; ++i) {
      const int64_t id = order(dc);
      EXPECT_TRUE(given.insert(id).second) << id;
      EXPECT_GT(id, last);
      last = id;
    }
  }
  everybody_has_everything();
  // What c writes while nobody hears it is lost with its disk.
  for (const char* dc : {"a", "b"}) cluster_.kill(dc);
  for (int i = 0; i < 10; ++i) given.insert(order("c"));
  cluster_.kill("c");
  std::filesystem::remove_all(cluster_.folder() / "c");
  for (const char* dc : {"a", "b"}) {
    cluster_.start(dc);
    ASSERT_TRUE(cluster_.wait_ready(dc)) << cluster_.output(dc);
  }
  cluster_.start("c", false);
  ASSERT_TRUE(cluster_.wait_ready("c")) << cluster_.output("c");
  for (int i = 0; i < 10; ++i) {
    for (const auto& dc : cluster_.dcs()) EXPECT_TRUE(given.insert(order(dc)).second);
  }
  everybody_has_everything();
  for (const auto& dc : cluster_.dcs()) {
    EXPECT_EQ(number(dc, "SELECT count(*) FROM orders"), 60) << dc;
  }
}

}  // namespace
}  // namespace entente::testing
