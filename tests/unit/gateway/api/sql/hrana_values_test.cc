#include "gateway/api/sql/hrana_values.h"

#include <gtest/gtest.h>

#include "gateway/api/sql/hrana_stream.h"

namespace entente {
namespace {

Json json(std::string text) { return *parse_json(text); }

TEST(HranaValues, EveryTypeIsRead) {
  EXPECT_EQ(*hrana_value(json(R"({"type":"null"})")), Value(Null{}));
  EXPECT_EQ(*hrana_value(json(R"({"type":"integer","value":"9007199254740993"})")),
            Value(int64_t{9007199254740993}));  // is no double
  EXPECT_EQ(*hrana_value(json(R"({"type":"integer","value":"-9223372036854775808"})")),
            Value(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(*hrana_value(json(R"({"type":"float","value":2})")), Value(2.0));
  EXPECT_EQ(*hrana_value(json(R"({"type":"text","value":"é"})")), Value(std::string("é")));
  EXPECT_EQ(*hrana_value(json(R"({"type":"blob","base64":"AP8"})")),
            Value(Blob{std::string("\0\xff", 2)}));
  EXPECT_EQ(*hrana_value(json(R"({"type":"blob","base64":"AP8="})")),
            Value(Blob{std::string("\0\xff", 2)}));
}

TEST(HranaValues, MalformedValuesAreRefused) {
  for (const auto text :
       {R"({})", R"({"type":"int"})", R"({"type":"integer","value":"9223372036854775808"})",
        R"({"type":"integer","value":"1x"})", R"({"type":"integer"})", R"({"type":"text"})",
        R"({"type":"float","value":"1"})", R"({"type":"blob","base64":"A"})",
        R"({"type":"blob","base64":"*"})"}) {
    EXPECT_FALSE(hrana_value(json(text))) << text;
  }
}

TEST(HranaValues, ResultIsWrittenAsClientsReadIt) {
  StatementResult result;
  result.columns = {{"a", "INTEGER"}, {"b", std::nullopt}};
  result.rows = {{int64_t{1}, Blob{"\xff"}}, {2.0, std::string("x")}};
  result.affected = 3;
  result.last_insert_rowid = 7;
  EXPECT_EQ(*hrana_result(result, "9"),
            R"({"cols":[{"name":"a","decltype":"INTEGER"},{"name":"b","decltype":null}],)"
            R"("rows":[[{"type":"integer","value":"1"},{"type":"blob","base64":"/w"}],)"
            R"([{"type":"float","value":2.0},{"type":"text","value":"x"}]],)"
            R"("affected_row_count":3,"last_insert_rowid":"7","replication_index":"9"})");
}

TEST(HranaValues, TextThatIsNotUtf8IsAnError) {
  StatementResult result;
  result.rows = {{std::string("\xff")}};
  EXPECT_EQ(hrana_result(result, "0").error().tag, "UNICODE_ERROR");
}

TEST(HranaValues, ConditionsLookAtEarlierStepsOnly) {
  const SqlTexts texts;
  EXPECT_FALSE(batch_from_json(
      json(R"({"steps":[{"stmt":{"sql":"a"},"condition":{"type":"ok","step":0}}]})"), texts));
  const auto steps = batch_from_json(
      json(R"({"steps":[{"stmt":{"sql":"a"}},{"stmt":{"sql":"b"}},{"stmt":{"sql":"c"},"condition":)"
           R"({"type":"or","conds":[{"type":"error","step":0},{"type":"and","conds":[)"
           R"({"type":"ok","step":0},{"type":"not","cond":{"type":"ok","step":1}}]}]}}]})"),
      texts);
  ASSERT_TRUE(steps);
  const auto& condition = *(*steps)[2].condition;
  const Result<StatementResult> ok = StatementResult{}, bad = fail(Code::kSql, "");
  EXPECT_TRUE(holds(condition, {bad, std::nullopt, std::nullopt}, true));
  EXPECT_TRUE(holds(condition, {ok, std::nullopt, std::nullopt}, true));
  EXPECT_FALSE(holds(condition, {ok, ok, std::nullopt}, true));
}

TEST(HranaValues, StoredTextsAreBounded) {
  SqlTexts texts;
  EXPECT_TRUE(texts.store(1, "SELECT 1"));
  EXPECT_FALSE(texts.store(1, "SELECT 2"));
  EXPECT_EQ(texts.store(2, std::string(5001, 'x')).error().tag, "SQL_STORE_TOO_LARGE");
  for (int64_t id = 2; id <= 150; ++id) EXPECT_TRUE(texts.store(id, "x"));
  EXPECT_EQ(texts.store(151, "x").error().tag, "SQL_STORE_TOO_MANY");
  texts.close(1);
  EXPECT_FALSE(texts.find(1));
}

TEST(HranaStream, OnlyABatchThatSurelyEndsItsTransactionIsWhole) {
  const auto steps = [](std::string text) { return *batch_from_json(json(std::move(text)), {}); };
  const std::string begin = R"({"stmt":{"sql":"BEGIN"}},{"stmt":{"sql":"INSERT"}},)";
  const std::string commit = R"({"stmt":{"sql":"COMMIT"},"condition":{"type":"ok","step":1}})";
  const std::string rollback =
      R"({"stmt":{"sql":"ROLLBACK"},"condition":{"type":"not","cond":{"type":"ok","step":2}}})";
  EXPECT_TRUE(
      is_whole_transaction(steps(R"({"steps":[)" + begin + commit + "," + rollback + "]}")));
  EXPECT_TRUE(
      is_whole_transaction(steps(R"({"steps":[)" + begin + R"({"stmt":{"sql":"COMMIT"}}]})")));
  EXPECT_FALSE(is_whole_transaction(steps(R"({"steps":[)" + begin + commit + "]}")));
  EXPECT_FALSE(is_whole_transaction(
      steps(R"({"steps":[)" + begin + commit + R"(,{"stmt":{"sql":"ROLLBACK"}}]})")));
  EXPECT_FALSE(is_whole_transaction(steps(R"({"steps":[{"stmt":{"sql":"INSERT"}}]})")));
}

}  // namespace
}  // namespace entente
