#include "gateway/api/sql/hrana_api.h"

#include <gtest/gtest.h>

#include "conflict/context.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"
#include "tests/unit/gateway/server/tiny_sql.h"

namespace entente {
namespace {

using test::HttpClient;
using test::Served;
using test::tiny_sql;

class HranaApiTest : public testing::Test {
 protected:
  explicit HranaApiTest(const std::function<void(Limits&)>& adjust = [](Limits&) {})
      : served_(adjust, tiny_sql), client_(served_.port()) {}

  HttpClient::Reply post(std::string_view requests, std::string_view baton = "") {
    std::string body = R"({"baton":)";
    body += baton.empty() ? "null" : "\"" + std::string(baton) + "\"";
    body += R"(,"requests":[)" + std::string(requests) + "]}";
    return client_.ask("POST", "/v2/pipeline", body, "Content-Type: application/json\r\n");
  }
  static std::string baton_of(const HttpClient::Reply& reply) {
    std::string body = reply.body;
    const auto json = parse_json(body);
    const auto* baton = json ? json->find("baton") : nullptr;
    return baton != nullptr && baton->string() != nullptr ? *baton->string() : "";
  }
  static bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  }
  bool wrote(const std::string& sql) { return served_.database().snapshot().texts.contains(sql); }

  Served served_;
  HttpClient client_;
};

class ImpatientHranaApiTest : public HranaApiTest {
 protected:
  ImpatientHranaApiTest()
      : HranaApiTest([](Limits& l) {
          l.stream_timeout = std::chrono::milliseconds(20);
          l.transaction_timeout = std::chrono::milliseconds(20);
        }) {}
};

class LonelyHranaApiTest : public HranaApiTest {
 protected:
  LonelyHranaApiTest()
      : HranaApiTest([](Limits& l) {
          l.stream_timeout = std::chrono::milliseconds(20);
          l.streams = 1;
        }) {}
};

constexpr std::string_view kClose = R"(,{"type":"close"})";

std::string execute(std::string_view sql) {
  return R"({"type":"execute","stmt":{"sql":")" + std::string(sql) + R"("}})";
}

TEST_F(HranaApiTest, EveryRequestIsAnsweredEvenAfterAnError) {
  const auto reply =
      post(execute("BAD") + "," + execute("SELECT") + R"(,{"type":"dance"})" + std::string(kClose));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_TRUE(
      reply.body.starts_with(R"({"baton":null,"base_url":null,"results":[{"type":"error",)"))
      << reply.body;
  EXPECT_TRUE(contains(reply.body, R"("error":{"message":"bad","code":"SQLITE_ERROR"})"));
  EXPECT_TRUE(
      contains(reply.body, R"({"type":"ok","response":{"type":"execute","result":{"cols")"));
  EXPECT_TRUE(contains(
      reply.body, R"("code":"HRANA_PROTO_ERROR"}},{"type":"ok","response":{"type":"close"}}]})"));
}

TEST_F(HranaApiTest, StatementThatTurnsOutToWriteGoesToTheWriter) {
  const auto reply = post(execute("WITH x WRITE") + std::string(kClose));
  EXPECT_TRUE(contains(reply.body, R"("affected_row_count":1,"last_insert_rowid":"5")"))
      << reply.body;
  EXPECT_TRUE(wrote("WITH x WRITE"));
}

TEST_F(HranaApiTest, BatonsAreGoodForOneUse) {
  const auto first = baton_of(post(execute("SELECT")));
  ASSERT_FALSE(first.empty());
  const auto second = baton_of(post(execute("SELECT"), first));
  ASSERT_FALSE(second.empty());
  EXPECT_NE(first, second);
  EXPECT_EQ(post(execute("SELECT"), first).status, 400);
  EXPECT_EQ(baton_of(post(R"({"type":"close"})", second)), "");
}

TEST_F(HranaApiTest, TransactionAcrossRequestsIsOneCommit) {
  auto baton = baton_of(post(execute("BEGIN IMMEDIATE") + "," + execute("WRITE 1")));
  EXPECT_FALSE(wrote("WRITE 1"));
  baton = baton_of(post(execute("BAD") + "," + execute("WRITE 2"), baton));
  const auto reply = post(execute("COMMIT") + std::string(kClose), baton);
  EXPECT_FALSE(contains(reply.body, "error")) << reply.body;
  EXPECT_TRUE(wrote("WRITE 1"));
  EXPECT_TRUE(wrote("WRITE 2"));
  EXPECT_EQ(served_.database().group_sizes(), std::vector<size_t>{1});
}

// P9: a read counts, whatever becomes of the transaction that it was in.
TEST_F(HranaApiTest, WhatATransactionHasReadIsInTheSessionThoughItDoesNotCommit) {
  const std::string begin_read = execute("BEGIN") + "," + execute("SELECT");
  const std::string batch =
      R"({"type":"batch","batch":{"steps":[{"stmt":{"sql":"BEGIN"}},{"stmt":{"sql":"SELECT"}},)"
      R"({"stmt":{"sql":"BAD"}},{"condition":{"type":"ok","step":2},"stmt":{"sql":"COMMIT"}}]}})";
  post(execute("WRITE first") + std::string(kClose));
  for (const auto& requests : {begin_read + "," + execute("ROLLBACK"), begin_read, batch}) {
    const auto baton = baton_of(post(execute("SELECT")));
    post(execute("WRITE by another") + std::string(kClose));
    const auto reply = post(requests + std::string(kClose), baton);
    const auto seen = parse_session_token(reply.header("Entente-Session"));
    ASSERT_TRUE(seen) << reply.body;
    EXPECT_TRUE(seen->covers(served_.store().applied())) << reply.body;
  }
}

TEST_F(HranaApiTest, ClosingAStreamRollsBack) {
  const auto baton = baton_of(post(execute("BEGIN") + "," + execute("WRITE 1")));
  post(R"({"type":"close"})", baton);
  EXPECT_TRUE(contains(post(execute("WRITE 2") + std::string(kClose)).body, R"("type":"ok")"));
  EXPECT_FALSE(wrote("WRITE 1"));
  EXPECT_TRUE(wrote("WRITE 2"));
}

TEST_F(HranaApiTest, ReadOnlyTransactionRefusesWrites) {
  const auto reply = post(execute("BEGIN TRANSACTION READONLY") + "," + execute("SELECT") + "," +
                          execute("WRITE 1") + "," + execute("COMMIT") + std::string(kClose));
  EXPECT_TRUE(contains(reply.body, R"("code":"SQLITE_READONLY")")) << reply.body;
  EXPECT_FALSE(wrote("WRITE 1"));
}

std::string whole_batch(std::string_view statement) {
  return R"({"type":"batch","batch":{"steps":[{"stmt":{"sql":"BEGIN"}},{"stmt":{"sql":")" +
         std::string(statement) +
         R"("},"condition":{"type":"ok","step":0}},)"
         R"({"stmt":{"sql":"COMMIT"},"condition":{"type":"ok","step":1}},)"
         R"({"stmt":{"sql":"ROLLBACK"},"condition":{"type":"not","cond":{"type":"ok","step":2}}}]}})";
}

TEST_F(HranaApiTest, BatchThatIsATransactionCommitsOrRollsBackWhole) {
  const auto good = post(whole_batch("WRITE 1") + std::string(kClose));
  EXPECT_TRUE(contains(good.body, R"("step_errors":[null,null,null,null])")) << good.body;
  EXPECT_TRUE(wrote("WRITE 1"));
  const auto bad = post(whole_batch("BAD") + std::string(kClose));
  EXPECT_TRUE(contains(bad.body, R"("step_errors":[null,{"message":"bad")")) << bad.body;
}

TEST_F(HranaApiTest, BatchWhoseCommitFailsSaysSoAtTheCommit) {
  served_.database().fail_with(Error{Code::kExhausted, "the disk is full", ""});
  const auto reply = post(whole_batch("WRITE 1") + std::string(kClose));
  EXPECT_TRUE(contains(reply.body, R"("code":"SQLITE_FULL")")) << reply.body;
  EXPECT_FALSE(wrote("WRITE 1"));
}

TEST_F(HranaApiTest, BatchWithoutATransactionRunsStepByStep) {
  const auto reply = post(R"({"type":"batch","batch":{"steps":[{"stmt":{"sql":"BAD"}},)"
                          R"({"stmt":{"sql":"WRITE 1"},"condition":{"type":"ok","step":0}},)"
                          R"({"stmt":{"sql":"WRITE 2"},"condition":{"type":"error","step":0}}]}})" +
                          std::string(kClose));
  EXPECT_TRUE(contains(reply.body, R"("step_results":[null,null,{)")) << reply.body;
  EXPECT_FALSE(wrote("WRITE 1"));
  EXPECT_TRUE(wrote("WRITE 2"));
}

TEST_F(HranaApiTest, SequenceStopsAtItsFirstError) {
  const auto reply =
      post(R"({"type":"sequence","sql":"WRITE 1; BAD; WRITE 3"})" + std::string(kClose));
  EXPECT_TRUE(contains(reply.body, R"("type":"error")"));
  EXPECT_TRUE(wrote("WRITE 1"));
  EXPECT_FALSE(wrote("WRITE 3"));
}

TEST_F(HranaApiTest, StoredTextsAreUsedByNumber) {
  const auto reply =
      post(R"({"type":"store_sql","sql_id":1,"sql":"WRITE 9"},)"
           R"({"type":"execute","stmt":{"sql_id":1}},)"
           R"({"type":"close_sql","sql_id":1},{"type":"execute","stmt":{"sql_id":1}})" +
           std::string(kClose));
  EXPECT_TRUE(wrote("WRITE 9"));
  EXPECT_TRUE(contains(reply.body, R"({"type":"close_sql"}},{"type":"error")")) << reply.body;
}

TEST_F(HranaApiTest, ProbesAreAnswered) {
  for (const auto* path : {"/v1", "/v2", "/v3", "/health", "/version"}) {
    EXPECT_EQ(client_.ask("GET", path).status, 200) << path;
  }
  EXPECT_EQ(client_.ask("GET", "/v3-protobuf").status, 404);
  EXPECT_EQ(client_.ask("POST", "/v2/pipeline", "[1").status, 400);
  EXPECT_EQ(client_.ask("POST", "/v2/pipeline", "{}").status, 400);
  EXPECT_EQ(post("", "neverGiven").status, 400);
}

TEST_F(HranaApiTest, ACursorAnswersOneEntryALine) {
  const std::string batch =
      R"({"baton":null,"batch":{"steps":[{"stmt":{"sql":"WRITE 1"}},{"stmt":{"sql":"BAD"}}]}})";
  const auto reply = client_.ask("POST", "/v3/cursor", batch);
  EXPECT_EQ(reply.status, 200);
  const size_t line = reply.body.find('\n');
  EXPECT_TRUE(reply.body.starts_with(R"({"baton":")")) << reply.body;
  EXPECT_EQ(reply.body.substr(line + 1),
            R"({"type":"step_begin","step":0,"cols":[]})"
            "\n"
            R"({"type":"step_end","affected_row_count":1,"last_insert_rowid":"5"})"
            "\n"
            R"({"type":"step_error","step":1,"error":{"message":"bad","code":"SQLITE_ERROR"}})"
            "\n");
  EXPECT_EQ(post(execute("SELECT") + std::string(kClose), baton_of(reply)).status, 200);
  EXPECT_EQ(client_.ask("POST", "/v3/cursor", R"({"baton":null})").status, 400);
}

TEST_F(HranaApiTest, SingleStatementsAndBatchesNeedNoStream) {
  const auto one = client_.ask("POST", "/v1/execute", R"({"stmt":{"sql":"SELECT"}})");
  EXPECT_EQ(one.status, 200);
  EXPECT_TRUE(contains(one.body, R"({"result":{"cols":[)")) << one.body;
  const auto bad = client_.ask("POST", "/v1/execute", R"({"stmt":{"sql":"BAD"}})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.body, R"({"message":"bad","code":"SQLITE_ERROR"})");
  const auto batch =
      client_.ask("POST", "/v1/batch", R"({"batch":{"steps":[{"stmt":{"sql":"WRITE 1"}}]}})");
  EXPECT_TRUE(contains(batch.body, R"({"result":{"step_results":[{)")) << batch.body;
  EXPECT_TRUE(wrote("WRITE 1"));
}

TEST_F(HranaApiTest, TheFirstProtocolIsOneTransaction) {
  const auto reply = client_.ask(
      "POST", "/", R"({"statements":["SELECT",{"q":"WRITE 1","params":[1,null,"x"]}]})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"([{"results":{"columns":["one"],"rows":[[1]]}},)"
                        R"({"results":{"columns":[],"rows":[]}}])");
  EXPECT_TRUE(wrote("WRITE 1"));
  const auto bad = client_.ask("POST", "/", R"({"statements":["WRITE 2","BAD","WRITE 3"]})");
  EXPECT_EQ(bad.status, 422);
  EXPECT_EQ(bad.body, R"({"error":"bad"})");
  EXPECT_FALSE(wrote("WRITE 2") || wrote("WRITE 3"));
  for (const auto* wrong :
       {"{}", R"({"statements":["BEGIN"]})", R"({"statements":[7]})",
        R"({"statements":[{"q":"SELECT","params":7}]})", R"({"statements":[{}]})"}) {
    EXPECT_EQ(client_.ask("POST", "/", wrong).status, 400) << wrong;
  }
}

TEST_F(ImpatientHranaApiTest, IdleStreamExpiresAndItsTransactionIsRolledBack) {
  const auto baton = baton_of(post(execute("BEGIN") + "," + execute("WRITE 1")));
  // Waits for the writer, which the open transaction holds until it times out.
  EXPECT_TRUE(contains(post(execute("WRITE 2") + std::string(kClose)).body, R"("type":"ok")"));
  EXPECT_FALSE(wrote("WRITE 1"));
  const auto late = post(execute("WRITE 3"), baton);
  EXPECT_TRUE(contains(late.body, "TRANSACTION_TIMEOUT") || contains(late.body, "STREAM_EXPIRED"))
      << late.body;
  EXPECT_FALSE(wrote("WRITE 3"));
}

// There is room for a stream again once the one that rests has expired.
TEST_F(LonelyHranaApiTest, AStreamThatExpiredGoesOnIfItHadNothingToLose) {
  const auto expired = [&](std::string_view request) {
    const auto baton = baton_of(post(request));
    while (client_.ask("POST", "/v1/execute", R"({"stmt":{"sql":"SELECT"}})").status == 503) {
    }
    return baton;
  };
  const auto lost =
      post(execute("SELECT"), expired(R"({"type":"store_sql","sql_id":1,"sql":"SELECT"})"));
  EXPECT_EQ(lost.status, 400);
  EXPECT_TRUE(contains(lost.body, "STREAM_EXPIRED")) << lost.body;
  const auto goes_on = post(execute("SELECT"), expired(execute("SELECT")));
  EXPECT_TRUE(contains(goes_on.body, R"("value":"1")")) << goes_on.body;
}

TEST_F(HranaApiTest, TransactionThatTimedOutRefusesStatementsUntilItIsEnded) {
  Served served([](Limits& l) { l.transaction_timeout = std::chrono::milliseconds(5); }, tiny_sql);
  HttpClient other(served.port());
  const auto ask = [&](const std::string& baton, const std::string& requests) {
    return other.ask("POST", "/v2/pipeline",
                     R"({"baton":)" + baton + R"(,"requests":[)" + requests + "]}");
  };
  const auto baton = baton_of(ask("null", execute("BEGIN")));
  ask("null", execute("WRITE 1"));  // has the writer only once the transaction lost it
  const auto reply = ask('"' + baton + '"',
                         execute("WRITE 2") + "," + execute("ROLLBACK") + "," + execute("WRITE 3"));
  EXPECT_TRUE(contains(reply.body, R"("code":"TRANSACTION_TIMEOUT"}},{"type":"ok")")) << reply.body;
  EXPECT_FALSE(served.database().snapshot().texts.contains("WRITE 2"));
  EXPECT_TRUE(served.database().snapshot().texts.contains("WRITE 3"));
}

// The whole of it runs on the writer: statement after statement, each within its own time.
TEST(HranaApi, P11ABatchThatIsATransactionIsRolledBackAtItsDeadline) {
  Served served([](Limits& l) { l.transaction_timeout = std::chrono::milliseconds(5); },
                [](const Statement& statement, bool reading) {
                  const auto began = Store::Clock::now();
                  while (statement.sql == "WRITE slowly" &&
                         Store::Clock::now() - began < std::chrono::milliseconds(10)) {
                  }
                  return tiny_sql(statement, reading);
                });
  HttpClient client(served.port());
  const auto step = [](std::string sql) {
    return R"({"stmt":{"sql":")" + std::move(sql) + R"("}})";
  };
  const auto reply = client.ask("POST", "/v2/pipeline",
                                R"({"requests":[{"type":"batch","batch":{"steps":[)" +
                                    step("BEGIN") + "," + step("WRITE slowly") + "," +
                                    step("WRITE late") + "," + step("COMMIT") + "]}}]}");
  EXPECT_NE(reply.body.find("TRANSACTION_TIMEOUT"), std::string::npos) << reply.body;
  EXPECT_TRUE(served.database().snapshot().texts.empty());
}

}  // namespace
}  // namespace entente
