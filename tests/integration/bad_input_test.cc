// What clients send that makes no sense gets a clear answer and changes nothing; what a gateway is
// started on that it must not touch is refused with a sentence.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

constexpr const char* kJson = "Content-Type: application/json\r\n";

class BadInput : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>(
        Cluster::Options{{"solo"},
                         "{kind: all-to-all}",
                         "CREATE TABLE items (id INTEGER PRIMARY KEY, v TEXT, x REAL);\n"
                         "CREATE TABLE pairs (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b));",
                         "limits: {header_timeout: 700ms, body_timeout: 700ms, body_bytes: 1MiB, "
                         "connections: 64}\n"});
    cluster_->start_all();
    ASSERT_TRUE(cluster_->wait_ready("solo")) << cluster_->output("solo");
    HttpClient client(cluster_->port("solo"));
    ASSERT_EQ(
        client.request("PUT", "/v1/tables/items/rows/1", R"({"row":{"v":"kept"}})", kJson).status,
        200);
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(cluster_->stop("solo"), 0);
    cluster_.reset();
  }

  void SetUp() override { before_ = cluster_->applied("solo"); }
  void TearDown() override {
    EXPECT_EQ(cluster_->applied("solo"), before_) << "a refused request changed something";
    EXPECT_TRUE(cluster_->process("solo").running());
  }

  static int port() { return cluster_->port("solo"); }

  static HttpResponse raw(const std::string& bytes) { return HttpClient(port()).raw(bytes); }

  // A request that must be refused with this status and this problem code.
  static void refused(const std::string& method, const std::string& target, const std::string& body,
                      int status, const std::string& code = "") {
    SCOPED_TRACE(method + " " + target + " " + body.substr(0, 100));
    HttpClient client(port());
    const auto response = client.request(method, target, body, kJson);
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.headers.at("content-type"), "application/problem+json");
    simdjson::dom::parser parser;
    simdjson::dom::element problem;
    ASSERT_EQ(parser.parse(response.body).get(problem), simdjson::SUCCESS) << response.body;
    std::string_view text;
    EXPECT_EQ(problem["detail"].get_string().get(text), simdjson::SUCCESS) << response.body;
    EXPECT_GT(text.size(), 10u);
    ASSERT_EQ(problem["code"].get_string().get(text), simdjson::SUCCESS) << response.body;
    if (!code.empty()) {
      EXPECT_EQ(text, code) << response.body;
    }
  }

  static inline std::unique_ptr<Cluster> cluster_;
  VersionVector before_;
};

TEST_F(BadInput, MalformedHttpIsRefused) {
  for (const std::string bytes :
       {"GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /livez HTTP/1.1\r\nbad header\r\n\r\n"}) {
    EXPECT_EQ(raw(bytes).status, 400) << bytes;
  }
}

TEST_F(BadInput, AmbiguousFramingIsRefused) {
  const std::string put = "PUT /v1/tables/items/rows/1 HTTP/1.1\r\nHost: localhost\r\n";
  const std::string body = "{\"row\":{}}";
  for (const std::string head :
       {"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 10\r\n",
        "Content-Length: 10\r\nContent-Length: 11\r\n", "Content-Length: -1\r\n",
        "Content-Length: 10x\r\n", "Content-Length: 99999999999999999999999\r\n"}) {
    const auto response = raw(put + head + "\r\n" + body);
    EXPECT_TRUE(response.status >= 400 && response.status < 500) << head << response.status;
  }
}

TEST_F(BadInput, OversizeHeadsAndBodiesAreRefused) {
  EXPECT_EQ(raw("GET /livez HTTP/1.1\r\nX: " + std::string(64 << 10, 'a') + "\r\n\r\n").status,
            431);
  HttpClient client(port());
  EXPECT_EQ(
      client.request("PUT", "/v1/tables/items/rows/1", std::string(2 << 20, ' '), kJson).status,
      413);
}

TEST_F(BadInput, SlowAndSilentClientsAreCut) {
  EXPECT_NE(raw("GET /livez HTTP/1.1\r\nHost:").status, 200);
  EXPECT_NE(raw("PUT /v1/tables/items/rows/1 HTTP/1.1\r\nContent-Length: 100\r\n\r\n{").status,
            200);
}

TEST_F(BadInput, InvalidJsonIsRefused) {
  const std::string row = "/v1/tables/items/rows/1";
  for (const std::string body :
       {"", "{", "[]", "null", "{\"row\":[]}", "{\"row\":{\"v\":}}", "{\"row\":{\"v\":NaN}}",
        "{\"row\":{\"v\":\"\xff\xfe\"}}", "{\"row\":{\"v\":\"\\ud800\"}}", "{\"row\":{\"v\":true}}",
        "{\"row\":{\"x\":123456789012345678901234567890}}",
        "{\"row\":{\"v\":{\"base64\":\"***\"}}}", "{\"row\":{\"v\":{\"other\":1}}}",
        "{\"row\":{}} trailing", "{\"context\":\"nonsense\",\"row\":{}}",
        "{\"row\":{},\"unknown\":1}"}) {
    refused("PUT", row, body, 400);
  }
  refused("PUT", row, std::string(5000, '[') + std::string(5000, ']'), 400);
}

TEST_F(BadInput, UnknownTablesColumnsAndKeyShapesAreNamed) {
  refused("GET", "/v1/tables/nothing/rows/1", "", 404, "unknown_table");
  refused("PUT", "/v1/tables/nothing/rows/1", "{\"row\":{}}", 404, "unknown_table");
  refused("PUT", "/v1/tables/items/rows/1", "{\"row\":{\"nope\":1}}", 400, "unknown_column");
  refused("PUT", "/v1/tables/items/rows/1,2", "{\"row\":{}}", 400, "key_shape");
  refused("PUT", "/v1/tables/items/rows/abc", "{\"row\":{}}", 422, "SQLITE_MISMATCH");
  refused("PUT", "/v1/tables/pairs/rows/a", "{\"row\":{}}", 400, "key_shape");
  refused("PUT", "/v1/tables/items/rows/2%zz", "{\"row\":{}}", 400);
  refused("PUT", "/v1/tables/_entente_log/rows/1", "{\"row\":{}}", 404, "unknown_table");
  refused("GET", "/v1/nowhere", "", 404);
  refused("PATCH", "/v1/conflicts", "{}", 405);
}

TEST_F(BadInput, ATransactionWithOneBadWriteChangesNothing) {
  refused("POST", "/v1/transactions",
          R"({"writes":[{"op":"put","table":"items","key":7,"row":{"v":"a"}},)"
          R"({"op":"put","table":"items","key":8,"row":{"nope":1}}]})",
          400, "unknown_column");
  refused("POST", "/v1/transactions", R"({"writes":[{"op":"fly","table":"items","key":7}]})", 400);
  HttpClient client(port());
  EXPECT_EQ(client.request("GET", "/v1/tables/items/rows/7").status, 404);
}

TEST_F(BadInput, TokensOfTheWrongKindOrFromTheFutureAreRefused) {
  HttpClient client(port());
  EXPECT_EQ(client.request("GET", "/livez", "", "Entente-Session: rubbish\r\n").status, 400);
  EXPECT_EQ(
      client.request("GET", "/v1/tables/items/rows/1", "", "Entente-Session: rubbish\r\n").status,
      400);
}

// The code of the error that a statement by Hrana got, or its whole answer.
std::string error_of(int port, const std::string& statement) {
  const std::string body = sql(port, statement);
  simdjson::dom::parser parser;
  std::string_view code;
  const auto parsed = parser.parse(body);
  if (parsed["results"].at(0)["error"]["code"].get_string().get(code) != simdjson::SUCCESS)
    return body;
  return std::string(code);
}

TEST_F(BadInput, SqlThatIsWrongOrNotAllowedIsRefused) {
  EXPECT_EQ(error_of(port(), "SELEC 1"), "SQLITE_ERROR");
  EXPECT_EQ(error_of(port(), "SELECT * FROM nothing"), "SQLITE_ERROR");
  EXPECT_EQ(error_of(port(), "SELECT 1; SELECT 2"), "SQL_MANY_STATEMENTS");
  EXPECT_EQ(error_of(port(), "INSERT INTO items (id) VALUES (1)"), "SQLITE_CONSTRAINT");
  for (const std::string statement :
       {"ATTACH DATABASE 'x.db' AS x", "SELECT load_extension('x')", "DELETE FROM _entente_log",
        "INSERT INTO _entente_state VALUES (1)", "DROP TABLE _entente_log",
        "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = 1", "VACUUM INTO 'copy.db'",
        "CREATE TABLE keyless (rowid, _rowid_, oid)",
        "CREATE TABLE starred (id TEXT PRIMARY KEY, [*] TEXT)",
        "CREATE TEMP TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE copied AS SELECT * FROM items",
        "INSERT OR ROLLBACK INTO items (id) VALUES (1)"}) {
    const std::string body = sql(port(), statement);
    EXPECT_NE(body.find("\"type\":\"error\""), std::string::npos) << statement << " → " << body;
  }
}

TEST_F(BadInput, GarbageForHranaIsRefused) {
  HttpClient client(port());
  for (const std::string body :
       {"", "{}", "{\"requests\":5}", "{\"baton\":\"forged\",\"requests\":[]}"}) {
    EXPECT_EQ(client.request("POST", "/v2/pipeline", body, kJson).status, 400) << body;
  }
}

TEST_F(BadInput, IntegersBeyondDoublesStayExact) {
  HttpClient client(port());
  const auto response = client.request("GET", "/v1/tables/items/rows/9007199254740993");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(client.request("GET", "/v1/tables/items/rows/9007199254740992").status, 404);
}

// ---- What a gateway is started on ---------------------------------------------------------------

Cluster::Options one() {
  return {{"solo"}, "{kind: all-to-all}", "CREATE TABLE t (id TEXT PRIMARY KEY);", ""};
}

TEST(Start, ADataFolderInUseIsRefused) {
  Cluster cluster(one());
  cluster.start("solo");
  ASSERT_TRUE(cluster.wait_ready("solo"));
  Process second({Cluster::binary(), "serve", "--config", (cluster.folder() / "solo.yaml").string(),
                  "--dc", "solo", "--data", (cluster.folder() / "solo").string()},
                 cluster.folder() / "second.log");
  EXPECT_EQ(second.wait(), 1);
  std::ifstream log(cluster.folder() / "second.log");
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  EXPECT_NE(text.find("in use"), std::string::npos) << text;
}

TEST(Start, AFileThatIsNoDatabaseIsRefused) {
  Cluster cluster(one());
  cluster.start("solo");
  ASSERT_TRUE(cluster.wait_ready("solo"));
  ASSERT_EQ(cluster.stop("solo"), 0);
  std::ofstream(cluster.folder() / "solo" / "solo.db") << std::string(8192, 'x');
  cluster.start("solo");
  EXPECT_EQ(cluster.process("solo").wait(), 1);
  EXPECT_NE(cluster.output("solo").find("not a SQLite database"), std::string::npos)
      << cluster.output("solo");
}

TEST(Start, AFileWithMistakesIsRefusedBeforeAnyPortIsOpen) {
  Cluster cluster({{"solo"}, "{kind: cirle}", "", "colour: red\n"});
  cluster.start("solo");
  EXPECT_EQ(cluster.process("solo").wait(), 2);
  EXPECT_NE(cluster.output("solo").find("circle"), std::string::npos) << cluster.output("solo");
  EXPECT_NE(cluster.output("solo").find("colour"), std::string::npos);
}

TEST(Start, ADatabaseThatWasCopiedIsRefused) {
  Cluster cluster(one());
  cluster.start("solo");
  ASSERT_TRUE(cluster.wait_ready("solo"));
  ASSERT_EQ(cluster.stop("solo"), 0);
  std::filesystem::remove(cluster.folder() / "solo" / "incarnation");
  cluster.start("solo");
  EXPECT_EQ(cluster.process("solo").wait(), 1);
  EXPECT_NE(cluster.output("solo").find("copied"), std::string::npos) << cluster.output("solo");
}

}  // namespace
}  // namespace entente::testing
