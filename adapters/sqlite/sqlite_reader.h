#pragma once

#include <functional>
#include <memory>

#include "adapters/database.h"
#include "adapters/sqlite/client_sql.h"
#include "adapters/sqlite/conflict_functions.h"
#include "adapters/sqlite/numbering.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// Reads users' tables and the gateway's own on one connection.
class SqliteReader final : public Reader {
 public:
  using Worlds = std::function<std::shared_ptr<const World>()>;

  SqliteReader(Connection db, const DatabaseOptions& options, Worlds worlds);

  Result<void> begin() override;
  void end() override;
  Result<VersionVector> applied() override;
  Result<StatementResult> execute(const Statement& statement) override;
  Result<StatementDescription> describe(const Statement& statement) override;
  Result<RowRead> row(std::string_view table, std::span<const Value> key,
                      bool all_siblings) override;
  Result<std::vector<ConflictEntry>> conflicts(const ConflictQuery& query) override;
  Result<std::map<Key, Row>> table(std::string_view table) override;
  Result<DigestSlice> digests(const DigestQuery& query) override;
  Result<StateSlice> states(const StateQuery& query) override;
  Result<std::vector<TableDef>> tables() override;
  Result<std::vector<TableDef>> retired_tables() override;
  Result<std::optional<TableDef>> find_table(std::string_view table) override;

 private:
  // Brings applied_ to what the open snapshot contains.
  Result<void> note_applied();

  DatabaseOptions options_;
  Worlds worlds_;
  Guard guard_;
  Connection db_;
  RowStore rows_;
  ClientSql sql_;
  ConflictFunctions functions_;
  IdFunction ids_;
  Stmt applied_row_;  // a query that is not at its end holds the snapshot
  bool open_ = false;
  std::string applied_bytes_;
  VersionVector applied_;
};

}  // namespace entente::sqlite
