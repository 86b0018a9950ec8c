#pragma once

// The library has it; its header shows it only when asked.
#ifndef SQLITE_ENABLE_PREUPDATE_HOOK
#define SQLITE_ENABLE_PREUPDATE_HOOK
#endif
#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "conflict/result.h"
#include "conflict/value.h"

namespace entente::sqlite {

// Bytes to bind as a BLOB or as TEXT; they must outlive the step.
struct Bytes {
  std::string_view view;
};
struct Text {
  std::string_view view;
};

// "SQLITE_CONSTRAINT" for 19 and every extended code of it.
std::string primary_name(int code);

// What the connection's last failure means to a caller.
Error error_of(sqlite3* db, int code);
tl::unexpected<Error> failed(sqlite3* db, int code);

// Whose an error is that came of running a statement for one row.
enum class Blame {
  kRow,       // its values, with what users declared: a constraint, an expression that raises on
              // them. That row waits; nothing else does.
  kDatabase,  // disk, memory, locks, damage: the transaction fails
  kOurs       // what this code should not have asked for: the transaction fails, too
};
Blame blame_of(const Error& e);

// A value as it came out of SQLite.
Value value_of(sqlite3_value* v);

// A prepared statement. Reset it (or let Rows do so) before the bound bytes go.
class Stmt {
 public:
  Stmt() = default;
  explicit Stmt(sqlite3_stmt* handle) : handle_(handle) {}
  Stmt(Stmt&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        unbound_(std::exchange(other.unbound_, SQLITE_OK)) {}
  Stmt& operator=(Stmt&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(unbound_, other.unbound_);
    return *this;
  }
  ~Stmt() { sqlite3_finalize(handle_); }

  sqlite3_stmt* get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

  // A value that cannot be bound, because it is too long, fails the next step().
  void bind(int at, int64_t v) { sqlite3_bind_int64(handle_, at, v); }
  void bind(int at, uint64_t v) { bind(at, static_cast<int64_t>(v)); }
  void bind(int at, int v) { bind(at, static_cast<int64_t>(v)); }
  void bind(int at, double v) { sqlite3_bind_double(handle_, at, v); }
  void bind(int at, std::nullptr_t) { sqlite3_bind_null(handle_, at); }
  void bind(int at, Bytes v);
  void bind(int at, Text v);
  void bind(int at, const Value& v);
  void bind(int at, const std::string&) = delete;  // bytes or text?
  void bind(int at, const char*) = delete;

  template <class... Args>
  void bind_all(const Args&... args) {
    int at = 0;
    (bind(++at, args), ...);
  }

  // Whether all that was bound is.
  Result<void> bound() const;
  // True: a row. False: done.
  Result<bool> step();
  // Steps to the end and resets, also after an error.
  Result<void> run();
  void reset() {
    sqlite3_reset(handle_);
    unbound_ = SQLITE_OK;
  }

  int64_t integer(int column) const { return sqlite3_column_int64(handle_, column); }
  uint64_t natural(int column) const { return static_cast<uint64_t>(integer(column)); }
  bool is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  // Text or blob; valid until the next step.
  std::string_view bytes(int column) const;
  Value value(int column) const { return value_of(sqlite3_column_value(handle_, column)); }

 private:
  void note(int bound) {
    if (bound != SQLITE_OK) unbound_ = bound;
  }

  sqlite3_stmt* handle_ = nullptr;
  int unbound_ = SQLITE_OK;  // why a value could not be bound
};

// The rows of a query; resets its statement at the end of the scope.
class Rows {
 public:
  explicit Rows(Stmt& statement) : statement_(&statement) {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() { statement_->reset(); }
  Result<bool> next() { return statement_->step(); }

 private:
  Stmt* statement_;
};

// One SQLite connection. One thread at a time.
class Connection {
 public:
  enum class Kind { kWrite, kRead };
  Connection() = default;
  static Result<Connection> open(const std::filesystem::path& path, Kind kind);
  Connection(Connection&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Connection& operator=(Connection&& other) noexcept {
    std::swap(db_, other.db_);
    return *this;
  }
  ~Connection() { sqlite3_close_v2(db_); }

  sqlite3* get() const { return db_; }
  // Our own SQL, one or several statements without results.
  Result<void> exec(const char* sql);
  Result<void> exec(const std::string& sql) { return exec(sql.c_str()); }
  // Our own SQL, kept for long.
  Result<Stmt> prepare(std::string_view sql);
  // Whether closing the file's last connection copies the WAL into it, and deletes it.
  void tidy_at_close(bool on);
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  void rollback();

 private:
  sqlite3* db_ = nullptr;
};

// While it lives, statements on this connection fire no triggers and check no foreign keys: what
// is written is a result, not a client's act. Nests. It costs: prepared statements are compiled
// anew, unless they fire and check nothing anyway.
class Quiet {
 public:
  explicit Quiet(Connection& db);
  ~Quiet();
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  Connection& db_;
  int triggers_ = 0, foreign_keys_ = 0;  // before
};

}  // namespace entente::sqlite
