// Schema changes from any gateway: three in a chain, `a` leads, and `c` has no link to it.

#include <gtest/gtest.h>

#include "adapters/sqlite/sqlite_database.h"
#include "gateway/server/gateway.h"
#include "tests/support/process.h"
#include "tests/support/tcp_proxy.h"
#include "tests/unit/gateway/server/scripted_server.h"
#include "tests/unit/gateway/server/sql_client.h"
#include "tests/unit/gateway/server/web_socket_client.h"
#include "topology/graph.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using test::HttpClient;
using test::SqlClient;

Config chain_of_three() {
  Config config;
  config.cluster = "shop";
  config.insecure = true;
  config.schema_leader = "a";
  config.topology.kind = TopologyKind::kLinks;
  config.topology.links = {{"a", "b"}, {"b", "c"}};
  config.limits.heartbeat = 50ms;
  config.limits.link_timeout = 1'000ms;
  config.limits.reconnect_max = 50ms;
  config.limits.session_wait = 10'000ms;
  for (const auto* name : {"a", "b", "c"}) {
    Datacenter dc;
    dc.name = name;
    dc.peers = {"127.0.0.1", static_cast<uint16_t>(testing::free_port()), false};
    dc.clients = {"127.0.0.1", 0, false};
    dc.key_slot = static_cast<uint8_t>(config.datacenters.size() + 1);
    config.datacenters.push_back(dc);
  }
  return config;
}

class SchemaForwarding : public ::testing::Test {
 protected:
  Gateway& start(const std::string& dc, const Config& config) {
    auto& gateway = gateways_[dc];
    gateway = std::make_unique<Gateway>(
        config, dc, root_.path() / dc, true,
        [](const Datacenter&, const std::filesystem::path& path, const DatabaseOptions& options) {
          return open_sqlite(path, options);
        });
    const auto started = gateway->start();
    EXPECT_TRUE(started) << started.error().text;
    return *gateway;
  }
  Gateway& start(const std::string& dc) { return start(dc, config_); }
  void start_all() {
    for (const auto& dc : config_.datacenters) start(dc.name);
  }
  void stop(const std::string& dc) { gateways_.erase(dc); }

  SqlClient at(const std::string& dc) { return SqlClient(gateways_.at(dc)->client_port()); }

  // Until each has what every other has now.
  void settle() {
    for (const auto& [from, gateway] : gateways_) {
      const auto token =
          HttpClient(gateway->client_port()).ask("GET", "/livez").header("Entente-Session");
      for (const auto& [to, other] : gateways_) {
        HttpClient client(other->client_port());
        const auto header = "Entente-Session: " + token + "\r\n";
        while (client.ask("GET", "/livez", "", header).status == 503) {
        }
      }
    }
  }

  static std::string failure(const Result<StatementResult>& outcome) {
    return outcome ? "no error" : outcome.error().tag + ": " + outcome.error().text;
  }
  // Asks again while the answer is that something has not arrived yet.
  static Result<StatementResult> patiently(SqlClient& client, const std::string& sql) {
    auto outcome = client.run(sql);
    while (!outcome && outcome.error().tag == "SESSION_NOT_REACHED") outcome = client.run(sql);
    return outcome;
  }
  static Value value_of(SqlClient& client, const std::string& sql) {
    const auto outcome = client.run(sql);
    EXPECT_TRUE(outcome) << failure(outcome);
    return outcome && !outcome->rows.empty() ? outcome->rows[0][0] : Value(Null{});
  }
  // As libSQL's clients migrate: a table, and the same row twice.
  static std::vector<BatchStep> migration() {
    using Condition = BatchCondition;
    const auto ok = [](size_t of) { return Condition{Condition::Kind::kOk, of, {}}; };
    const auto step = [](const char* sql, std::optional<Condition> condition) {
      BatchStep made{std::move(condition), {}};
      made.statement.sql = sql;
      return made;
    };
    return {step("PRAGMA foreign_keys=off", {}),
            step("BEGIN DEFERRED", {}),
            step("CREATE TABLE t (id TEXT PRIMARY KEY)", ok(1)),
            step("INSERT INTO t VALUES ('x')", ok(2)),
            step("INSERT INTO t VALUES ('x')", ok(3)),
            step("COMMIT", ok(4)),
            step("ROLLBACK", Condition{Condition::Kind::kNot, 0, {ok(5)}}),
            step("PRAGMA foreign_keys=on", {})};
  }
  // What this metric says at a gateway.
  std::string metric(const std::string& dc, const std::string& name) {
    const auto page = HttpClient(gateways_.at(dc)->client_port()).ask("GET", "/metrics").body;
    const size_t at = page.find("\n" + name + " ");
    if (at == std::string::npos) return "none";
    const size_t from = at + name.size() + 2;
    return page.substr(from, page.find('\n', from) - from);
  }

  Config config_ = chain_of_three();
  testing::TemporaryFolder root_;
  std::map<std::string, std::unique_ptr<Gateway>> gateways_;
};

#define EXPECT_DONE(outcome)            \
  do {                                  \
    const auto done = (outcome);        \
    EXPECT_TRUE(done) << failure(done); \
  } while (false)

TEST_F(SchemaForwarding, ATableMadeAtAFollowerIsThereForTheNextStatementAndEverywhere) {
  start_all();
  auto c = at("c");
  EXPECT_DONE(c.run("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)"));
  EXPECT_DONE(c.run("INSERT INTO t VALUES ('x', 1)"));
  EXPECT_DONE(c.run("CREATE INDEX t_n ON t (n)"));
  EXPECT_EQ(value_of(c, "SELECT n FROM t"), Value(int64_t{1}));
  HttpClient a(gateways_.at("a")->client_port());
  const auto row =
      a.ask("GET", "/v1/tables/t/rows/x", "", "Entente-Session: " + c.session() + "\r\n");
  EXPECT_EQ(row.status, 200) << row.body;
  EXPECT_EQ(metric("c", "entente_schema_changes_forwarded_total"), "2");
  EXPECT_EQ(metric("a", "entente_schema_changes_forwarded_total"), "0");
}

TEST_F(SchemaForwarding, TheLeadersRefusalIsTheAnswer) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  const auto again = b.run("CREATE TABLE t (id TEXT PRIMARY KEY)");
  EXPECT_EQ(failure(again), "SQLITE_ERROR: table t already exists");
  EXPECT_EQ(failure(b.run("CREATE TABLE u (oid, rowid, _rowid_)")).substr(0, 15),
            "no_primary_key:");
  EXPECT_TRUE(b.autocommit());
}

TEST_F(SchemaForwarding, ABatchWithASchemaChangeIsOneTransactionAtTheLeader) {
  start_all();
  auto b = at("b");
  auto steps = migration();
  const auto failed = b.batch(steps);
  ASSERT_TRUE(failed) << failed.error().text;
  EXPECT_EQ((*failed)[4]->error().tag, "SQLITE_CONSTRAINT");
  EXPECT_FALSE((*failed)[5]);
  EXPECT_TRUE(b.autocommit());
  EXPECT_NE(failure(b.run("SELECT * FROM t")).find("no such table"), std::string::npos);
  steps[4].statement.sql = "INSERT INTO t VALUES ('y')";
  const auto done = b.batch(steps);
  ASSERT_TRUE(done && (*done)[5] && *(*done)[5]);
  EXPECT_EQ(value_of(b, "SELECT count(*) FROM t"), Value(int64_t{2}));
}

TEST_F(SchemaForwarding, AScriptRunsAtTheLeaderAsAWhole) {
  start_all();
  auto c = at("c");
  const auto done = c.script(
      "CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('x'); CREATE INDEX i ON t "
      "(id);");
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(value_of(c, "SELECT id FROM t"), Value(std::string("x")));
}

TEST_F(SchemaForwarding, ATransactionGoesOnAtTheLeaderFromItsFirstSchemaChange) {
  start_all();
  auto c = at("c");
  EXPECT_DONE(c.run("BEGIN"));
  EXPECT_DONE(c.run("SELECT 1"));
  EXPECT_DONE(c.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  EXPECT_DONE(c.run("INSERT INTO t VALUES ('x')"));
  EXPECT_DONE(c.run("SAVEPOINT s"));
  EXPECT_DONE(c.run("INSERT INTO t VALUES ('y')"));
  EXPECT_DONE(c.run("ROLLBACK TO s"));
  EXPECT_EQ(value_of(c, "SELECT count(*) FROM t"), Value(int64_t{1}));
  EXPECT_FALSE(c.autocommit());
  auto other = at("c");  // the writer here is free
  EXPECT_DONE(other.run("BEGIN"));
  EXPECT_DONE(other.run("ROLLBACK"));
  EXPECT_DONE(c.run("COMMIT"));
  EXPECT_TRUE(c.autocommit());
  EXPECT_EQ(value_of(c, "SELECT count(*) FROM t"), Value(int64_t{1}));
}

TEST_F(SchemaForwarding, AMovedTransactionThatIsRolledBackLeavesNothing) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  EXPECT_DONE(b.run("ROLLBACK"));
  EXPECT_TRUE(b.autocommit());
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY, other TEXT)"));
}

TEST_F(SchemaForwarding, WhatATransactionWroteBeforeIsDoneAgainAtTheLeader) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE lock (id INTEGER PRIMARY KEY, held INTEGER)"));
  EXPECT_DONE(b.run("INSERT INTO lock VALUES (1, 0)"));
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run("UPDATE lock SET held = 1 WHERE id = 1"));
  EXPECT_EQ(failure(b.run("INSERT INTO lock VALUES (1, 7)")).substr(0, 17), "SQLITE_CONSTRAINT");
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  EXPECT_EQ(value_of(b, "SELECT held FROM lock"), Value(int64_t{1}));
  EXPECT_DONE(b.run("COMMIT"));
  EXPECT_EQ(value_of(b, "SELECT held FROM lock"), Value(int64_t{1}));
}

TEST_F(SchemaForwarding, ATransactionWhoseWritesComeOutDifferentlyThereStaysAndIsTold) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE n (id INTEGER PRIMARY KEY, x TEXT)"));
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run("INSERT INTO n (x) VALUES ('numbered here')"));
  const auto refused = b.run("CREATE TABLE t (id TEXT PRIMARY KEY)");
  EXPECT_EQ(
      failure(refused),
      "schema_leader: this schema change would go on in datacenter a, the schema leader, with "
      "the whole transaction, but what the transaction has written already comes out "
      "differently there: begin the transaction with the schema change, or send all of it "
      "there");
  EXPECT_FALSE(b.autocommit());
  EXPECT_DONE(b.run("COMMIT"));
  EXPECT_EQ(value_of(b, "SELECT x FROM n"), Value(std::string("numbered here")));
}

// A stream by WebSocket.
class SocketStream {
 public:
  explicit SocketStream(uint16_t port) : socket_(port) {
    socket_.say(R"({"type":"hello","jwt":null})");
    socket_.say(
        R"({"type":"request","request_id":1,"request":{"type":"open_stream","stream_id":1}})");
  }
  bool run(const std::string& sql) {
    const auto answer = socket_.say(
        R"({"type":"request","request_id":2,"request":{"type":"execute","stream_id":1,"stmt":)"
        R"({"sql":")" +
        sql + "\"}}}");
    EXPECT_NE(answer.find("response_ok"), std::string::npos) << answer;
    return answer.find("response_ok") != std::string::npos;
  }

 private:
  test::WebSocketClient socket_;
};

TEST_F(SchemaForwarding, AClientThatGoesTakesItsTransactionAtTheLeaderWithIt) {
  start_all();
  {
    SocketStream b(gateways_.at("b")->client_port());
    ASSERT_TRUE(b.run("BEGIN"));
    ASSERT_TRUE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  }
  auto a = at("a");
  EXPECT_DONE(
      a.run("CREATE TABLE t (id TEXT PRIMARY KEY, other TEXT)"));  // once the writer is free
}

TEST_F(SchemaForwarding, WebSocketsAndTheOldestProtocolSendItOnToo) {
  start_all();
  SocketStream c(gateways_.at("c")->client_port());
  EXPECT_TRUE(c.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  EXPECT_TRUE(c.run("INSERT INTO t VALUES ('x')"));
  HttpClient http(gateways_.at("c")->client_port());
  const auto old =
      http.ask("POST", "/", R"-({"statements":["CREATE TABLE u (id TEXT PRIMARY KEY)"]})-");
  EXPECT_EQ(old.status, 200) << old.body;
  EXPECT_EQ(http.ask("POST", "/", R"({"statements":["SELECT * FROM u"]})").status, 200);
}

TEST_F(SchemaForwarding, WhileTheLeaderIsAwaySchemaChangesAreRefusedAndDataGoesOn) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  stop("a");
  const auto refused = b.run("CREATE TABLE u (id TEXT PRIMARY KEY)");
  EXPECT_EQ(failure(refused),
            "schema_leader: schema changes are made in datacenter a, the schema leader, which "
            "cannot be reached (Connection refused): nothing was changed. Reads and writes of data "
            "go on here; send this again when a is back");
  EXPECT_DONE(b.run("CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY)"));  // as programs start
  EXPECT_NE(failure(b.run("CREATE TABLE IF NOT EXISTS u (id TEXT PRIMARY KEY)")), "no error");
  EXPECT_DONE(b.run("INSERT INTO t VALUES ('goes on')"));
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run("INSERT INTO t VALUES ('in a transaction, too')"));
  EXPECT_EQ(failure(b.run("CREATE TABLE u (id TEXT PRIMARY KEY)")).substr(0, 14), "schema_leader:");
  EXPECT_DONE(b.run("COMMIT"));
  EXPECT_EQ(value_of(b, "SELECT count(*) FROM t"), Value(int64_t{2}));
  start("a");
  EXPECT_DONE(b.run("CREATE TABLE u (id TEXT PRIMARY KEY)"));
}

TEST_F(SchemaForwarding, ALeaderThatGoesTakesTheTransactionAndTheClientIsToldUntilItEndsIt) {
  start_all();
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  for (const auto* end : {"ROLLBACK", "COMMIT"}) {
    EXPECT_DONE(b.run("BEGIN"));
    EXPECT_DONE(b.run("CREATE TABLE u (id TEXT PRIMARY KEY)"));
    stop("a");
    const auto lost = failure(b.run("INSERT INTO t VALUES ('never')"));
    EXPECT_EQ(lost.substr(0, 45), "schema_leader: the transaction was rolled bac") << lost;
    EXPECT_NE(failure(b.run("INSERT INTO t VALUES ('by accident')")), "no error");
    EXPECT_FALSE(b.autocommit());
    const auto ended = b.run(end);
    EXPECT_EQ(ended.has_value(), end == std::string("ROLLBACK"));
    EXPECT_TRUE(b.autocommit());
    start("a");
  }
  EXPECT_EQ(value_of(b, "SELECT count(*) FROM t"), Value(int64_t{0}));
}

TEST_F(SchemaForwarding, AChangeThatIsNotHereInTimeSucceedsAndTheStreamWaitsForIt) {
  testing::TcpProxy link(config_.datacenters[1].peers.port);
  auto others = config_;
  others.datacenters[1].peers.port = static_cast<uint16_t>(link.port());  // a dials b through it
  auto mine = config_;
  mine.limits.session_wait = 20ms;
  start("a", others);
  start("b", mine);
  start("c");
  auto b = at("b");
  EXPECT_DONE(b.run("CREATE TABLE t (id TEXT PRIMARY KEY)"));
  settle();
  link.set_up(false);
  EXPECT_DONE(b.run("CREATE TABLE u (id TEXT PRIMARY KEY)"));
  EXPECT_EQ(failure(b.run("SELECT * FROM u")).substr(0, 20), "SESSION_NOT_REACHED:");
  auto another = at("b");
  EXPECT_DONE(another.run("INSERT INTO t VALUES ('others go on')"));
  HttpClient http(gateways_.at("b")->client_port());
  const auto early =
      http.ask("GET", "/v1/tables/u/rows/x", "", "Entente-Session: " + b.session() + "\r\n");
  EXPECT_EQ(early.status, 503) << early.body;
  link.set_up(true);
  EXPECT_DONE(patiently(b, "SELECT * FROM u"));
}

// ---- The leader's door -------------------------------------------------------------------------

class LeadersDoor : public SchemaForwarding {
 protected:
  HttpClient::Reply ask(const std::string& dc, const std::string& introduction) {
    HttpClient client(gateways_.at(dc)->peer_port());
    return client.ask("POST", "/v3/pipeline", hrana_pipeline(std::nullopt, R"({"type":"close"})"),
                      introduction.empty() ? "" : "Entente-Gateway: " + introduction + "\r\n");
  }
  std::string introduction(const std::string& dc, const std::string& cluster = "shop") const {
    return R"({"protocol":8,"cluster":")" + cluster + R"(","dc":")" + dc + R"(","topology":")" +
           topology_fingerprint(config_) + "\"}";
  }
};

TEST_F(LeadersDoor, OnlyGatewaysOfThisClusterAreAnswered) {
  start("a");
  EXPECT_EQ(ask("a", introduction("c")).status, 200);
  const auto nobody = ask("a", "");
  EXPECT_EQ(nobody.status, 403);
  EXPECT_NE(nobody.body.find("\"code\":\"not_this_cluster\""), std::string::npos) << nobody.body;
  EXPECT_EQ(ask("a", introduction("c", "other")).status, 403);
  EXPECT_EQ(ask("a", introduction("nowhere")).status, 403);
  EXPECT_EQ(ask("a", R"({"protocol":8,"cluster":"shop","dc":"c","topology":"other"})").status, 403);
  EXPECT_EQ(ask("a", R"({"protocol":1,"cluster":"shop","dc":"c"})").status, 403);
  EXPECT_EQ(ask("a", "[]").status, 403);
}

TEST_F(LeadersDoor, AGatewayThatDoesNotLeadSendsNothingOn) {
  start("b");
  const auto refused = ask("b", introduction("c"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("b is not the schema leader: its topology file names a"),
            std::string::npos)
      << refused.body;
}

TEST_F(LeadersDoor, NothingButPipelinesIsServedThere) {
  start("a");
  HttpClient client(gateways_.at("a")->peer_port());
  const auto header = "Entente-Gateway: " + introduction("b") + "\r\n";
  EXPECT_EQ(client.ask("POST", "/v1/transactions", "{}", header).status, 404);
  EXPECT_EQ(client.ask("GET", "/v1/status", "", header).status, 404);
}

TEST_F(LeadersDoor, ARequestThatComesByteByByteIsServed) {
  start("a");
  HttpClient client(gateways_.at("a")->peer_port());
  const auto body = hrana_pipeline(std::nullopt, R"({"type":"close"})");
  const auto request = "POST /v3/pipeline HTTP/1.1\r\nEntente-Gateway: " + introduction("b") +
                       "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (const char byte : request) client.send({&byte, 1});
  EXPECT_EQ(client.receive().status, 200);
}

// ---- A leader that misbehaves ------------------------------------------------------------------

class LeaderThat : public SchemaForwarding {
 protected:
  // `b`, whose leader says this.
  SqlClient follower_of(test::ScriptedServer& leader) {
    config_.datacenters[0].peers.port = leader.port();
    config_.limits.schema_timeout = 200ms;
    config_.limits.result_bytes = 1 << 10;
    config_.limits.session_wait = 0ms;
    start("b");
    return at("b");
  }
  static std::string opened() {
    return test::http_answer(200,
                             R"({"baton":"b","results":[{"type":"ok","response":{"type":"batch",)"
                             R"("result":{"step_results":[{},{}],"step_errors":[null,null]}}},)"
                             R"({"type":"ok","response":{"is_autocommit":false}}]})");
  }
  static constexpr const char* kCreate = "CREATE TABLE t (id TEXT PRIMARY KEY)";
};

TEST_F(LeaderThat, ClosesBeforeItAnswersLeavesTheOutcomeUnknown) {
  test::ScriptedServer leader({});
  auto b = follower_of(leader);
  const auto text = failure(b.run(kCreate));
  EXPECT_EQ(text.substr(0, 16), "outcome_unknown:") << text;
  EXPECT_NE(text.find("may or may not have been committed"), std::string::npos);
  EXPECT_TRUE(b.autocommit());
  ASSERT_EQ(leader.requests().size(), 1u);
  EXPECT_NE(leader.requests()[0].find("Entente-Session: "), std::string::npos);
}

TEST_F(LeaderThat, DoesNotAnswerInTimeLeavesTheOutcomeUnknown) {
  test::ScriptedServer leader({test::ScriptedServer::kSilence});
  EXPECT_EQ(failure(follower_of(leader).run(kCreate)).substr(0, 16), "outcome_unknown:");
}

TEST_F(LeaderThat, AnswersTooMuchOrNonsenseOrFailsLeavesTheOutcomeUnknown) {
  test::ScriptedServer leader({test::http_answer(200, std::string(3 << 10, ' ')),
                               test::http_answer(200, "<html>"), test::http_answer(200, "{}"),
                               test::http_answer(500, R"({"detail":"failed","code":"internal"})"),
                               "what?\r\n\r\n"});
  auto b = follower_of(leader);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(failure(b.run(kCreate)).substr(0, 16), "outcome_unknown:") << i;
  }
}

TEST_F(LeaderThat, RefusesIsQuoted) {
  test::ScriptedServer leader(
      {test::http_answer(403, R"({"detail":"no","code":"not_this_cluster"})"),
       test::http_answer(503, R"({"message":"full","code":"BUSY"})")});
  auto b = follower_of(leader);
  EXPECT_EQ(failure(b.run(kCreate)), "not_this_cluster: a, the schema leader, refuses: no");
  EXPECT_EQ(failure(b.run(kCreate)), "BUSY: a, the schema leader, refuses: full");
}

TEST_F(LeaderThat, GoesDuringACommitLeavesTheOutcomeUnknownAndTheStreamFree) {
  test::ScriptedServer leader({opened()});
  auto b = follower_of(leader);
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run(kCreate));
  EXPECT_FALSE(b.autocommit());
  EXPECT_EQ(failure(b.run("COMMIT")).substr(0, 16), "outcome_unknown:");
  EXPECT_TRUE(b.autocommit());
  EXPECT_DONE(b.run("SELECT 1"));
}

TEST_F(LeaderThat, GoesDuringARollbackHasRolledBack) {
  test::ScriptedServer leader({opened()});
  auto b = follower_of(leader);
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_DONE(b.run(kCreate));
  EXPECT_DONE(b.run("ROLLBACK"));
  EXPECT_TRUE(b.autocommit());
}

TEST_F(LeaderThat, GoesWhileATransactionMovesLeavesItHere) {
  test::ScriptedServer leader({});
  auto b = follower_of(leader);
  EXPECT_DONE(b.run("BEGIN"));
  EXPECT_EQ(failure(b.run(kCreate)).substr(0, 14), "schema_leader:");
  EXPECT_FALSE(b.autocommit());
  EXPECT_DONE(b.run("SELECT 1"));
  EXPECT_DONE(b.run("COMMIT"));
}

TEST_F(LeaderThat, IsAwayFailsEveryStepOfABatchThatWouldHaveRun) {
  start("b");
  auto b = at("b");
  const auto results = b.batch(migration());
  ASSERT_TRUE(results) << results.error().text;
  EXPECT_TRUE(*(*results)[0]);  // PRAGMA foreign_keys does nothing, anywhere
  EXPECT_EQ((*results)[1]->error().tag, "schema_leader");
  EXPECT_FALSE((*results)[2]);
  EXPECT_EQ((*results)[6]->error().tag, "schema_leader");
  EXPECT_TRUE(*(*results)[7]);
  EXPECT_TRUE(b.autocommit());
}

}  // namespace
}  // namespace entente
