#include <gtest/gtest.h>

#include "gateway/api/rows/idempotency_keys.h"
#include "gateway/server/client_server.h"
#include "tests/unit/gateway/server/http_client.h"
#include "tests/unit/gateway/server/served.h"

namespace entente {
namespace {

using test::HttpClient;
using test::Served;

constexpr std::string_view kPath = "/v1/tables/t/rows/1/increment";

class IncrementsApi : public testing::Test {
 protected:
  IncrementsApi() {
    EXPECT_EQ(client_.ask("PUT", "/v1/tables/t/rows/1", R"({"row":{"v":10,"w":"x"}})").status, 200);
  }

  HttpClient::Reply add(std::string_view body, const std::string& key = "") {
    return client_.ask("POST", kPath, body, key.empty() ? "" : "Idempotency-Key: " + key + "\r\n");
  }
  std::string row() { return client_.ask("GET", "/v1/tables/t/rows/1").body; }
  bool counts(const std::string& n) { return row().find(R"("v":)" + n + ",") != std::string::npos; }

  Served served_;
  HttpClient client_{served_.port()};
};

TEST_F(IncrementsApi, AddsAndAnswersLikeAWrite) {
  const auto reply = add(R"({"v":5})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_NE(reply.body.find(R"("dot":")"), std::string::npos) << reply.body;
  EXPECT_TRUE(counts("15")) << row();
  EXPECT_EQ(add(R"({"v":-20})").status, 200);
  EXPECT_TRUE(counts("-5")) << row();
}

TEST_F(IncrementsApi, AColumnThatIsNoCounterIsAConflictAndNothingIsAdded) {
  const auto reply = add(R"({"v":5,"w":1})");
  EXPECT_EQ(reply.status, 409);
  EXPECT_NE(reply.body.find("not_a_counter"), std::string::npos) << reply.body;
  EXPECT_TRUE(counts("10")) << row();
}

TEST_F(IncrementsApi, OnlyWholeNumbersAreAdded) {
  for (const std::string_view body : {"", "{}", "[]", "5", R"({"v":1.5})", R"({"v":"1"})",
                                      R"({"v":null})", R"({"v":9223372036854775808})"}) {
    EXPECT_EQ(add(body).status, 400) << body;
  }
  EXPECT_TRUE(counts("10")) << row();
}

TEST_F(IncrementsApi, ARepeatedKeyAnswersTheSameWithoutAddingAgain) {
  const auto first = add(R"({"v":5})", "a");
  ASSERT_EQ(first.status, 200) << first.body;
  const auto again = add(R"({"v":5})", "a");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_TRUE(counts("15")) << row();
  EXPECT_EQ(add(R"({"v":5})", "b").status, 200);
  EXPECT_TRUE(counts("20")) << row();
}

TEST_F(IncrementsApi, AKeyBelongsToOneRequest) {
  ASSERT_EQ(add(R"({"v":5})", "a").status, 200);
  const auto other = add(R"({"v":6})", "a");
  EXPECT_EQ(other.status, 422);
  EXPECT_NE(other.body.find("idempotency_key_reused"), std::string::npos) << other.body;
  EXPECT_TRUE(counts("15")) << row();
}

TEST_F(IncrementsApi, AKeyWhoseRequestFailedIsFreeAgain) {
  served_.database().fail_with(Error{Code::kExhausted, "the disk is full", ""});
  EXPECT_EQ(add(R"({"v":5})", "a").status, 503);
  served_.database().fail_with(std::nullopt);
  EXPECT_EQ(add(R"({"v":5})", "a").status, 200);
  EXPECT_EQ(add("{", "b").status, 400);
  EXPECT_EQ(add(R"({"v":1})", "b").status, 200);
  EXPECT_TRUE(counts("16")) << row();
}

TEST_F(IncrementsApi, AKeyWhoseRequestStillRunsIsAConflict) {
  served_.database().hold();
  HttpClient first(served_.port());
  const std::string body = R"({"v":5})";
  first.send("POST " + std::string(kPath) +
             " HTTP/1.1\r\nIdempotency-Key: a\r\nContent-Length: 7\r\n\r\n" + body);
  served_.database().wait_until_held();
  EXPECT_EQ(add(body, "a").status, 409);
  served_.database().let_go();
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_EQ(add(body, "a").status, 200);
  EXPECT_TRUE(counts("15")) << row();
}

TEST_F(IncrementsApi, LongKeysAreRefused) {
  EXPECT_EQ(add(R"({"v":5})", std::string(256, 'k')).status, 400);
  EXPECT_EQ(add(R"({"v":5})", std::string(255, 'k')).status, 200);
}

TEST(IdempotencyKeys, ForgetsTheOldestAnswerButNoneThatRuns) {
  IdempotencyKeys keys(2);
  Response response;
  EXPECT_FALSE(keys.begin("running", "r"));
  for (const std::string key : {"a", "b", "c"}) {
    EXPECT_FALSE(keys.begin(key, "r"));
    response.body = key;
    keys.done(key, response);
  }
  ASSERT_TRUE(keys.begin("running", "r"));
  EXPECT_EQ(keys.begin("running", "r")->status, 409);
  ASSERT_TRUE(keys.begin("b", "r"));
  EXPECT_EQ(keys.begin("b", "r")->body, "b");
  EXPECT_FALSE(keys.begin("a", "r"));
}

}  // namespace
}  // namespace entente
