#pragma once

#include "adapters/database.h"

namespace entente::test {

// Understands SELECT (answers 1), WRITE … (the fake database remembers its text) and BAD.
inline Result<StatementResult> tiny_sql(const Statement& statement, bool reading) {
  StatementResult result;
  if (statement.sql.starts_with("SELECT")) {
    result.columns = {{"one", std::nullopt}};
    result.rows = {{int64_t{1}}};
    return result;
  }
  if (statement.sql.starts_with("BAD")) return fail(Code::kSql, "bad", "SQLITE_ERROR");
  if (reading) return fail(Code::kRefused, "this statement writes");
  result.affected = 1;
  result.last_insert_rowid = 5;
  return result;
}

}  // namespace entente::test
