#pragma once

#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/connection.h"

namespace entente::simulation::user_world {

// A plain SQLite database that is given the statements of a cluster of one: what it answers is what
// the gateway must answer.
class Twin {
 public:
  explicit Twin(const std::vector<std::string>& schema);

  void begin();
  Result<StatementResult> execute(const Statement& statement);
  Result<void> commit();
  void rollback();
  // In one transaction, as tools do: foreign keys are not looked at meanwhile.
  Result<void> migrate(const std::vector<std::string>& statements);

 private:
  sqlite::Connection db_;
};

// A difference between two answers, in words; "" for none. The order of rows is nobody's promise.
std::string difference(const Result<StatementResult>& theirs, const Result<StatementResult>& ours);

}  // namespace entente::simulation::user_world
