#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/client_sql.h"
#include "adapters/sqlite/numbering.h"
#include "adapters/sqlite/schema_changer.h"
#include "adapters/sqlite/storage.h"
#include "adapters/sqlite/unique_keys.h"
#include "adapters/sqlite/visibility.h"

namespace entente::sqlite {

// Applies other origins' transactions on the apply connection, which checks no foreign keys and
// fires no triggers: all of a call in one transaction of the file.
//
// Threads: the writer's. Errors: the file is as it was; `state` is not: the caller reloads it.
class Applier {
 public:
  Applier(Connection& db, Guard& guard, FileState& state, const DatabaseOptions& options);

  Result<std::vector<LogChunk>> apply(std::span<const Run> runs, uint64_t wall_ms);
  // What a commit, before which the world was `before`, means for rows of these tables that are not
  // shown, and for others: in a transaction of its own.
  Result<void> retry_quarantined(const std::vector<const Table*>& tables, RowNews news,
                                 const World& before, uint64_t wall_ms);
  // The same for all that waits in these tables, whatever happened.
  Result<void> show_again(const std::vector<const Table*>& tables, uint64_t wall_ms);
  // Tries schema changes that failed here.
  Result<void> retry_left_out(uint64_t wall_ms);
  Result<void> trim_log(LogPosition up_to);
  // Database::collect() and Database::judge_again().
  Result<Collected> collect(const VersionVector& stable, size_t rows_max);
  Result<size_t> judge_again(uint64_t wall_ms);
  // Judges every row with siblings anew: the rules are not those that it was judged by.
  Result<void> judge_all(uint64_t wall_ms);
  void take_slow_path_only() { slow_only_ = true; }
  // After a failure, and when the schema changed on the other connection.
  void forget_plans() { plans_.clear(), rows_.forget(), last_plan_ = nullptr, drop_waiting(); }
  // True if the last call changed the schema.
  bool changed_schema() const { return changed_schema_; }

 private:
  // What a change's shape means here, found once.
  struct Plan {
    const Table* table = nullptr;
    std::vector<size_t> columns;  // of the table, as the values come
    std::vector<size_t> groups;   // that a put of this shape touches
    bool simple = false;          // all columns known, none of the key
    bool complete = false;        // a put writes all of every register that it touches: it does not
                                  // come from a schema that had not all of it yet
    bool more = false;            // a register of it is more than its newest value
    bool whole = false;           // every register is touched, by every column
    std::vector<bool> counters;   // of columns
    bool counts = false;          // some are
    bool moves = false;           // writes a foreign key
    bool renames = false;         // writes what foreign keys refer to, other than the key
    Stmt insert, update;
    std::string insert_rows_sql;  // kRowsAtOnce at a time; "": not possible
    Stmt insert_rows;             // compiled when first used
  };

  // One record on its way.
  struct Record {
    Version version;
    Stamp stamp;
    VersionVector context;
    uint64_t epoch;
  };

  // A put of a row that has no version yet.
  struct NewRow {
    PlainRowChange change;  // points into the run
    size_t record = 0;      // in waiting_records_
  };

  // What came of the usual way. Not done: nothing was, and the row's version if it was looked up.
  struct Attempt {
    bool done = false;
    std::optional<RowMeta> known = {};
  };

  // A row that this call changes, and what has come for it.
  struct Pending {
    Loaded row;
    Batch batch;
  };

  Result<void> apply_run(const Run& run, std::vector<LogChunk>& chunks);
  Result<void> apply_record(const Origin& origin, std::string_view record);
  Result<Stream*> stream_of(const Origin& origin, std::string_view first_record);
  Result<void> apply_changes(const RecordHead& head, const Record& record);
  Result<Attempt> apply_plain(const PlainRowChange& change, const Record& record);
  Result<Attempt> try_fast(Plan& plan, const PlainRowChange& change, const Record& record);
  std::optional<std::optional<Stamp>> keys_set_of(const PlainRowChange& change, const Table& t,
                                                  const Record& record) const;
  Result<void> insert_later(Plan& plan, const PlainRowChange& change, const Record& record);
  Result<void> insert_waiting();
  Result<bool> insert_together(Plan& plan);
  Result<void> insert_or_decide(Plan& plan, const NewRow& row);
  Result<bool> put_fast(Plan& plan, const PlainRowChange& change, bool exists);
  Result<bool> erase_fast(Plan& plan, const PlainRowChange& change, RowMeta& meta);
  Result<void> apply_slow(RowChange change, const Record& record, std::optional<RowMeta> known);
  Result<Pending*> pending(const Table& t, const Key& key, std::optional<RowMeta> known);
  bool is_pending(const Table& t, std::string_view key) const;
  Result<void> store_pending();
  Result<void> apply_schema(const SchemaChange& change, const Record& record);
  Result<void> list_without_place(const RowChange& change, const Record& record);
  const Table* table(std::string_view name, uint64_t epoch) const;
  Result<Plan*> plan_of(std::string_view shape, uint64_t epoch);
  Result<void> make_plan(Plan& plan, std::string_view shape, uint64_t epoch);
  void touched(const Table& t);
  Result<void> judge_again(const Table& t, const Key& key);
  Result<void> judge_again(const std::string& which);
  Result<void> judge_refused(const Table& t);
  Result<size_t> waiting_for_handlers();
  Result<void> forget_old_conflicts();
  // What collecting did to a row: something was taken; nothing is left to be taken later.
  struct Taken {
    bool some = false, all = false;
  };
  Result<std::vector<std::pair<int64_t, Key>>> unsettled(size_t rows_max);
  Result<Taken> collect_row(const Table& t, const Key& key, const VersionVector& stable);
  Result<void> look_at_keys(const World& before);
  // Tries what constraints refused, and decides what is shown.
  Result<void> settle();
  Result<void> finish();
  Result<void> run(Stmt& stmt, const char* sql);
  void drop_waiting() { waiting_.clear(), waiting_records_.clear(); }

  Connection& db_;
  FileState& state_;
  ConflictLog log_;
  RowStore rows_;
  UniqueKeys unique_;
  Visibility visibility_;
  Storage storage_;
  const uint64_t log_ms_;
  uint64_t aged_ms_ = 0;  // when old conflicts were last forgotten
  ClientSql sql_;
  SchemaChanger schema_;
  IdFunction ids_;  // for defaults of columns that no datacenter gave a value
  Stmt begin_, commit_;
  std::unordered_map<std::string, Plan> plans_;
  std::string last_shape_;
  uint64_t last_epoch_ = 0;
  Plan* last_plan_ = nullptr;
  // New rows of one plan that come one after the other are inserted together: up to kRowsAtOnce of
  // them wait, without a version, for anything else to be done or for the end of the run.
  Plan* waiting_plan_ = nullptr;
  std::vector<NewRow> waiting_;
  std::vector<Record> waiting_records_;
  std::vector<const Table*> to_retry_;
  std::vector<Origin> advanced_;
  // Rows that are stored at the end of the transaction: hot ones change many times in it. Whatever
  // looks at rows otherwise stores them first. Empty between transactions.
  using RowName = std::pair<const Table*, Key>;
  std::map<RowName, Pending> pending_;
  std::pair<int64_t, Key> collected_up_to_;  // where the next look for what to collect begins
  uint64_t wall_ms_ = 0;
  bool changed_schema_ = false;
  bool slow_only_ = false;
};

}  // namespace entente::sqlite
