#include "gateway/api/sql/transaction_record.h"

#include <variant>

#include "gateway/api/sql/sql_text.h"

namespace entente {
namespace {

// Without `numbered`, the last number of a row is left out: it tells of what the connection did
// before.
std::string outcome_text(const Result<StatementResult>& outcome, bool numbered) {
  if (!outcome) return hrana_code(outcome.error());
  Result<std::string> json;
  if (numbered) {
    json = hrana_result(*outcome, "");
  } else {
    StatementResult result = *outcome;
    result.last_insert_rowid.reset();
    json = hrana_result(result, "");
  }
  return json ? *json : hrana_code(json.error());
}

bool numbers_a_row(const Statement& statement, const Result<StatementResult>& outcome) {
  return outcome && outcome->counts &&
         outcome->counts->last_insert_rowid != statement.counts.last_insert_rowid;
}

size_t bytes_of(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->size();
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes.size();
  return sizeof(Value);
}

size_t bytes_of(const Statement& statement) {
  size_t bytes = statement.sql.size();
  for (const auto& value : statement.args) bytes += bytes_of(value);
  for (const auto& [name, value] : statement.named) bytes += name.size() + bytes_of(value);
  return bytes;
}

}  // namespace

void TransactionRecord::add(const Statement& statement, const Result<StatementResult>& outcome) {
  const bool wrote = outcome && outcome->affected > 0;
  if (!complete_ || (may_only_read(statement.sql) && !wrote)) return;
  const bool numbered = numbers_a_row(statement, outcome);
  auto text = outcome_text(outcome, numbered);
  bytes_ += bytes_of(statement) + text.size();
  if (statements_.size() == kStatementsMax || bytes_ > kBytesMax) {
    *this = {};
    complete_ = false;
    return;
  }
  statements_.push_back(statement);
  outcomes_.push_back({std::move(text), numbered});
}

bool TransactionRecord::same(const StepResults& results, size_t first) const {
  for (size_t i = 0; i < outcomes_.size(); ++i) {
    const auto& result = results[first + i];
    const Told& told = outcomes_[i];
    if (!result || outcome_text(*result, told.numbered) != told.text) return false;
  }
  return true;
}

}  // namespace entente
