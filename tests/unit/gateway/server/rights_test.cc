// Who may ask what of a gateway that wants tokens: every route, and every way around a table's
// rights.

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "gateway/http/router.h"
#include "tests/support/expect.h"
#include "tests/support/feed_client.h"
#include "tests/unit/gateway/server/guarded.h"
#include "tests/unit/gateway/server/web_socket_client.h"

namespace entente {
namespace {

using test::Guarded;
using test::HttpClient;
using test::TestKey;
using test::WebSocketClient;
using testing::comes_true;
using testing::FeedClient;
using testing::has;

constexpr const char* kCarts = R"(write","tables":{"carts":["read","write"]})";

// What is logged while it lives.
class Log {
 public:
  Log() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", std::move(sink)));
  }
  ~Log() { spdlog::set_default_logger(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
};

std::string path_of(const Router::Route& route) {
  std::string path;
  for (const auto segment : route.pattern) {
    path += "/" + std::string(segment == "*" ? "1" : segment);
  }
  return path.empty() ? "/" : path;
}

HttpClient::Reply ask(const Guarded& gateway, const Router::Route& route,
                      const std::string& headers) {
  HttpClient client(gateway.port());
  return client.ask(to_string(route.method), path_of(route), "", headers);
}

std::vector<Router::Route> http_routes(Guarded& gateway) {
  std::vector<Router::Route> routes;
  for (const auto& route : gateway.served().server().routes().routes()) {
    if (route.method != Method::kWebSocket) routes.push_back(route);
  }
  return routes;
}

// ---- Every route -------------------------------------------------------------------------------

TEST(Rights, StrangerGetsA401FromEveryRouteButLivezAndReadyz) {
  Guarded gateway;
  std::set<std::string> open;
  for (const auto& route : http_routes(gateway)) {
    const auto reply = ask(gateway, route, "");
    const std::string what = std::string(to_string(route.method)) + " " + path_of(route);
    EXPECT_EQ(reply.header("Entente-Dc") + reply.header("Entente-Session"), "") << what;
    if (reply.status == 200) {
      open.insert(what);
      EXPECT_TRUE(reply.body == "ok\n" || reply.body == "ready\n") << what;
      continue;
    }
    EXPECT_EQ(reply.status, 401) << what;
    EXPECT_TRUE(has(reply.body, "AUTH_HTTP_HEADER_MISSING")) << what << reply.body;
    EXPECT_TRUE(has(reply.header("WWW-Authenticate"), "Bearer")) << what;
    EXPECT_FALSE(has(reply.body, "here")) << what << reply.body;
  }
  EXPECT_EQ(open, (std::set<std::string>{"GET /livez", "POST /livez", "GET /readyz"}));
}

TEST(Rights, StrangerIsNotToldWhatIsThere) {
  Guarded gateway;
  HttpClient client(gateway.port());
  EXPECT_EQ(client.ask("GET", "/no/such/path").status, 401);
  EXPECT_EQ(client.ask("DELETE", "/v1/status").status, 401);
  const auto headers = Guarded::header(gateway.token("read"));
  EXPECT_EQ(client.ask("GET", "/no/such/path", "", headers).status, 404);
  EXPECT_EQ(client.ask("DELETE", "/v1/status", "", headers).status, 405);
}

TEST(Rights, WrongTokenOpensNoRoute) {
  Guarded gateway;
  const auto headers = Guarded::header(TestKey().token("{}"));
  for (const auto& route : http_routes(gateway)) {
    if (route.right == Right::kOpen) continue;
    const auto reply = ask(gateway, route, headers);
    EXPECT_TRUE(reply.status == 401 || reply.status == 429) << reply.status << path_of(route);
  }
}

TEST(Rights, EveryRouteWantsItsRight) {
  Guarded gateway;
  const char* below[] = {"", "", "read", "write", "schema", "operate"};
  size_t looked_at = 0;
  for (const auto& route : http_routes(gateway)) {
    if (route.right <= Right::kRead) continue;
    ++looked_at;
    const auto token = gateway.token(below[static_cast<size_t>(route.right)]);
    const auto reply = ask(gateway, route, Guarded::header(token));
    EXPECT_EQ(reply.status, 403) << to_string(route.method) << path_of(route);
    EXPECT_TRUE(has(reply.body, "AUTH_FORBIDDEN")) << reply.body;
    const auto enough = gateway.token(std::string(to_string(route.right)));
    EXPECT_NE(ask(gateway, route, Guarded::header(enough)).status, 403)
        << to_string(route.method) << path_of(route);
  }
  EXPECT_GE(looked_at, 9u);
}

TEST(Rights, WithoutKeysEverybodyMayDoEverything) {
  test::Served served;
  HttpClient client(served.port());
  EXPECT_EQ(client.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":"x"}})").status, 200);
  const auto reply = client.ask("GET", "/v1/conflicts", "", "Authorization: Bearer nonsense\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Entente-Dc"), "here");
}

// ---- How it is said ----------------------------------------------------------------------------

TEST(Rights, SqlClientsAreToldInTheFormThatTheyShow) {
  Guarded gateway;
  HttpClient client(gateway.port());
  for (const auto* path : {"/v2/pipeline", "/v3/pipeline", "/v3/cursor", "/v1/execute"}) {
    const auto reply = client.ask("POST", path, "{}");
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.header("Content-Type"), "application/json");
    EXPECT_TRUE(reply.body.starts_with(R"({"message":"this gateway wants a token)")) << reply.body;
    EXPECT_TRUE(reply.body.ends_with(R"("code":"AUTH_HTTP_HEADER_MISSING"})")) << reply.body;
  }
  const auto expired = gateway.key().token(R"({"aud":"test","exp":1,"a":"rw"})");
  EXPECT_TRUE(has(gateway.sql(expired, "SELECT 1"), R"("code":"AUTH_JWT_EXPIRED")"));
  const auto early =
      gateway.key().token(R"({"aud":"test","exp":4000000000,"nbf":3999999999,"a":"rw"})");
  EXPECT_TRUE(has(gateway.sql(early, "SELECT 1"), R"("code":"AUTH_JWT_IMMATURE")"));
}

TEST(Rights, TwoAuthorizationHeadersAreNone) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto header = Guarded::header(gateway.token("read"));
  EXPECT_EQ(client.ask("GET", "/v1/conflicts", "", header).status, 200);
  const auto reply = client.ask("GET", "/v1/conflicts", "", header + header);
  EXPECT_EQ(reply.status, 401);
  EXPECT_TRUE(has(reply.body, "AUTH_HEADER_MALFORMED")) << reply.body;
}

TEST(Rights, ManyWrongTokensAreAskedToWait) {
  Guarded gateway;
  HttpClient client(gateway.port());
  HttpClient::Reply reply;
  const auto wrong = Guarded::header(TestKey().token("{}"));
  // All within the same second, in one of the rounds.
  EXPECT_TRUE(comes_true([&] {
    for (int i = 0; i < 12 && reply.status != 429; ++i) {
      reply = client.ask("GET", "/v1/status", "", wrong);
    }
    return reply.status == 429;
  }));
  EXPECT_EQ(reply.header("Retry-After"), "1");
}

TEST(Rights, AuditNamesActsAndRefusedTokensAndNothingElse) {
  const Log log;
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto with = [&](const std::string& token) { return Guarded::header(token); };
  client.ask("POST", "/v1/verify", "{}", with(gateway.token("operate", "oscar", "7")));
  client.ask("POST", "/v1/topology", "{}", with(gateway.token("operate", "oscar", "7")));
  client.ask("PUT", "/v1/tables/carts/rows/1", R"({"row":{"v":"rowtext"}})",
             with(gateway.token("write")));
  gateway.sql(gateway.token("read", "eve"),
              "CREATE TABLE evil (id INTEGER PRIMARY KEY, v DEFAULT 'rowtext')");
  gateway.sql(gateway.token("schema", "sam"),
              "CREATE TABLE fine (id INTEGER PRIMARY KEY, v DEFAULT 'rowtext')");
  const std::string forged = TestKey().token(R"({"sub":"forger"})");
  client.ask("GET", "/v1/status?secret=rowtext", "", with(forged));
  const std::string text = log.text();
  for (const auto* line :
       {"audit action=operate sub=oscar jti=7 from=127.0.0.1 target=\"POST /v1/verify\" "
        "result=done",
        "audit action=admin sub=oscar jti=7 from=127.0.0.1 target=\"POST /v1/topology\" "
        "result=refused",
        "audit action=schema sub=eve jti=1 from=127.0.0.1 target=\"CREATE TABLE evil\" "
        "result=refused",
        "audit action=schema sub=sam jti=1 from=127.0.0.1 target=\"CREATE TABLE fine\" result=done",
        "audit action=token sub=- jti=- from=127.0.0.1 target=\"GET /v1/status\" result=invalid"}) {
    EXPECT_TRUE(has(text, line)) << line << "\n" << text;
  }
  EXPECT_FALSE(has(text, "rowtext") || has(text, "forger") || has(text, forged)) << text;
}

// ---- Tables ------------------------------------------------------------------------------------

TEST(Rights, RowsAreThoseOfTheTokensTables) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto headers = Guarded::header(gateway.token(kCarts));
  const auto status = [&](std::string_view method, std::string_view target,
                          std::string_view body = "") {
    return client.ask(method, target, body, headers).status;
  };
  constexpr const char* kRow = R"({"row":{"v":"x"}})";
  EXPECT_EQ(status("GET", "/v1/tables/carts/rows/1"), 200);
  EXPECT_EQ(status("GET", "/v1/tables/CARTS/rows/1"), 200);
  EXPECT_EQ(status("PUT", "/v1/tables/carts/rows/2", kRow), 200);
  for (const auto* table : {"orders", "Orders", "%6Frders", "nosuch"}) {
    const std::string row = "/v1/tables/" + std::string(table) + "/rows/1";
    EXPECT_EQ(status("GET", row), 403) << table;
    EXPECT_EQ(status("GET", row + "?siblings=all"), 403) << table;
    EXPECT_EQ(status("PUT", row, kRow), 403) << table;
    EXPECT_EQ(status("PATCH", row, kRow), 403) << table;
    EXPECT_EQ(status("DELETE", row), 403) << table;
    EXPECT_EQ(status("POST", row + "/resolve", R"({"row":{},"context":"x"})"), 403) << table;
    EXPECT_EQ(status("POST", row + "/increment", R"({"v":1})"), 403) << table;
  }
}

TEST(Rights, TransactionIsRefusedWholeForOneForeignTable) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto headers = Guarded::header(gateway.token(kCarts));
  const auto reply =
      client.ask("POST", "/v1/transactions",
                 R"({"writes":[{"op":"put","table":"carts","key":9,"row":{"v":"x"}},)"
                 R"({"op":"put","table":"orders","key":9,"row":{"v":"x"}}]})",
                 headers);
  EXPECT_EQ(reply.status, 403);
  EXPECT_TRUE(has(reply.body, "writes[1]")) << reply.body;
  EXPECT_EQ(client.ask("GET", "/v1/tables/carts/rows/9", "", headers).status, 404);
  // What a removed datacenter has left is of all tables.
  EXPECT_EQ(client.ask("POST", "/v1/transactions", R"({"record":"x"})", headers).status, 403);
}

TEST(Rights, SqlIsRefusedByTableAndSaysSo) {
  Guarded gateway;
  const auto token = gateway.token(kCarts);
  EXPECT_TRUE(has(gateway.sql(token, "SELECT v FROM carts"), "first of carts"));
  const auto refused = gateway.sql(token, "SELECT v FROM orders");
  EXPECT_TRUE(has(refused, R"("code":"SQLITE_AUTH")") && !has(refused, "first of")) << refused;
  EXPECT_TRUE(has(gateway.sql(token, "UPDATE orders SET v = 1"), "SQLITE_AUTH"));
  const auto reader = gateway.token("read");
  EXPECT_TRUE(has(gateway.sql(reader, "SELECT v FROM orders"), "first of orders"));
  EXPECT_TRUE(has(gateway.sql(reader, "UPDATE orders SET v = 1"), "SQLITE_AUTH"));
  EXPECT_TRUE(has(gateway.sql(gateway.token("write"), "DROP TABLE orders"), "SQLITE_AUTH"));
}

// Short reads on the network thread and statements that are compiled already know no shortcut.
TEST(Rights, StatementOfSomebodyElseIsRefusedEachTime) {
  Guarded gateway;
  const auto admin = gateway.token("admin", "root"), carts = gateway.token(kCarts);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(has(gateway.sql(admin, "SELECT v FROM orders"), "first of orders"));
    EXPECT_TRUE(has(gateway.sql(carts, "SELECT v FROM orders"), "SQLITE_AUTH"));
  }
}

TEST(Rights, BatchesScriptsAndTransactionsAreRefusedAlike) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto headers = Guarded::header(gateway.token(kCarts));
  const auto pipeline = [&](const std::string& request) {
    return client
        .ask("POST", "/v3/pipeline", R"({"requests":[)" + request + R"(,{"type":"close"}]})",
             headers)
        .body;
  };
  const auto steps = [](const std::string& sql) {
    return R"({"type":"batch","batch":{"steps":[{"stmt":{"sql":"BEGIN"}},{"stmt":{"sql":")" + sql +
           R"("}},{"stmt":{"sql":"COMMIT"}}]}})";
  };
  const auto in_transaction = [](const std::string& begin, const std::string& sql) {
    return R"({"type":"execute","stmt":{"sql":")" + begin +
           R"("}},{"type":"execute","stmt":{"sql":")" + sql + R"("}})";
  };
  for (const auto& request :
       {steps("SELECT v FROM orders"), steps("DELETE FROM orders"),
        in_transaction("BEGIN", "SELECT v FROM orders"),
        in_transaction("BEGIN TRANSACTION READONLY", "SELECT v FROM orders"),
        std::string(R"({"type":"sequence","sql":"SELECT 1; DELETE FROM orders"})"),
        std::string(R"({"type":"describe","sql":"SELECT v FROM orders"})"),
        steps("DROP TABLE orders"),
        in_transaction("BEGIN", "CREATE TABLE x (id INTEGER PRIMARY KEY)")}) {
    const auto answer = pipeline(request);
    EXPECT_TRUE(has(answer, "SQLITE_AUTH") && !has(answer, "first of")) << request << answer;
  }
  const auto cursor =
      client.ask("POST", "/v3/cursor",
                 R"({"batch":{"steps":[{"stmt":{"sql":"SELECT v FROM orders"}}]}})", headers);
  EXPECT_TRUE(has(cursor.body, "SQLITE_AUTH") && !has(cursor.body, "first of")) << cursor.body;
  const auto alone =
      client.ask("POST", "/v1/execute", R"({"stmt":{"sql":"SELECT v FROM orders"}})", headers);
  EXPECT_TRUE(has(alone.body, "SQLITE_AUTH")) << alone.body;
  const auto legacy =
      client.ask("POST", "/", R"({"statements":["SELECT v FROM orders"]})", headers);
  EXPECT_FALSE(has(legacy.body, "first of")) << legacy.body;
  EXPECT_TRUE(has(gateway.sql(gateway.token("read"), "SELECT v FROM orders"), "first of orders"));
}

TEST(Rights, ChangesAreThoseOfTheTokensTablesAndTheCursorMovesOn) {
  Guarded gateway;
  const auto admin = gateway.token("admin", "root");
  const auto headers = Guarded::header(gateway.token(kCarts));
  FeedClient all(gateway.port(), "?since=beginning&until=now", Guarded::header(admin));
  FeedClient mine(gateway.port(), "?since=beginning&until=now", headers);
  std::string everything, seen, last, last_of_all;
  while (auto line = all.line()) everything += *line + "\n", last_of_all = *line;
  while (auto line = mine.line()) seen += *line + "\n", last = *line;
  EXPECT_TRUE(has(everything, "first of orders") && has(everything, "CREATE TABLE orders"));
  EXPECT_TRUE(has(seen, "first of carts") && has(seen, "CREATE TABLE carts")) << seen;
  EXPECT_FALSE(has(seen, "orders") || has(seen, "stock")) << seen;
  EXPECT_EQ(testing::member(last, "cursor"), testing::member(last_of_all, "cursor"));
  FeedClient foreign(gateway.port(), "?table=orders", headers);
  EXPECT_EQ(foreign.status(), 403);
}

TEST(Rights, ConflictsAreThoseOfTheTokensTables) {
  auto database = std::make_unique<test::FakeDatabase>();
  test::FakeDatabase& fake = *database;
  for (uint64_t id : {1, 2}) {
    ConflictEntry entry;
    entry.id = id;
    entry.table = id == 1 ? "t" : "pair";
    entry.open = true;
    entry.winner.row = Row{{"v", std::string(id == 1 ? "mine" : "foreign")}};
    const std::vector<Value> key =
        id == 1 ? std::vector<Value>{int64_t{1}} : std::vector<Value>{std::string("a"), int64_t{1}};
    entry.key = *canonical_key(test::FakeDatabase::definitions()[id - 1], key);
    fake.conflict_log.push_back(entry);
  }
  Guarded gateway(std::move(database));
  HttpClient client(gateway.port());
  const auto headers = Guarded::header(gateway.token(R"(write","tables":{"t":["read","write"]})"));
  const auto reply = client.ask("GET", "/v1/conflicts?limit=2", "", headers);
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(has(reply.body, "mine") && !has(reply.body, "foreign")) << reply.body;
  EXPECT_TRUE(has(reply.body, R"("next":"2")")) << reply.body;
  EXPECT_EQ(client.ask("GET", "/v1/conflicts?table=pair", "", headers).status, 403);
  EXPECT_EQ(client.ask("GET", "/v1/conflicts/1", "", headers).status, 200);
  EXPECT_EQ(client.ask("GET", "/v1/conflicts/2", "", headers).status, 404);
  EXPECT_EQ(client.ask("POST", "/v1/conflicts/2/resolve", R"({"delete":true})", headers).status,
            404);
  EXPECT_EQ(client.ask("POST", "/v1/conflicts/1/resolve", R"({"row":{"v":"x"}})", headers).status,
            200);
  ASSERT_TRUE(fake.last_write());
  EXPECT_EQ(fake.last_write()->decided_by, "ada");
  const auto reader = Guarded::header(gateway.token(R"(write","tables":{"t":["read"]})"));
  EXPECT_EQ(client.ask("POST", "/v1/conflicts/1/resolve", R"({"delete":true})", reader).status,
            403);
}

// ---- Streams, sockets, feeds -------------------------------------------------------------------

TEST(Rights, BatonIsItsOwnersAlone) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto begin = client.ask("POST", "/v3/pipeline",
                                R"({"requests":[{"type":"execute","stmt":{"sql":"BEGIN"}}]})",
                                Guarded::header(gateway.token("write", "ada", "1")));
  const std::string baton = testing::member(begin.body, "baton");
  ASSERT_FALSE(baton.empty()) << begin.body;
  const auto go_on = [&](const std::string& token) {
    return client
        .ask("POST", "/v3/pipeline",
             R"({"baton":")" + baton + R"(","requests":[{"type":"get_autocommit"}]})",
             Guarded::header(token))
        .body;
  };
  EXPECT_TRUE(has(go_on(gateway.token("admin", "eve", "2")), "never given"));
  EXPECT_TRUE(has(go_on(gateway.token("write", "ada", "3")), R"("is_autocommit":false)"));
}

// What the token of now allows, not that of whoever began.
TEST(Rights, BatonGoesOnWithTheRightsOfTheNextToken) {
  Guarded gateway;
  HttpClient client(gateway.port());
  const auto begin = client.ask("POST", "/v3/pipeline",
                                R"({"requests":[{"type":"execute","stmt":{"sql":"BEGIN"}}]})",
                                Guarded::header(gateway.token("write")));
  const auto next =
      client.ask("POST", "/v3/pipeline",
                 R"({"baton":")" + testing::member(begin.body, "baton") +
                     R"(","requests":[{"type":"execute","stmt":{"sql":"DELETE FROM carts"}}]})",
                 Guarded::header(gateway.token("read")));
  EXPECT_TRUE(has(next.body, "SQLITE_AUTH")) << next.body;
}

std::string hello(const std::string& token) { return R"({"type":"hello","jwt":")" + token + "\"}"; }

std::string on_stream(int id, const std::string& what, const std::string& more = "") {
  return R"({"type":"request","request_id":)" + std::to_string(id) + R"(,"request":{"type":")" +
         what + R"(","stream_id":1)" + more + "}}";
}
std::string execute(int id, const std::string& sql) {
  return on_stream(id, "execute", R"(,"stmt":{"sql":")" + sql + R"("})");
}

TEST(Rights, WebSocketSaysHelloWithAToken) {
  Guarded gateway;
  for (const auto& first :
       {std::string(R"({"type":"hello","jwt":null})"), std::string(R"({"type":"hello"})"),
        std::string(R"({"type":"hello","jwt":7})"), hello(TestKey().token("{}"))}) {
    WebSocketClient client(gateway.port());
    client.send_frame(first);
    client.send_frame(on_stream(0, "open_stream"));  // as clients do, without waiting
    client.send_frame(execute(1, "SELECT v FROM carts"));
    const auto answer = client.next();
    EXPECT_TRUE(has(answer, R"("type":"hello_error")") && has(answer, R"("code":"AUTH_)"))
        << answer;
    EXPECT_EQ(client.next(), "closed 1008");
  }
  WebSocketClient silent(gateway.port());
  EXPECT_EQ(silent.say(on_stream(0, "open_stream")), "closed 1008");
  WebSocketClient client(gateway.port());
  client.send_frame(hello(gateway.token(kCarts)));
  client.send_frame(on_stream(0, "open_stream"));
  EXPECT_EQ(client.next(), R"({"type":"hello_ok"})");
  EXPECT_TRUE(has(client.next(), "response_ok"));
  EXPECT_TRUE(has(client.say(execute(1, "SELECT v FROM carts")), "first of carts"));
  EXPECT_TRUE(has(client.say(execute(2, "SELECT v FROM orders")), "SQLITE_AUTH"));
}

TEST(Rights, HelloAgainGoesOnWithANewTokenOfTheSameClient) {
  Guarded gateway;
  WebSocketClient client(gateway.port());
  EXPECT_TRUE(has(client.say(hello(gateway.token("read", "ada", "1"))), "hello_ok"));
  client.say(on_stream(0, "open_stream"));
  EXPECT_TRUE(has(client.say(execute(1, "DELETE FROM carts")), "SQLITE_AUTH"));
  EXPECT_TRUE(has(client.say(hello(gateway.token("write", "ada", "2"))), "hello_ok"));
  EXPECT_TRUE(has(client.say(execute(2, "DELETE FROM carts")), "response_ok"));
  gateway.revoke("1");  // it is on with the other
  EXPECT_TRUE(has(client.say(execute(3, "SELECT 1")), "response_ok"));
  EXPECT_TRUE(has(client.say(hello(gateway.token("admin", "eve", "3"))), "hello_error"));
  EXPECT_EQ(client.next(), "closed 1008");
}

TEST(Rights, SocketEndsWithItsToken) {
  Guarded gateway;
  WebSocketClient client(gateway.port()), other(gateway.port());
  EXPECT_TRUE(has(client.say(hello(gateway.token("write", "ada", "1"))), "hello_ok"));
  EXPECT_TRUE(has(other.say(hello(gateway.token("write", "ada", "2"))), "hello_ok"));
  client.say(on_stream(0, "open_stream"));
  EXPECT_TRUE(has(client.say(execute(1, "BEGIN IMMEDIATE")), "response_ok"));
  gateway.revoke("1");
  EXPECT_EQ(client.next(), "closed 1008");
  other.say(on_stream(0, "open_stream"));
  EXPECT_TRUE(has(other.say(execute(1, "DELETE FROM carts")), "response_ok"));
}

TEST(Rights, FeedEndsWithItsToken) {
  Guarded gateway;
  FeedClient feed(gateway.port(), "", Guarded::header(gateway.token("read", "ada", "1")));
  FeedClient other(gateway.port(), "", Guarded::header(gateway.token("read", "ada", "2")));
  ASSERT_TRUE(feed.line() && other.line());
  gateway.revoke("1");
  const auto last = feed.line();
  ASSERT_TRUE(last);
  EXPECT_TRUE(has(*last, R"("problem":)") && has(*last, R"("status":401)")) << *last;
  EXPECT_FALSE(feed.line());
  EXPECT_TRUE(feed.whole());
  gateway.sql(gateway.token("write", "bob", "3"), "INSERT INTO carts VALUES (7, 'later')");
  EXPECT_TRUE(has(other.transaction().value_or(""), "later"));
}

// The writer is free again: its transaction was rolled back.
TEST(Rights, StreamAtRestEndsWithItsToken) {
  Guarded gateway;
  HttpClient client(gateway.port());
  client.ask("POST", "/v3/pipeline",
             R"({"requests":[{"type":"execute","stmt":{"sql":"BEGIN IMMEDIATE"}},)"
             R"({"type":"execute","stmt":{"sql":"DELETE FROM carts"}}]})",
             Guarded::header(gateway.token("write", "ada", "1")));
  gateway.revoke("1");
  const auto answer = gateway.sql(gateway.token("write", "bob", "2"), "SELECT v FROM carts");
  EXPECT_TRUE(has(answer, "first of carts")) << answer;
  EXPECT_TRUE(has(gateway.sql(gateway.token("write", "bob", "2"), "DELETE FROM carts"),
                  R"("affected_row_count":1)"));
}

}  // namespace
}  // namespace entente
