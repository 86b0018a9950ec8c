#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/sqlite/connection.h"
#include "adapters/table_rights.h"

namespace entente::sqlite {

// What a client's SQL may do on a connection: an authorizer (default deny), SQLite's limits, a
// deadline and a bound for the memory that it takes. Our own SQL on the same connection passes
// freely: the guard stands up only between raise() and lower().
//
// Threads: the connection's. Ownership: must outlive the connection's statements, and not move.
class Guard {
 public:
  enum class Mode {
    kDown,  // our own SQL
    kRead,
    kWrite,
    kSchema,  // CREATE, ALTER and DROP, already recognised as such
  };

  // What SQLite may hold as one value; our own rows need it.
  static constexpr size_t kValueMax = 512ull << 20;

  Guard() = default;
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  struct Bounds {
    size_t sql_bytes = 0;            // one statement's text
    uint64_t statement_ms = 0;       // 0: no limit
    size_t statement_memory = 0;     // the same
    size_t value_bytes = kValueMax;  // one text or blob, while the guard is up
  };
  void install(Connection& db, const Bounds& bounds);
  // `briefly`: stops what it guards at the first tick, after some thousand steps of SQLite's
  // machine at most, or at a value that takes long to copy (SQLITE_TOOBIG).
  // `rights`: the client's, while the guard is up; null: everything.
  void raise(Mode mode, bool briefly = false, const TableRights* rights = nullptr);
  void lower();

  // Tables that the statements compiled since raise() write, and what they read: those that
  // triggers, views and foreign keys reach, too.
  const std::vector<std::string>& written() const { return written_; }
  const std::vector<std::string>& read() const { return read_; }
  // Whether a function of ours may look into this table for the client.
  bool may_read(std::string_view table) const {
    return rights_ == nullptr || rights_->may_read(table);
  }
  // Whether they call functions whose cost depends on what they are given.
  bool calls_functions() const { return calls_functions_; }
  // Whether the last statement was stopped because it took too much memory.
  bool out_of_memory() const { return out_of_memory_; }
  // Why the last statement was refused; "" if it was not by us.
  const std::string& refusal() const { return refusal_; }

 private:
  friend class Lowered;
  static int authorize(void* self, int action, const char* a, const char* b, const char* database,
                       const char* trigger);
  static int tick(void* self);
  bool allows(int action, const char* a, const char* b, const char* database);
  bool allows_pragma(std::string_view name, const char* argument);
  bool deny(std::string why);

  using Clock = std::chrono::steady_clock;
  sqlite3* db_ = nullptr;
  int value_bytes_ = 0;
  Mode mode_ = Mode::kDown;
  bool briefly_ = false;
  bool calls_functions_ = false;
  bool out_of_memory_ = false;
  std::chrono::milliseconds statement_time_{};
  int64_t statement_memory_ = 0;
  int64_t memory_at_first_ = 0;
  Clock::time_point deadline_;
  const TableRights* rights_ = nullptr;
  std::vector<std::string> written_, read_;
  std::string refusal_;
};

// Raises a guard for a scope.
class Guarded {
 public:
  Guarded(Guard& guard, Guard::Mode mode, bool briefly = false, const TableRights* rights = nullptr)
      : guard_(guard) {
    guard_.raise(mode, briefly, rights);
  }
  ~Guarded() { guard_.lower(); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

 private:
  Guard& guard_;
};

// Lets our own SQL pass inside a client's statement, for a scope: what a function of ours runs.
class Lowered {
 public:
  explicit Lowered(Guard& guard) : guard_(guard), mode_(guard.mode_) {
    guard.mode_ = Guard::Mode::kDown;
  }
  ~Lowered() { guard_.mode_ = mode_; }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;

 private:
  Guard& guard_;
  const Guard::Mode mode_;
};

}  // namespace entente::sqlite
