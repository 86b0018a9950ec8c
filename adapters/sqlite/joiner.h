#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/storage.h"
#include "adapters/sqlite/visibility.h"

namespace entente::sqlite {

// StateJoin on the apply connection: each call is one transaction of the file. Rows are judged and
// shown as the applier does it; which of them a constraint refuses is decided again in the end.
//
// Threads: the writer's. Errors: the transaction of the call is undone, `state` is not.
class Joiner final : public StateJoin {
 public:
  // What its database does for it.
  struct Shell {
    std::function<void()> committed;                           // after each transaction
    std::function<Result<void>(uint64_t wall_ms)> show_again;  // tries what is not shown again
    std::function<void()> finished;
  };

  Joiner(Connection& db, FileState& state, const DatabaseOptions& options, DatabaseState theirs,
         uint64_t wall_ms, Shell shell);

  // First: the origins that are new here.
  Result<void> begin();
  Result<void> rows(const TableDef& table, std::vector<RowState> rows) override;
  Result<void> conflicts(std::vector<ConflictEntry> entries) override;
  Result<void> log(std::vector<LoggedRun> records) override;
  Result<void> finish() override;

 private:
  Result<void> in_transaction(const std::function<Result<void>()>& work);
  Result<void> list_without_place(const TableDef& was, const std::vector<RowState>& rows);
  Result<void> join_row(const Table& t, const RowState& theirs);
  Result<void> store(const Table& t, const Key& key, const Loaded& row);
  Result<void> add(const Table& t, const ConflictEntry& entry);
  Result<void> append(const LoggedRun& logged);
  Result<void> forget_before_gap(const Origin& origin, const Stream& stream);
  Result<void> advance();

  Connection& db_;
  FileState& state_;
  ConflictLog log_;
  RowStore rows_;
  UniqueKeys unique_;
  Visibility visibility_;
  Storage storage_;
  const DatabaseState theirs_;
  const uint64_t wall_ms_;
  const Shell shell_;
  const VersionVector seen_;  // before
  VersionVector their_seen_, collected_;
  struct Theirs {
    int64_t id;  // ours
    PresentNames names;
  };
  std::map<std::string, Theirs, std::less<>> tables_;  // by their names
  std::map<Origin, uint64_t> logged_after_;            // what the log now begins after
};

}  // namespace entente::sqlite
