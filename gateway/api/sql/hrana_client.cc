#include "gateway/api/sql/hrana_client.h"

#include <charconv>

namespace entente {
namespace {

const Json kNothing;

const Json& member(const Json& json, std::string_view name) {
  const Json* found = json.find(name);
  return found == nullptr ? kNothing : *found;
}

const Json::Array& array(const Json& json, std::string_view name) {
  static const Json::Array kNone;
  const auto* found = member(json, name).array();
  return found == nullptr ? kNone : *found;
}

// ---- Requests ----------------------------------------------------------------------------------

void write_statement(JsonWriter& out, const Statement& statement) {
  out.begin_object().member("sql", statement.sql).key("args").begin_array();
  for (const auto& value : statement.args) write_hrana_value(out, value);
  out.end_array().key("named_args").begin_array();
  for (const auto& [name, value] : statement.named) {
    out.begin_object().member("name", name).key("value");
    write_hrana_value(out, value);
    out.end_object();
  }
  out.end_array().key("want_rows").boolean(statement.want_rows).end_object();
}

std::string_view type_of(BatchCondition::Kind kind) {
  using Kind = BatchCondition::Kind;
  switch (kind) {
    case Kind::kOk:
      return "ok";
    case Kind::kError:
      return "error";
    case Kind::kNot:
      return "not";
    case Kind::kAnd:
      return "and";
    case Kind::kOr:
      return "or";
    case Kind::kIsAutocommit:
      break;
  }
  return "is_autocommit";
}

void write_condition(JsonWriter& out, const BatchCondition& condition) {
  using Kind = BatchCondition::Kind;
  out.begin_object().member("type", type_of(condition.kind));
  if (condition.kind == Kind::kOk || condition.kind == Kind::kError) {
    out.key("step").unsigned_integer(condition.step);
  } else if (condition.kind == Kind::kNot) {
    out.key("cond");
    write_condition(out, condition.operands[0]);
  } else if (condition.kind != Kind::kIsAutocommit) {
    out.key("conds").begin_array();
    for (const auto& operand : condition.operands) write_condition(out, operand);
    out.end_array();
  }
  out.end_object();
}

// ---- Answers -----------------------------------------------------------------------------------

tl::unexpected<Error> not_a_gateway(unsigned status) {
  return fail(Code::kTimeout,
              "the answer (HTTP " + std::to_string(status) + ") is not a gateway's");
}

Error told(const Json& error) {
  return {Code::kSql, text_of(error, "message"), text_of(error, "code")};
}

// A problem document, or an error of Hrana's own.
Error refusal_of(unsigned status, const Json& body) {
  const auto detail = text_of(body, "detail");
  Error refusal =
      detail.empty() ? told(body) : Error{Code::kRefused, detail, text_of(body, "code")};
  if (status == 500) refusal.code = Code::kTimeout;
  return refusal;
}

uint64_t count_of(const Json& json, std::string_view name) {
  const auto* count = member(json, name).integer();
  return count == nullptr ? 0 : static_cast<uint64_t>(*count);
}

std::optional<int64_t> rowid_of(const Json& result) {
  const auto text = text_of(result, "last_insert_rowid");
  int64_t rowid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rowid);
  if (error != std::errc{}) return std::nullopt;
  return rowid;
}

StatementResult::Column column_of(const Json& json) {
  StatementResult::Column column{text_of(json, "name"), std::nullopt};
  if (const auto* type = member(json, "decltype").string()) column.decltype_ = *type;
  return column;
}

Result<StatementResult> result_of(const Json& json) {
  StatementResult result;
  for (const auto& column : array(json, "cols")) result.columns.push_back(column_of(column));
  for (const auto& row : array(json, "rows")) {
    auto& values = result.rows.emplace_back();
    if (row.array() == nullptr) return hrana_malformed("a row is no array");
    for (const auto& cell : *row.array()) {
      auto value = hrana_value(cell);
      if (!value) return tl::unexpected(value.error());
      values.push_back(std::move(*value));
    }
  }
  result.affected = count_of(json, "affected_row_count");
  result.last_insert_rowid = rowid_of(json);
  return result;
}

}  // namespace

std::string hrana_execute_request(const Statement& statement) {
  JsonWriter out;
  out.begin_object().member("type", "execute").key("stmt");
  write_statement(out, statement);
  return out.end_object().take();
}

std::string hrana_batch_request(const std::vector<BatchStep>& steps) {
  JsonWriter out;
  out.begin_object().member("type", "batch").key("batch").begin_object().key("steps").begin_array();
  for (const auto& step : steps) {
    out.begin_object().key("condition");
    step.condition ? write_condition(out, *step.condition) : (void)out.null();
    out.key("stmt");
    write_statement(out, step.statement);
    out.end_object();
  }
  return out.end_array().end_object().end_object().take();
}

std::string hrana_sequence_request(std::string_view sql) {
  JsonWriter out;
  return out.begin_object().member("type", "sequence").member("sql", sql).end_object().take();
}

std::string hrana_pipeline(const std::optional<std::string>& baton, std::string_view requests) {
  JsonWriter out;
  out.begin_object().key("baton");
  baton ? out.string(*baton) : out.null();
  out.key("requests").begin_array().raw(requests);
  out.begin_object().member("type", "get_autocommit").end_object();
  return out.end_array().end_object().take();
}

Result<PipelineAnswer> read_pipeline_answer(HttpAnswer answer) {
  const auto body = parse_json(answer.body);
  if (!body) return not_a_gateway(answer.status);
  if (answer.status != 200) return tl::unexpected(refusal_of(answer.status, *body));
  const auto& results = array(*body, "results");
  if (results.size() < 2) return not_a_gateway(answer.status);
  const Json &last = results[results.size() - 2], &state = results[results.size() - 1];
  PipelineAnswer out;
  if (const auto* baton = member(*body, "baton").string()) out.baton = *baton;
  const auto* autocommit = member(member(state, "response"), "is_autocommit").boolean();
  out.autocommit = autocommit == nullptr || *autocommit;
  if (const Json* error = last.find("error")) {
    out.response = tl::unexpected(told(*error));
  } else {
    out.response = member(last, "response");
  }
  return out;
}

Result<StatementResult> read_hrana_result(const Json& response) {
  return result_of(member(response, "result"));
}

Result<StepResults> read_hrana_batch_result(const Json& response) {
  const auto& batch = member(response, "result");
  const auto& results = array(batch, "step_results");
  const auto& errors = array(batch, "step_errors");
  if (results.size() != errors.size()) return hrana_malformed("steps and errors do not match");
  StepResults steps(results.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!errors[i].is_null()) steps[i] = tl::unexpected(told(errors[i]));
    if (!results[i].is_null()) steps[i] = result_of(results[i]);
  }
  return steps;
}

}  // namespace entente
