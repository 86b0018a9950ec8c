#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/catalog.h"
#include "adapters/sqlite/connection.h"
#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {

// One client statement, compiled.
struct ClientStatement {
  std::string sql;
  StatementKind kind = StatementKind::kOther;
  Stmt stmt;  // absent unless kind is kOther
  bool reads_only = false;
  bool may_fail_halfway = false;     // says FAIL somewhere
  bool is_pragma = false;            // then stepping it need not notice that the schema changed
  bool brief = true;                 // as far as is known; see Statement::briefly
  std::vector<std::string> written;  // tables
  // Tables, views and whatever else its text names, as far as it reads or writes them. What views,
  // triggers and foreign keys reach beyond is the doing of who defined them.
  std::vector<std::string> names_read, names_written;
  bool looks_everywhere = false;  // it tells of rows whose tables it need not name
  std::optional<CopyStatement> copy;
};

// What clients' statements may take.
Guard::Bounds bounds_of(const DatabaseOptions& options);

// changes() and total_changes() as the connection of one client would answer them, though many
// share ours. last_insert_rowid() SQLite can be told.
class CountFunctions {
 public:
  explicit CountFunctions(Connection& db);
  CountFunctions(const CountFunctions&) = delete;
  CountFunctions& operator=(const CountFunctions&) = delete;

  void begin(const ConnectionCounts& client);
  // After the statement.
  ConnectionCounts now() const;

 private:
  static void changes(sqlite3_context* context, int, sqlite3_value**);
  static void total_changes(sqlite3_context* context, int, sqlite3_value**);

  sqlite3* db_;
  ConnectionCounts client_;
  int64_t changes_ = 0, total_changes_ = 0;  // of our connection, before the statement
};

// Compiles and runs clients' SQL on one connection, behind its guard. Keeps the latest statements
// compiled, by their text. Schema statements and transaction control are recognised, not compiled.
class ClientSql {
 public:
  ClientSql(Connection& db, Guard& guard, const DatabaseOptions& options, Guard::Mode mode)
      : db_(db), counts_(db), guard_(guard), options_(options), mode_(mode) {}

  // From now on, rows whose key nobody names are numbered as the world's tables want.
  void number_keys_in(const std::shared_ptr<const World>& world) { world_ = &world; }

  // Valid until the next call of prepare() or clear(). What is kept was compiled for anybody: each
  // call looks whether this client may.
  Result<ClientStatement*> prepare(const Statement& statement);
  // `counts`: of the client's connection, before it.
  Result<StatementResult> run(ClientStatement& compiled, const Statement& statement,
                              const ConnectionCounts& counts);
  Result<StatementDescription> describe(const Statement& statement);
  // Forgets what was compiled: the schema changed.
  void clear();
  // Runs one recognised schema statement, uncached.
  Result<void> run_schema(std::string_view sql);
  // Behind the guard: SQL of ours that does a client's work, with all the triggers that it fires.
  template <class Work>
  Result<void> guarded(Work work) {
    const Guarded guarded(guard_, mode_);
    Result<void> done = work();
    if (!done) return tl::unexpected(explained(std::move(done.error())));
    return done;
  }

 private:
  Result<void> look_at_schema();
  Result<ClientStatement*> compiled(std::string_view sql);
  Result<ClientStatement> compile(std::string_view sql);
  Result<void> permit(const ClientStatement& compiled, const TableRights& rights);
  Result<bool> is_table(const std::string& name);
  Result<Stmt> compile_one(std::string_view sql, Guard::Mode mode);
  Result<void> bind(Stmt& stmt, const Statement& statement);
  Result<void> bind_unnamed(Stmt& stmt, const Statement& statement, const std::vector<bool>& given);
  Result<bool> step(Stmt& stmt);
  Result<void> collect(Stmt& stmt, bool want_rows, StatementResult& result);
  Error error(int code);
  // In the words of the guard, if it stopped the statement.
  Error explained(Error e) const;

  static constexpr size_t kCached = 512;
  Connection& db_;
  CountFunctions counts_;
  Guard& guard_;
  const DatabaseOptions& options_;
  Guard::Mode mode_;
  const std::shared_ptr<const World>* world_ = nullptr;
  Stmt schema_version_, any_table_, table_named_;
  std::optional<int64_t> schema_;      // its version when `latest_` were compiled
  std::list<ClientStatement> latest_;  // most recent first
  std::unordered_map<std::string_view, std::list<ClientStatement>::iterator> by_text_;
};

}  // namespace entente::sqlite
