#pragma once

#include <map>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "gateway/encoding/json.h"

namespace entente {

// Hrana's JSON forms of values, statements, batches and results.
// Source: the Hrana 2 and 3 specifications of libSQL.

// The error of a request that breaks the protocol.
tl::unexpected<Error> hrana_malformed(std::string text);

// SQL texts that a client keeps here by number, so that they travel once. sqld's limits, which its
// clients know, with room to spare.
class SqlTexts {
 public:
  Result<void> store(int64_t id, std::string sql);
  void close(int64_t id) { texts_.erase(id); }
  Result<std::string> find(int64_t id) const;
  bool empty() const { return texts_.empty(); }

 private:
  std::map<int64_t, std::string> texts_;
};

struct BatchCondition {
  enum class Kind { kOk, kError, kNot, kAnd, kOr, kIsAutocommit } kind = Kind::kOk;
  size_t step = 0;                       // kOk, kError: an earlier step
  std::vector<BatchCondition> operands;  // kNot: one; kAnd, kOr: any number
};

struct BatchStep {
  std::optional<BatchCondition> condition;
  Statement statement;
};

std::vector<std::string_view> texts_of(const std::vector<BatchStep>& steps);

// What became of each step; absent: its condition did not hold.
using StepResults = std::vector<std::optional<Result<StatementResult>>>;

bool holds(const BatchCondition& condition, const StepResults& results, bool autocommit);

// `{"sql"|"sql_id"}` of a statement, or of a sequence or describe request.
Result<std::string> sql_from_json(const Json& json, const SqlTexts& texts);
Result<Statement> statement_from_json(const Json& json, const SqlTexts& texts);
Result<std::vector<BatchStep>> batch_from_json(const Json& json, const SqlTexts& texts);
Result<Value> hrana_value(const Json& json);
// REQUIRES: its text is UTF-8.
void write_hrana_value(JsonWriter& out, const Value& value);

// The word that Hrana's clients compare.
std::string hrana_code(const Error& error);
void write_hrana_error(JsonWriter& out, const Error& error);
// Fails with UNICODE_ERROR when a text is not UTF-8: JSON cannot carry it.
Result<std::string> hrana_result(const StatementResult& result, std::string_view replication_index);
std::string hrana_batch_result(const StepResults& results, std::string_view replication_index);
// What a cursor answers, one JSON text an entry.
std::vector<std::string> hrana_cursor_entries(const StepResults& results);
void write_hrana_columns(JsonWriter& out, const std::vector<StatementResult::Column>& columns);

}  // namespace entente
