// Hrana as clients speak it, and the answers that a gateway gets from the schema leader.

#include <algorithm>

#include "gateway/api/sql/hrana_client.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"
#include "topology/utf8.h"

namespace entente::fuzz {
namespace {

bool same(const BatchCondition& a, const BatchCondition& b) {
  return a.kind == b.kind && a.step == b.step &&
         std::equal(a.operands.begin(), a.operands.end(), b.operands.begin(), b.operands.end(),
                    same);
}

bool same(const Statement& a, const Statement& b) {
  const auto alike = [](const Value& x, const Value& y) { return identical(x, y); };
  const auto named = [](const auto& x, const auto& y) {
    return x.first == y.first && identical(x.second, y.second);
  };
  return a.sql == b.sql && a.want_rows == b.want_rows &&
         std::equal(a.args.begin(), a.args.end(), b.args.begin(), b.args.end(), alike) &&
         std::equal(a.named.begin(), a.named.end(), b.named.begin(), b.named.end(), named);
}

Json json_of(std::string text) {
  auto json = parse_json(text);
  MUST(json);
  return std::move(*json);
}

// What a client's half writes, the server's half reads alike.
void check_batch(const std::vector<BatchStep>& steps) {
  const Json request = json_of(hrana_batch_request(steps));
  const Json* batch = request.find("batch");
  MUST(batch != nullptr);
  const auto again = batch_from_json(*batch, {});
  MUST(again && again->size() == steps.size());
  StepResults results(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto &step = steps[i], &read = (*again)[i];
    MUST(same(read.statement, step.statement));
    MUST(read.condition.has_value() == step.condition.has_value());
    if (!step.condition) continue;
    MUST(same(*read.condition, *step.condition));
    holds(*step.condition, results, true);
  }
}

void check_result(const StatementResult& result) {
  const auto text = hrana_result(result, "1");
  if (!text) return;  // not UTF-8
  const Json answer = json_of("{\"result\":" + *text + "}");
  const auto again = read_hrana_result(answer);
  MUST(again && again->rows.size() == result.rows.size());
  for (size_t i = 0; i < result.rows.size(); ++i) {
    MUST(again->rows[i].size() == result.rows[i].size());
    for (size_t c = 0; c < result.rows[i].size(); ++c) {
      MUST(identical(again->rows[i][c], result.rows[i][c]));
    }
  }
}

void run(std::string_view bytes) {
  std::string text(bytes);
  const auto json = parse_json(text);
  if (!json) return;
  SqlTexts texts;
  MUST(texts.store(1, "SELECT 1"));
  const Json* batch = json->find("batch");
  const Json* statement = json->find("stmt");
  if (const auto steps = batch_from_json(batch != nullptr ? *batch : *json, texts)) {
    check_batch(*steps);
  }
  if (const auto read = statement_from_json(statement != nullptr ? *statement : *json, texts)) {
    check_batch({{std::nullopt, *read}});
  }
  if (const auto value = hrana_value(*json)) check_result({{{"x", {}}}, {{*value}}, 1, {}});
  if (const auto result = read_hrana_result(*json)) check_result(*result);
  if (const auto steps = read_hrana_batch_result(*json)) {
    json_of(hrana_batch_result(*steps, "1"));
    for (const auto& entry : hrana_cursor_entries(*steps)) json_of(entry);
  }
  if (auto answer = read_pipeline_answer({200, std::string(bytes), ""});
      answer && answer->response) {
    if (const auto result = read_hrana_result(*answer->response)) check_result(*result);
  }
}

std::vector<std::string> seeds() {
  Statement statement;
  statement.sql = "INSERT INTO t VALUES (?, :name)";
  for (size_t i = 0; i < value_count(); ++i) {
    const Value value = value_at(i);
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || is_utf8(*text)) statement.args.push_back(value);
  }
  statement.named = {{"name", std::string("x")}};
  using Kind = BatchCondition::Kind;
  const BatchCondition first{Kind::kOk, 0, {}};
  const BatchCondition all{
      Kind::kAnd, 0, {first, {Kind::kNot, 0, {first}}, {Kind::kIsAutocommit, 0, {}}}};
  std::vector<std::string> out = {
      hrana_execute_request(statement),
      hrana_batch_request({{std::nullopt, statement}, {all, statement}}),
      hrana_sequence_request("SELECT 1; SELECT 2"),
  };
  StatementResult result{{{"a", "TEXT"}, {"b", {}}}, {statement.args, {}}, 3, 17};
  if (const auto text = hrana_result(result, "5")) out.push_back("{\"result\":" + *text + "}");
  StepResults steps(3);
  steps[0] = result;
  steps[1] = fail(Code::kSql, "no such table: t", "SQLITE_ERROR");
  out.push_back("{\"result\":" + hrana_batch_result(steps, "5") + "}");
  out.push_back(R"({"baton": "b", "results": [{"type": "ok", "response": {"result": )" +
                hrana_result(result, "5").value_or("") +
                R"(}}, {"type": "ok", "response": {"is_autocommit": false}}]})");
  return out;
}

const Registration registered({"hrana", run, seeds});

}  // namespace
}  // namespace entente::fuzz
