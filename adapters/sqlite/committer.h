#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/capture.h"
#include "adapters/sqlite/client_sql.h"
#include "adapters/sqlite/conflict_functions.h"
#include "adapters/sqlite/numbering.h"
#include "adapters/sqlite/schema_changer.h"
#include "adapters/sqlite/storage.h"
#include "adapters/sqlite/write_session.h"

namespace entente::sqlite {

// Commits groups of clients' transactions on the local connection: run, capture, stamp, write
// versions, log; one fsync.
//
// Threads: the writer's. Errors: after an error for a whole group the file is as it was, and so is
// `state`, which the caller reloads.
class Committer {
 public:
  Committer(Connection& db, Guard& guard, FileState& state, const DatabaseOptions& options);

  Result<CommittedGroup> commit(std::span<const ClientTransaction> group, uint64_t wall_ms);
  // Logs the first record of this database's life.
  Result<void> declare(uint64_t wall_ms);
  // Database::limit_records.
  void limit_records(size_t bytes) { record_bytes_ = bytes; }
  // Tables of which the last group changed rows while some were not shown.
  // What became of rows otherwise than SQLite itself did it.
  RowNews take_news() { return std::exchange(rows_.news(), {}); }
  const std::vector<const Table*>& to_retry() const { return to_retry_; }
  void schema_changed() { sql_.clear(), rows_.forget(); }
  // True if the last group was undone as a whole: `state` must be read again.
  bool lost_group() const { return group_.lost; }
  Storage& storage() { return storage_; }

  // For tests: every write takes the general path.
  void take_slow_path_only() { slow_only_ = true; }

 private:
  // The records of a group so far.
  struct Group {
    Run run;
    std::array<uint8_t, 16> chain_before{};
    uint64_t wall_ms = 0;
    bool lost = false;  // SQLite rolled everything back
  };
  Result<Committed> run_one(const ClientTransaction& work);
  Result<Committed> finish(SqliteWriteSession& session);
  Result<Committed> stamp(const SqliteWriteSession& session);
  Result<void> end_schema(const SqliteWriteSession& session);
  Error undo(SqliteWriteSession& session, Error why);
  Result<std::optional<LogChunk>> close();
  Error group_lost(const Error& why) const;
  Result<void> check_deferred();

  struct Record {
    Version version;
    ByteWriter changes;
    size_t count = 0;
    Transaction head;
    ByteWriter sealed, frame;
  };
  Result<void> write_row(const Capture::Change& c, Record& record);
  Result<void> write_one(const Capture::Change& c, Record& record);
  void note_orphans();
  Result<void> check_values(const Capture::Change& c) const;
  Result<void> write_fast(const Capture::Change& c, Record& record);
  Result<void> write_slow(const Capture::Change& c, Record& record);
  Result<void> erase_version(const Capture::Change& c, const Stamp& stamp);
  Result<void> update_fast(const Capture::Change& c, const std::vector<size_t>& columns,
                           const std::vector<size_t>& left, Record& record);
  std::vector<size_t> keys_left(const Capture::Change& c) const;
  const std::vector<size_t>& columns_of(const Capture::Change& c);
  std::optional<Row> image(const Capture::Change& c, uint32_t at) const;
  void note_number(const Capture::Change& c);
  Result<void> erase_twins(std::span<const Capture::Change> changes, Record& record);
  Result<void> erase_hidden(const Table& t, const Key& key, Loaded& loaded, Row row,
                            Record& record);
  void append_plain(const Capture::Change& c, const std::vector<size_t>& columns,
                    std::vector<KeysSet> keys_set, Record& record);
  void seal(Record& record, const std::string& declares_dc);
  void append(const Record& record);
  // Into old_.
  void note_old_values(const Capture::Change& c, const std::vector<size_t>& columns);

  Connection& db_;
  FileState& state_;
  const DatabaseOptions& options_;
  ConflictLog log_;
  RowStore rows_;
  Storage storage_;
  ClientSql sql_;
  Capture capture_;
  ConflictFunctions functions_;
  IdFunction ids_;
  SchemaChanger schema_;
  LocalSide side_;
  Stmt begin_, commit_, release_, undo_;
  Group group_;
  Record record_;                         // kept for its memory
  std::vector<size_t> columns_, groups_;  // of the change at hand
  std::string shape_, values_;
  OldValues old_;
  std::vector<const Table*> to_retry_;
  bool slow_only_ = false;
  std::atomic<size_t> record_bytes_{SIZE_MAX};
};

}  // namespace entente::sqlite
