#include "gateway/api/sql/hrana_values.h"

#include <algorithm>
#include <charconv>

#include "gateway/encoding/base64.h"
#include "topology/utf8.h"

namespace entente {
namespace {

constexpr size_t kTextsMax = 150, kTextBytesMax = 5'000;

const std::string* find_text(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  return member == nullptr ? nullptr : member->string();
}

Result<Value> integer_value(const Json& json) {
  const Json* value = json.find("value");
  if (value != nullptr && value->integer() != nullptr) return *value->integer();
  const auto* text = find_text(json, "value");
  if (text == nullptr) return hrana_malformed("an integer's \"value\" must be a text of digits");
  int64_t i = 0;
  const char* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, i);
  if (error != std::errc{} || end != last) {
    return hrana_malformed("an integer's \"value\" must be a text of digits that fits in 64 bits");
  }
  return i;
}

Result<Value> float_value(const Json& json) {
  const Json* value = json.find("value");
  if (value != nullptr && value->real() != nullptr) return *value->real();
  if (value != nullptr && value->integer() != nullptr) {
    return static_cast<double>(*value->integer());
  }
  return hrana_malformed("a float's \"value\" must be a number");
}

Result<Value> blob_value(const Json& json) {
  const auto* text = find_text(json, "base64");
  if (text == nullptr) return hrana_malformed("a blob needs \"base64\"");
  auto bytes = parse_base64(*text);
  if (!bytes) return hrana_malformed(bytes.error().text);
  return Blob{std::move(*bytes)};
}

Result<void> take_positional(const Json& json, Statement& statement) {
  const Json* args = json.find("args");
  if (args == nullptr || args->is_null()) return {};
  if (args->array() == nullptr) return hrana_malformed("\"args\" must be an array");
  for (const auto& arg : *args->array()) {
    auto value = hrana_value(arg);
    if (!value) return tl::unexpected(value.error());
    statement.args.push_back(std::move(*value));
  }
  return {};
}

Result<void> take_named(const Json& json, Statement& statement) {
  const Json* args = json.find("named_args");
  if (args == nullptr || args->is_null()) return {};
  if (args->array() == nullptr) return hrana_malformed("\"named_args\" must be an array");
  for (const auto& arg : *args->array()) {
    const auto* name = find_text(arg, "name");
    const Json* json_value = arg.find("value");
    if (name == nullptr || json_value == nullptr) {
      return hrana_malformed("a named argument needs \"name\" and \"value\"");
    }
    auto value = hrana_value(*json_value);
    if (!value) return tl::unexpected(value.error());
    statement.named.emplace_back(*name, std::move(*value));
  }
  return {};
}

Result<BatchCondition> condition_from_json(const Json& json, size_t steps_before);

Result<void> take_operands(const Json& json, size_t steps_before, BatchCondition& condition) {
  const Json* all = json.find("conds");
  if (all == nullptr || all->array() == nullptr)
    return hrana_malformed("a condition needs \"conds\"");
  for (const auto& operand : *all->array()) {
    auto parsed = condition_from_json(operand, steps_before);
    if (!parsed) return tl::unexpected(parsed.error());
    condition.operands.push_back(std::move(*parsed));
  }
  return {};
}

Result<void> take_step(const Json& json, size_t steps_before, BatchCondition& condition) {
  const Json* step = json.find("step");
  if (step == nullptr || step->integer() == nullptr || *step->integer() < 0 ||
      static_cast<uint64_t>(*step->integer()) >= steps_before) {
    return hrana_malformed("a condition's \"step\" must be an earlier step of the batch");
  }
  condition.step = static_cast<size_t>(*step->integer());
  return {};
}

Result<BatchCondition> condition_from_json(const Json& json, size_t steps_before) {
  using Kind = BatchCondition::Kind;
  const auto* type = find_text(json, "type");
  const std::string_view word = type == nullptr ? std::string_view() : *type;
  BatchCondition condition;
  Result<void> ok;
  if (word == "ok" || word == "error") {
    condition.kind = word == "ok" ? Kind::kOk : Kind::kError;
    ok = take_step(json, steps_before, condition);
  } else if (word == "and" || word == "or") {
    condition.kind = word == "and" ? Kind::kAnd : Kind::kOr;
    ok = take_operands(json, steps_before, condition);
  } else if (word == "not") {
    condition.kind = Kind::kNot;
    const Json* operand = json.find("cond");
    if (operand == nullptr) return hrana_malformed("a \"not\" needs \"cond\"");
    auto parsed = condition_from_json(*operand, steps_before);
    if (!parsed) return parsed;
    condition.operands.push_back(std::move(*parsed));
  } else if (word == "is_autocommit") {
    condition.kind = Kind::kIsAutocommit;
  } else {
    return hrana_malformed("a condition's \"type\" must be ok, error, not, and, or, is_autocommit");
  }
  if (!ok) return tl::unexpected(ok.error());
  return condition;
}

void write_text(JsonWriter& out, const std::string& text, bool& utf8) {
  utf8 = utf8 && is_utf8(text);
  out.member("type", "text").member("value", text);
}

void write_value(JsonWriter& out, const Value& v, bool& utf8) {
  out.begin_object();
  if (const auto* i = std::get_if<int64_t>(&v)) {
    out.member("type", "integer").member("value", std::to_string(*i));
  } else if (const auto* d = std::get_if<double>(&v)) {
    out.member("type", "float").key("value").real(*d);
  } else if (const auto* text = std::get_if<std::string>(&v)) {
    write_text(out, *text, utf8);
  } else if (const auto* blob = std::get_if<Blob>(&v)) {
    std::string encoded;
    append_base64(encoded, blob->bytes, false);  // Go's client reads no padding
    out.member("type", "blob").member("base64", encoded);
  } else {
    out.member("type", "null");
  }
  out.end_object();
}

std::string_view code_word(Code code) {
  switch (code) {
    case Code::kConstraint:
      return "SQLITE_CONSTRAINT";
    case Code::kBusy:
      return "SQLITE_BUSY";
    case Code::kTimeout:
      return "SQLITE_INTERRUPT";
    case Code::kExhausted:
      return "SQLITE_FULL";
    case Code::kCorrupt:
      return "SQLITE_CORRUPT";
    case Code::kRefused:
      return "SQLITE_AUTH";
    case Code::kTooLarge:
      return "SQLITE_TOOBIG";
    default:
      return "SQLITE_ERROR";
  }
}

void write_rowid(JsonWriter& out, const StatementResult& result) {
  out.key("last_insert_rowid");
  result.last_insert_rowid ? out.string(std::to_string(*result.last_insert_rowid)) : out.null();
}

Error not_utf8() {
  return {Code::kSql,
          "the result holds a text that is not UTF-8, which JSON cannot carry; read it with "
          "CAST(… AS BLOB)",
          "UNICODE_ERROR"};
}

void write_row(JsonWriter& out, const std::vector<Value>& row, bool& utf8) {
  out.begin_array();
  for (const auto& value : row) write_value(out, value, utf8);
  out.end_array();
}

std::string row_entry(const std::vector<Value>& row, bool& utf8) {
  JsonWriter out;
  out.begin_object().member("type", "row").key("row");
  write_row(out, row, utf8);
  return out.end_object().take();
}

std::string step_begin(size_t step, const StatementResult& result) {
  JsonWriter out;
  out.begin_object().member("type", "step_begin").key("step").unsigned_integer(step).key("cols");
  write_hrana_columns(out, result.columns);
  return out.end_object().take();
}

std::string step_end(const StatementResult& result) {
  JsonWriter out;
  out.begin_object().member("type", "step_end");
  out.key("affected_row_count").unsigned_integer(result.affected);
  write_rowid(out, result);
  return out.end_object().take();
}

std::string step_error(size_t step, const Error& error) {
  JsonWriter out;
  out.begin_object().member("type", "step_error").key("step").unsigned_integer(step).key("error");
  write_hrana_error(out, error);
  return out.end_object().take();
}

}  // namespace

tl::unexpected<Error> hrana_malformed(std::string text) {
  return fail(Code::kInvalid, std::move(text), "HRANA_PROTO_ERROR");
}

Result<void> SqlTexts::store(int64_t id, std::string sql) {
  if (texts_.contains(id)) return hrana_malformed("sql_id " + std::to_string(id) + " is taken");
  if (texts_.size() >= kTextsMax) {
    return fail(Code::kTooLarge, "a stream keeps at most " + std::to_string(kTextsMax) + " texts",
                "SQL_STORE_TOO_MANY");
  }
  if (sql.size() > kTextBytesMax) {
    return fail(Code::kTooLarge,
                "a stored text has at most " + std::to_string(kTextBytesMax) + " bytes",
                "SQL_STORE_TOO_LARGE");
  }
  texts_.emplace(id, std::move(sql));
  return {};
}

Result<std::string> SqlTexts::find(int64_t id) const {
  const auto at = texts_.find(id);
  if (at != texts_.end()) return at->second;
  return hrana_malformed("there is no stored text with sql_id " + std::to_string(id));
}

std::vector<std::string_view> texts_of(const std::vector<BatchStep>& steps) {
  std::vector<std::string_view> texts;
  for (const auto& step : steps) texts.push_back(step.statement.sql);
  return texts;
}

bool holds(const BatchCondition& condition, const StepResults& results, bool autocommit) {
  using Kind = BatchCondition::Kind;
  const auto operand_holds = [&](const BatchCondition& c) { return holds(c, results, autocommit); };
  const auto& operands = condition.operands;
  const auto& step = results[condition.step];
  switch (condition.kind) {
    case Kind::kOk:
      return step && *step;
    case Kind::kError:
      return step && !*step;
    case Kind::kNot:
      return !operand_holds(operands[0]);
    case Kind::kAnd:
      return std::all_of(operands.begin(), operands.end(), operand_holds);
    case Kind::kOr:
      return std::any_of(operands.begin(), operands.end(), operand_holds);
    case Kind::kIsAutocommit:
      break;
  }
  return autocommit;
}

Result<Value> hrana_value(const Json& json) {
  const auto* type = find_text(json, "type");
  const std::string_view word = type == nullptr ? std::string_view() : *type;
  if (word == "null") return Null{};
  if (word == "integer") return integer_value(json);
  if (word == "float") return float_value(json);
  if (word == "blob") return blob_value(json);
  if (word != "text") {
    return hrana_malformed("a value's \"type\" must be null, integer, float, text or blob");
  }
  const auto* text = find_text(json, "value");
  if (text == nullptr) return hrana_malformed("a text's \"value\" must be a text");
  return *text;
}

void write_hrana_value(JsonWriter& out, const Value& value) {
  bool utf8 = true;
  write_value(out, value, utf8);
}

Result<std::string> sql_from_json(const Json& json, const SqlTexts& texts) {
  const auto* sql = find_text(json, "sql");
  const Json* id = json.find("sql_id");
  const bool has_id = id != nullptr && id->integer() != nullptr;
  if ((sql != nullptr) == has_id) {
    return hrana_malformed("a statement needs exactly one of \"sql\" and \"sql_id\"");
  }
  if (sql != nullptr) return *sql;
  return texts.find(*id->integer());
}

Result<Statement> statement_from_json(const Json& json, const SqlTexts& texts) {
  auto sql = sql_from_json(json, texts);
  if (!sql) return tl::unexpected(sql.error());
  Statement statement;
  statement.sql = std::move(*sql);
  auto ok = take_positional(json, statement);
  if (ok) ok = take_named(json, statement);
  if (!ok) return tl::unexpected(ok.error());
  const Json* want_rows = json.find("want_rows");
  if (want_rows != nullptr && want_rows->boolean() != nullptr) {
    statement.want_rows = *want_rows->boolean();
  }
  return statement;
}

Result<std::vector<BatchStep>> batch_from_json(const Json& json, const SqlTexts& texts) {
  const Json* steps = json.find("steps");
  if (steps == nullptr || steps->array() == nullptr)
    return hrana_malformed("a batch needs \"steps\"");
  std::vector<BatchStep> batch;
  for (const auto& step : *steps->array()) {
    const Json* stmt = step.find("stmt");
    if (stmt == nullptr) return hrana_malformed("a step needs \"stmt\"");
    auto statement = statement_from_json(*stmt, texts);
    if (!statement) return tl::unexpected(statement.error());
    BatchStep parsed{std::nullopt, std::move(*statement)};
    const Json* condition = step.find("condition");
    if (condition != nullptr && !condition->is_null()) {
      auto c = condition_from_json(*condition, batch.size());
      if (!c) return tl::unexpected(c.error());
      parsed.condition = std::move(*c);
    }
    batch.push_back(std::move(parsed));
  }
  return batch;
}

std::string hrana_code(const Error& error) {
  return error.tag.empty() ? std::string(code_word(error.code)) : error.tag;
}

void write_hrana_error(JsonWriter& out, const Error& error) {
  out.begin_object().member("message", error.text).member("code", hrana_code(error)).end_object();
}

void write_hrana_columns(JsonWriter& out, const std::vector<StatementResult::Column>& columns) {
  out.begin_array();
  for (const auto& column : columns) {
    out.begin_object().member("name", column.name).key("decltype");
    column.decltype_ ? out.string(*column.decltype_) : out.null();
    out.end_object();
  }
  out.end_array();
}

Result<std::string> hrana_result(const StatementResult& result,
                                 std::string_view replication_index) {
  JsonWriter out;
  bool utf8 = true;
  out.begin_object().key("cols");
  write_hrana_columns(out, result.columns);
  out.key("rows").begin_array();
  for (const auto& row : result.rows) write_row(out, row, utf8);
  out.end_array().key("affected_row_count").unsigned_integer(result.affected);
  write_rowid(out, result);
  out.member("replication_index", replication_index).end_object();
  if (utf8) return out.take();
  return tl::unexpected(not_utf8());
}

std::string hrana_batch_result(const StepResults& results, std::string_view replication_index) {
  JsonWriter ok, errors;
  ok.begin_array(), errors.begin_array();
  for (const auto& step : results) {
    Result<std::string> json = std::string("null");
    if (step) {
      json = *step ? hrana_result(**step, replication_index) : tl::unexpected((*step).error());
    }
    json ? ok.raw(*json) : ok.null();
    json ? (void)errors.null() : write_hrana_error(errors, json.error());
  }
  ok.end_array(), errors.end_array();
  JsonWriter out;
  out.begin_object().key("step_results").raw(ok.take()).key("step_errors").raw(errors.take());
  return out.member("replication_index", replication_index).end_object().take();
}

std::vector<std::string> hrana_cursor_entries(const StepResults& results) {
  std::vector<std::string> entries;
  for (size_t step = 0; step < results.size(); ++step) {
    const auto& result = results[step];
    if (!result) continue;
    if (!*result) {
      entries.push_back(step_error(step, result->error()));
      continue;
    }
    bool utf8 = true;
    entries.push_back(step_begin(step, **result));
    for (const auto& row : (*result)->rows) {
      entries.push_back(row_entry(row, utf8));
      if (!utf8) break;
    }
    if (!utf8) entries.back() = step_error(step, not_utf8());
    if (utf8) entries.push_back(step_end(**result));
  }
  return entries;
}

}  // namespace entente
