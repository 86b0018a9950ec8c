#include "gateway/api/sql/legacy_sql_api.h"

#include "gateway/api/row_json.h"
#include "gateway/api/sql/sql_text.h"
#include "gateway/http/problem.h"

namespace entente {
namespace {

constexpr size_t kStatementsMax = 10'000;

Response error_body(const Error& error) {
  JsonWriter out;
  Response response;
  response.status = http_status(error.code);
  response.body = out.begin_object().member("error", error.text).end_object().take();
  return response;
}

tl::unexpected<Error> malformed(const char* why) { return fail(Code::kInvalid, why); }

Result<void> take_params(const Json& params, Statement& statement) {
  if (const auto* by_position = params.array()) {
    for (const auto& json : *by_position) {
      auto value = value_from_json(json, "a parameter");
      if (!value) return tl::unexpected(value.error());
      statement.args.push_back(std::move(*value));
    }
    return {};
  }
  const auto* by_name = params.object();
  if (by_name == nullptr) return malformed("\"params\" must be an array or an object");
  for (const auto& [name, json] : *by_name) {
    auto value = value_from_json(json, name);
    if (!value) return tl::unexpected(value.error());
    statement.named.emplace_back(name, std::move(*value));
  }
  return {};
}

Result<Statement> statement_of(const Json& json) {
  const Json* query = json.object() != nullptr ? json.find("q") : &json;
  if (query == nullptr || query->string() == nullptr) {
    return malformed("a statement is a text, or an object with \"q\"");
  }
  Statement statement;
  statement.sql = *query->string();
  if (control_of(statement.sql) != SqlControl::kNone) {
    return malformed("these statements are one transaction already: leave out BEGIN and COMMIT");
  }
  const Json* params = json.find("params");
  if (params == nullptr || params->is_null()) return statement;
  const auto taken = take_params(*params, statement);
  if (!taken) return tl::unexpected(taken.error());
  return statement;
}

Result<std::vector<Statement>> parse(std::string& text) {
  const auto body = parse_json(text);
  if (!body) return tl::unexpected(body.error());
  const Json* all = body->find("statements");
  if (all == nullptr || all->array() == nullptr || all->array()->size() > kStatementsMax) {
    return malformed("the body needs \"statements\", an array of at most 10000");
  }
  std::vector<Statement> statements;
  for (const auto& json : *all->array()) {
    auto statement = statement_of(json);
    if (!statement) return tl::unexpected(statement.error());
    statements.push_back(std::move(*statement));
  }
  return statements;
}

BatchCondition ok(size_t step) { return {BatchCondition::Kind::kOk, step, {}}; }

BatchStep control(const char* sql, std::optional<BatchCondition> condition) {
  BatchStep step;
  step.condition = std::move(condition);
  step.statement.sql = sql;
  return step;
}

// BEGIN; each if the one before it went well; COMMIT if the last did; ROLLBACK if that did not.
std::vector<BatchStep> as_transaction(std::vector<Statement> statements) {
  std::vector<BatchStep> steps{control("BEGIN", std::nullopt)};
  for (auto& statement : statements) {
    steps.push_back({ok(steps.size() - 1), std::move(statement)});
  }
  const size_t commit = steps.size();
  steps.push_back(control("COMMIT", ok(commit - 1)));
  steps.push_back(control("ROLLBACK", BatchCondition{BatchCondition::Kind::kNot, 0, {ok(commit)}}));
  return steps;
}

void write_results(JsonWriter& out, const StatementResult& result) {
  out.begin_object().key("results").begin_object().key("columns").begin_array();
  for (const auto& column : result.columns) out.string(column.name);
  out.end_array().key("rows").begin_array();
  for (const auto& row : result.rows) {
    out.begin_array();
    for (const auto& value : row) write_value(out, value, BigIntegers::kNumber);
    out.end_array();
  }
  out.end_array().end_object().end_object();
}

Response render(const StepResults& results) {
  for (const auto& step : results) {
    if (step && !*step) return error_body(step->error());
  }
  JsonWriter out;
  out.begin_array();
  for (size_t i = 1; i + 2 < results.size(); ++i) write_results(out, **results[i]);
  Response response;
  response.body = out.end_array().take();
  return response;
}

Task<Response> run(const Site& site, HranaStream::Counts& counts, RoutedRequest routed) {
  auto statements = parse(routed.request.body);
  if (!statements) co_return error_body(statements.error());
  const auto admitted = admit_stream(site, counts);
  if (!admitted) co_return error_body(admitted.error());
  HranaStream stream(site, counts, {routed.client, routed.request.from});
  Task<StepResults> running = stream.batch(as_transaction(std::move(*statements)));
  const auto results = co_await running;
  Response response = render(results);
  response.session = stream.session();
  co_return response;
}

}  // namespace

void add_legacy_sql_api(Router& router, const Site& site, HranaStream::Counts& counts) {
  router.add(Method::kPost, "/", "sql", Right::kRead,
             [&site, &counts](RoutedRequest r) { return run(site, counts, std::move(r)); });
}

}  // namespace entente
