#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "adapters/database.h"
#include "adapters/sqlite/storage.h"

namespace entente::sqlite {

// An INSERT that leaves the key of its rows to SQLite, or gives NULL for it, rewritten to leave it
// to entente_id(): SQLite would take the next number of this file, and so would every other
// datacenter. With explicit keys nothing changes, and RETURNING and last_insert_rowid() tell the
// truth because to SQLite all keys are explicit now. Any other statement comes back as it is.
//
// The rewritten text has the same parameters in the same order.
std::string with_numbered_keys(std::string_view sql, const World& world);

// The same for the statements inside a CREATE TRIGGER.
std::string with_numbered_keys_inside(std::string_view trigger, const World& world);

// The SQL function entente_id(), on one connection: a new key.
class IdFunction {
 public:
  // For the writer: `state` has the keys.
  IdFunction(Connection& db, FileState& state, uint8_t slot);
  // For a connection that makes no keys: what it answers instead, the same in every datacenter; or
  // an error.
  IdFunction(Connection& db, std::optional<int64_t> instead);
  IdFunction(const IdFunction&) = delete;
  IdFunction& operator=(const IdFunction&) = delete;

  void set_time(uint64_t wall_ms) { wall_ms_ = wall_ms; }

 private:
  void install(Connection& db);
  static void call(sqlite3_context* context, int count, sqlite3_value** arguments);

  FileState* state_ = nullptr;
  std::optional<int64_t> instead_;
  uint8_t slot_ = 0;
  uint64_t wall_ms_ = 0;
};

}  // namespace entente::sqlite
