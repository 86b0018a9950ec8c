#include "gateway/api/sql/hrana_client.h"

#include <gtest/gtest.h>

#include <limits>

#include "gateway/api/sql/hrana_job.h"

namespace entente {
namespace {

// What this writes, as a server reads it.
template <class Job>
Job read_back(const std::string& request) {
  std::string text = request;
  const auto json = parse_json(text);
  EXPECT_TRUE(json) << request;
  SqlTexts texts;
  auto job = read_hrana_job(text_of(*json, "type"), *json, texts);
  EXPECT_TRUE(job) << request;
  return std::get<Job>(std::move(job->what));
}

// What a server writes, as this reads it.
Json response(const std::string& result) {
  std::string text = "{\"result\":" + result + "}";
  return *parse_json(text);
}

TEST(HranaClient, AStatementArrivesAsItWas) {
  Statement statement;
  statement.sql = "SELECT \"é\n\", ?, :n";
  statement.args = {Null{},
                    std::numeric_limits<int64_t>::min(),
                    0.1,
                    std::string("\0x", 2),
                    Blob{std::string("\0\xff", 2)},
                    std::numeric_limits<double>::infinity()};
  statement.named = {{":n", int64_t{1}}, {"m", std::string()}};
  statement.want_rows = false;
  const auto read = read_back<HranaJob::Execute>(hrana_execute_request(statement)).statement;
  EXPECT_EQ(read.sql, statement.sql);
  EXPECT_EQ(read.args, statement.args);
  EXPECT_EQ(read.named, statement.named);
  EXPECT_FALSE(read.want_rows);
}

TEST(HranaClient, ABatchArrivesWithItsConditions) {
  using Condition = BatchCondition;
  using Kind = Condition::Kind;
  std::vector<BatchStep> steps(3);
  for (auto& step : steps) step.statement.sql = "SELECT 1";
  steps[1].condition = Condition{Kind::kNot, 0, {Condition{Kind::kIsAutocommit, 0, {}}}};
  steps[2].condition = Condition{
      Kind::kOr,
      0,
      {Condition{Kind::kAnd, 0, {Condition{Kind::kOk, 0, {}}, Condition{Kind::kError, 1, {}}}}}};
  const auto request = hrana_batch_request(steps);
  const auto read = read_back<HranaJob::Batch>(request).steps;
  EXPECT_EQ(hrana_batch_request(read), request);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_FALSE(read[0].condition);
  EXPECT_EQ(read[2].condition->operands[0].operands[1].step, 1u);
}

TEST(HranaClient, AResultIsReadAsItWas) {
  StatementResult result;
  result.columns = {{"a", "INTEGER"}, {"b", std::nullopt}};
  result.rows = {{int64_t{1} << 60, Blob{"\xff"}}, {2.0, Null{}}, {std::string("x"), -0.0}};
  result.affected = 3;
  result.last_insert_rowid = std::numeric_limits<int64_t>::max();
  const auto read = read_hrana_result(response(*hrana_result(result, "")));
  ASSERT_TRUE(read);
  EXPECT_EQ(*hrana_result(*read, ""), *hrana_result(result, ""));
  EXPECT_EQ(read->rows, result.rows);
  EXPECT_EQ(read->last_insert_rowid, result.last_insert_rowid);
  EXPECT_FALSE(read->columns[1].decltype_);
}

TEST(HranaClient, StepsThatRanFailedAndWereLeftOutAreTold) {
  StepResults steps(3);
  steps[0] = StatementResult{};
  steps[1] = tl::unexpected(Error{Code::kConstraint, "taken", "SQLITE_CONSTRAINT"});
  const auto read = read_hrana_batch_result(response(hrana_batch_result(steps, "")));
  ASSERT_TRUE(read && read->size() == 3);
  EXPECT_TRUE((*read)[0] && *(*read)[0]);
  EXPECT_EQ((*read)[1]->error().tag, "SQLITE_CONSTRAINT");
  EXPECT_EQ((*read)[1]->error().text, "taken");
  EXPECT_FALSE((*read)[2]);
}

TEST(HranaClient, ARefusalIsNoMysteryAndAnythingElseIs) {
  EXPECT_EQ(read_pipeline_answer({403, R"({"detail":"no","code":"why"})", ""}).error().tag, "why");
  EXPECT_EQ(read_pipeline_answer({400, R"({"message":"no","code":"X"})", ""}).error().text, "no");
  for (const auto* body : {"", "<html>", "{}", "[]", R"({"results":[{}]})", R"({"results":5})"}) {
    const auto read = read_pipeline_answer({200, body, ""});
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().code, Code::kTimeout) << body;
  }
  EXPECT_EQ(read_pipeline_answer({500, R"({"detail":"failed"})", ""}).error().code, Code::kTimeout);
}

}  // namespace
}  // namespace entente
