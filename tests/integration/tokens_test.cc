// Real gateways that want tokens, and the commands that make, send and keep them.

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/cluster.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

constexpr const char* kSecurity =
    "{insecure: true, tokens: {keys: [ca/token.pub], revoked: revoked}}";

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Two datacenters, whose `items` keeps siblings and whose `other` does not.
class Tokens : public ::testing::Test {
 protected:
  Tokens()
      : cluster_({{"a", "b"},
                  "{kind: all-to-all}",
                  "CREATE TABLE items (id INTEGER PRIMARY KEY, v TEXT);"
                  "CREATE TABLE other (id INTEGER PRIMARY KEY, v TEXT);",
                  "tables: {items: {policy: siblings, granularity: row}}\n",
                  {},
                  false,
                  kSecurity}) {
    // Tokens are for a cluster, whatever else its file says.
    std::ofstream(path("cluster.yaml"))
        << "cluster: test\ntopology: {kind: all-to-all}\nsecurity: {insecure: true}\n"
           "datacenters: {a: {peers: \"ws://127.0.0.1:1\", clients: \"127.0.0.1:2\"}}\n";
    std::ofstream(path("revoked")).flush();
    EXPECT_EQ(run({"token", "init", path("cluster.yaml"), "--folder", path("ca")}), 0) << said_;
  }

  std::string path(const std::string& name) const { return (cluster_.folder() / name).string(); }

  // Runs a command; what it says is in said_.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Cluster::binary());
    const auto output = cluster_.folder() / "said";
    Process process(std::move(arguments), output);
    const int code = process.wait();
    said_ = contents(output);
    return code;
  }

  // A file with a token, as a header.
  std::string token(const std::string& name, const std::vector<std::string>& what) {
    std::vector<std::string> arguments = {
        "token", "new",     path("cluster.yaml"), "--key", path("ca/token.key"), "--sub", name,
        "--out", path(name)};
    arguments.insert(arguments.end(), what.begin(), what.end());
    EXPECT_EQ(run(arguments), 0) << said_;
    std::string text = contents(path(name));
    text.resize(text.find_last_not_of('\n') + 1);
    return "Authorization: Bearer " + text + "\r\n";
  }

  HttpResponse ask(const std::string& dc, const std::string& method, const std::string& target,
                   const std::string& body, const std::string& headers) const {
    return HttpClient(cluster_.port(dc)).request(method, target, body, headers);
  }
  std::string sql(const std::string& dc, const std::string& statement,
                  const std::string& headers) const {
    return ask(dc, "POST", "/v2/pipeline",
               R"({"requests":[{"type":"execute","stmt":{"sql":")" + statement +
                   R"("}},{"type":"close"}]})",
               headers)
        .body;
  }

  Cluster cluster_;
  std::string said_;
};

// Two writers who saw nothing of each other, and somebody who decides.
TEST_F(Tokens, WhoDecidedIsNamedInEveryDatacenter) {
  const auto ada = token("ada", {"--role", "write"});
  auto& link = cluster_.proxy("a", "b");
  cluster_.start_all();
  ASSERT_TRUE(cluster_.wait_ready("a") && cluster_.wait_ready("b"));
  const std::string row = "/v1/tables/items/rows/1";
  ASSERT_TRUE(comes_true([&] { return has(ask("b", "GET", row, "", ada).body, "no_such_row"); }));
  link.set_up(false);
  ASSERT_EQ(ask("a", "PUT", row, R"({"row":{"v":"from a"}})", ada).status, 200);
  ASSERT_EQ(ask("b", "PUT", row, R"({"row":{"v":"from b"}})", ada).status, 200);
  link.set_up(true);
  ASSERT_TRUE(
      comes_true([&] { return has(ask("a", "GET", row, "", ada).body, R"("conflict":"open")"); }));
  const auto conflict = ask("a", "GET", "/v1/conflicts?state=open", "", ada).body;
  const auto begin = conflict.find(R"("id":)") + 5;
  const auto id = conflict.substr(begin, conflict.find(',', begin) - begin);
  ASSERT_EQ(
      ask("a", "POST", "/v1/conflicts/" + id + "/resolve", R"({"row":{"v":"both"}})", ada).status,
      200);
  for (const auto* dc : {"a", "b"}) {
    EXPECT_TRUE(comes_true([&] {
      return has(ask(dc, "GET", "/v1/conflicts?state=resolved", "", ada).body,
                 R"("decided_by":"operator:ada")");
    })) << dc
        << ask(dc, "GET", "/v1/conflicts", "", ada).body;
  }
}

// Elsewhere than at the leader, the right is looked at before anything is sent on.
TEST_F(Tokens, SchemaIsChangedFromAnywhereByWhoMay) {
  const auto sam = token("sam", {"--role", "schema"}), wendy = token("wendy", {"--role", "write"});
  cluster_.start_all();
  ASSERT_TRUE(cluster_.wait_ready("a") && cluster_.wait_ready("b"));
  ASSERT_TRUE(comes_true([&] {
    return has(sql("b", "CREATE TABLE made (id INTEGER PRIMARY KEY)", sam), "affected_row_count");
  }));
  EXPECT_TRUE(has(sql("b", "SELECT count(*) FROM made", wendy), "affected_row_count"));
  for (const auto* dc : {"a", "b"}) {
    EXPECT_TRUE(has(sql(dc, "DROP TABLE made", wendy), "SQLITE_AUTH")) << dc;
    EXPECT_TRUE(has(sql(dc, "DROP TABLE IF EXISTS main.made", wendy), "SQLITE_AUTH")) << dc;
  }
  // A transaction that went on at the leader, where nobody looks at rights.
  const auto weaker = token("sam", {"--role", "write"});
  const auto go_on = [&](const std::string& baton, const std::string& statement,
                         const std::string& headers) {
    return ask("b", "POST", "/v3/pipeline",
               R"({"baton":)" + baton + R"(,"requests":[{"type":"execute","stmt":{"sql":")" +
                   statement + R"("}}]})",
               headers)
        .body;
  };
  const auto baton_of = [](const std::string& body) {
    const auto begin = body.find(R"("baton":)") + 8;
    return body.substr(begin, body.find(',', begin) - begin);
  };
  auto body = go_on("null", "BEGIN", sam);
  body = go_on(baton_of(body), "CREATE TABLE half (id INTEGER PRIMARY KEY)", sam);
  EXPECT_TRUE(has(body, "affected_row_count")) << body;
  body = go_on(baton_of(body), "INSERT INTO items VALUES (99, 'x')", weaker);
  EXPECT_TRUE(has(body, "SQLITE_AUTH")) << body;
  body = go_on(baton_of(body), "ROLLBACK", weaker);
  EXPECT_TRUE(has(body, "affected_row_count")) << body;
  EXPECT_FALSE(has(sql("b", "SELECT count(*) FROM half", sam), "affected_row_count"));
  EXPECT_TRUE(has(cluster_.output("b"), "audit action=schema sub=sam"));
  EXPECT_TRUE(has(cluster_.output("a"), "audit action=schema sub=gateway:b"))
      << cluster_.output("a");
  EXPECT_TRUE(has(cluster_.output("b"), "target=\"DROP TABLE made\" result=refused"));
  EXPECT_EQ(ask("b", "GET", "/v1/status", "", "").status, 401);
  const auto metrics = ask("b", "GET", "/metrics", "", wendy).body;
  for (const auto* line : {"entente_auth_refused_total{reason=\"missing\"} 1",
                           "entente_audit_total{action=\"schema\",result=\"refused\"} 2"}) {
    EXPECT_TRUE(has(metrics, line)) << line << "\n" << metrics;
  }
}

TEST_F(Tokens, CommandsNeedTheTokenAndSayWhy) {
  token("ada", {"--role", "operate"});
  cluster_.start_all();
  ASSERT_TRUE(cluster_.wait_ready("a") && cluster_.wait_ready("b"));
  const std::string url = "http://127.0.0.1:" + std::to_string(cluster_.port("a"));
  EXPECT_EQ(run({"status", url}), 1);
  EXPECT_TRUE(has(said_, "wants a token")) << said_;
  EXPECT_TRUE(comes_true([&] {
    return run({"status", url, "--token-file", path("ada")}) == 0;
  })) << said_;
  EXPECT_EQ(run({"sql", url, "--token-file", path("ada"), "-c", "SELECT 41 + 1"}), 0) << said_;
  EXPECT_TRUE(has(said_, "42")) << said_;
  EXPECT_EQ(run({"verify", url, "--token-file", path("ada")}), 0) << said_;
  EXPECT_EQ(run({"conflicts", "list", url}), 1) << said_;
  EXPECT_EQ(run({"conflicts", "list", url, "--token-file", path("ada")}), 0) << said_;
  std::filesystem::permissions(path("ada"), std::filesystem::perms(0644));
  EXPECT_EQ(run({"status", url, "--token-file", path("ada")}), 1);
  EXPECT_TRUE(has(said_, "chmod 600")) << said_;
  // Nothing of a token in any log.
  for (const auto* dc : {"a", "b"}) EXPECT_FALSE(has(cluster_.output(dc), "eyJ")) << dc;
}

TEST_F(Tokens, GatewayDoesNotStartWithoutItsKeys) {
  std::filesystem::remove(path("ca/token.pub"));
  cluster_.start("a", true);
  EXPECT_EQ(cluster_.process("a").wait(), 1);
  EXPECT_TRUE(has(cluster_.output("a"), "token.pub")) << cluster_.output("a");
}

// On SIGHUP, or within ten seconds, and no restart.
TEST_F(Tokens, FilesAreLookedAtWhileTheGatewayRuns) {
  const auto ada = token("ada", {"--role", "read"}), bob = token("bob", {"--role", "read"});
  ASSERT_EQ(run({"token", "show", path("ada")}), 0);
  const auto begin = said_.find("jti)") + 4;
  std::istringstream rest(said_.substr(begin));
  std::string jti;
  rest >> jti;
  cluster_.start("a", true);
  ASSERT_TRUE(cluster_.wait_ready("a"));
  ASSERT_EQ(ask("a", "GET", "/v1/status", "", ada).status, 200);
  std::ofstream(path("revoked")) << jti << "\n";
  cluster_.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return ask("a", "GET", "/v1/status", "", ada).status == 401; },
                         std::chrono::seconds(2)));
  EXPECT_EQ(ask("a", "GET", "/v1/status", "", bob).status, 200);
  std::ofstream(path("ca/token.pub")) << "no key";
  EXPECT_TRUE(comes_true([&] { return has(cluster_.output("a"), "token_files_not_taken"); }));
  EXPECT_EQ(ask("a", "GET", "/v1/status", "", bob).status, 200);
  EXPECT_TRUE(
      has(ask("a", "GET", "/metrics", "", bob).body, "entente_token_files_not_taken_total 1"));
}

}  // namespace
}  // namespace entente::testing
