#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/database.h"
#include "adapters/sqlite/capture.h"
#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/storage.h"

namespace entente::sqlite {

// An INSERT that leaves the key of its rows to SQLite, or gives NULL for it, rewritten to leave it
// to entente_id(): SQLite would take the next number of this file, and so would every other
// datacenter. With explicit keys nothing changes, and RETURNING and last_insert_rowid() tell the
// truth because to SQLite all keys are explicit now. Any other statement comes back as it is.
// Rows of a table without a key that are copied into another, which is empty, keep their numbers.
//
// The rewritten text has the same parameters in the same order.
std::string with_numbered_keys(std::string_view sql, const World& world);

// The same for the statements inside a CREATE TRIGGER.
std::string with_numbered_keys_inside(std::string_view trigger, const World& world);

// The SQL function entente_id(), on one connection: a new key. With an argument it is for the table
// that was made in that schema epoch, which may want small numbers; what the table is called now
// makes no difference, so that the text of a trigger stays true.
class IdFunction {
 public:
  // For the writer: `state` has the keys.
  IdFunction(Connection& db, Guard& guard, RowStore& rows, const Capture& capture, FileState& state,
             const DatabaseOptions& options);
  // For a connection that makes no keys: what it answers instead, the same in every datacenter; or
  // an error.
  IdFunction(Connection& db, std::optional<int64_t> instead);
  IdFunction(const IdFunction&) = delete;
  IdFunction& operator=(const IdFunction&) = delete;

  // A group of transactions begins.
  void begin_group(uint64_t wall_ms);

 private:
  // What makes keys.
  struct Maker {
    Guard& guard;
    RowStore& rows;
    const Capture& capture;
    FileState& state;
    const DatabaseOptions& options;
  };
  void install(Connection& db);
  static void call(sqlite3_context* context, int count, sqlite3_value** arguments);
  Result<int64_t> next(int count, sqlite3_value** arguments);
  Result<int64_t> by_clock();
  Result<int64_t> small(const Table& t);
  const Table* made_in(uint64_t epoch);
  Result<int64_t> highest(const Table& t);
  Result<int64_t> highest(const std::string& table, const std::string& key);

  std::optional<Maker> maker_;
  std::optional<int64_t> instead_;
  uint64_t wall_ms_ = 0;
  std::optional<SmallKeys> small_;             // of this datacenter …
  size_t small_of_ = 0;                        // … while it knows so many origins
  std::shared_ptr<const World> world_;         // what `by_epoch_` is of
  std::map<uint64_t, const Table*> by_epoch_;  // tables that were asked for
  // Given by the statement that runs, by table: SQLite may ask for all before it inserts a row.
  std::map<int64_t, int64_t> given_;
  uint64_t given_by_ = 0;
  std::map<int64_t, int64_t> highest_version_;  // in this group, by table: of rows not shown, too
};

}  // namespace entente::sqlite
