#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/capture.h"
#include "adapters/sqlite/client_sql.h"
#include "adapters/sqlite/schema_changer.h"
#include "adapters/sqlite/storage.h"

namespace entente::sqlite {

// The connection that runs clients' writes, and what belongs to it.
struct LocalSide {
  Connection& db;
  ClientSql& sql;
  Capture& capture;
  RowStore& rows;
  SchemaChanger& schema;
  FileState& state;
  const DatabaseOptions& options;
  const uint64_t& wall_ms;
};

// One client transaction while it runs: what its statements may do, and what they did.
class SqliteWriteSession final : public WriteSession {
 public:
  explicit SqliteWriteSession(LocalSide& side);
  ~SqliteWriteSession() override;
  SqliteWriteSession(const SqliteWriteSession&) = delete;
  SqliteWriteSession& operator=(const SqliteWriteSession&) = delete;

  Result<StatementResult> execute(const Statement& statement) override;
  Result<RowOutcome> write(const RowRequest& request) override;
  Result<void> define(const TableDef& table) override;
  Result<void> edit(const TableEdit& edit) override;

  // Where the transaction stands.
  bool has_savepoint() const { return savepoint_; }
  bool wrote() const { return wrote_; }
  // Why it cannot commit although its client may think so; empty if it can.
  const std::optional<Error>& doom() const { return doom_; }
  const SchemaWork& schema() const { return schema_; }

  static constexpr const char* kSavepoint = "_entente_client";

 private:
  Result<void> open_savepoint();
  Result<void> check_tables(const ClientStatement& compiled) const;
  bool needs_savepoint(const ClientStatement& compiled, const Statement& statement) const;
  Result<StatementResult> run(ClientStatement& compiled, const Statement& statement);

  // A savepoint that the client set, and what a rollback to it brings back.
  struct ClientSavepoint {
    std::string name;
    Capture::Mark captured;
    SchemaState schema;
    SchemaWork work;
    std::optional<Error> doom;
  };
  Result<void> control_savepoint(const SavepointControl& control);
  Result<void> set_savepoint(const std::string& name);
  void return_to(const ClientSavepoint& savepoint);

  Result<void> in_schema(const std::function<Result<void>()>& work_on);
  Result<void> change_schema(const std::string& sql, bool enforce_foreign_keys);
  Result<void> defer_foreign_keys(bool on);

  // One row request on its way.
  struct Writing {
    const RowRequest& request;
    const Table& table;
    Key key;
    std::vector<Value> parts;  // as the client spells them
    Row columns;
    bool erase = false;
    std::optional<RowContext> context;
    std::optional<Loaded> before;  // absent when there is nothing to ask of it
    std::vector<KeptSibling> kept;
  };
  Result<Writing> admit(const RowRequest& request);
  Result<void> check_columns(const Table& t, const RowRequest& request) const;
  Result<void> check_preconditions(const Writing& w);
  Result<void> check_counters(const Table& t, const RowRequest& request) const;
  Result<void> take_resolution(Writing& w);
  static bool patches(const Writing& w);
  Result<void> take_pick(Writing& w);
  Result<void> run_write(const Writing& w);
  Result<bool> run_put(const Writing& w);
  Result<bool> touch(const Writing& w);
  Result<bool> run_patch(const Writing& w);
  RowIntent intent_of(const Writing& w) const;
  static bool saw_nothing(const Writing& w);
  static bool counts_over_context(const Writing& w);
  Result<Row> counters_after(const Writing& w);
  Result<RowOutcome> outcome_of(const Writing& w);

  LocalSide& side_;
  bool savepoint_ = false;
  bool alone_ = false;  // a statement that promised to be alone has run
  bool wrote_ = false;
  std::optional<Error> doom_;
  std::optional<ConnectionCounts> counts_;  // of the client's connection; absent: not known yet
  SchemaWork schema_;
  bool defers_ = false;                      // foreign keys, to the end of the transaction
  std::vector<ClientSavepoint> savepoints_;  // innermost last
};

// A key's parts as SQLite would store them where the pure rules leave it to the database.
std::vector<Value> spelled_parts(const Table& t, const std::vector<Value>& parts);

}  // namespace entente::sqlite
