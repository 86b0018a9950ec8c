#include "adapters/sqlite/connection.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace entente::sqlite {
namespace {

Code code_of(int primary) {
  switch (primary) {
    case SQLITE_CONSTRAINT:
      return Code::kConstraint;
    case SQLITE_FULL:
      return Code::kExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
      return Code::kBusy;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
      return Code::kCorrupt;
    case SQLITE_INTERRUPT:
      return Code::kTimeout;
    case SQLITE_TOOBIG:
      return Code::kTooLarge;
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return Code::kRefused;
    default:
      return Code::kSql;
  }
}

constexpr const char* kPragmas =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
    "PRAGMA cache_size=-65536; PRAGMA secure_delete=FAST; PRAGMA wal_autocheckpoint=0;";

}  // namespace

std::string primary_name(int code) {
  constexpr std::array<const char*, 29> kNames = {
      "OK",       "ERROR",      "INTERNAL", "PERM",      "ABORT",  "BUSY",
      "LOCKED",   "NOMEM",      "READONLY", "INTERRUPT", "IOERR",  "CORRUPT",
      "NOTFOUND", "FULL",       "CANTOPEN", "PROTOCOL",  "EMPTY",  "SCHEMA",
      "TOOBIG",   "CONSTRAINT", "MISMATCH", "MISUSE",    "NOLFS",  "AUTH",
      "FORMAT",   "RANGE",      "NOTADB",   "NOTICE",    "WARNING"};
  const size_t primary = static_cast<size_t>(code & 0xff);
  return std::string("SQLITE_") + (primary < kNames.size() ? kNames[primary] : "ERROR");
}

Error error_of(sqlite3* db, int code) {
  const char* text = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  return Error{code_of(code & 0xff), text, primary_name(code)};
}

// By the tag, which is finer than the code, and absent from errors that SQLite did not make.
Blame blame_of(const Error& e) {
  static constexpr std::array<std::string_view, 4> kRow = {"SQLITE_CONSTRAINT", "SQLITE_ERROR",
                                                           "SQLITE_MISMATCH", "SQLITE_TOOBIG"};
  static constexpr std::array<std::string_view, 8> kOurs = {"",
                                                            "SQLITE_INTERNAL",
                                                            "SQLITE_ABORT",
                                                            "SQLITE_SCHEMA",
                                                            "SQLITE_MISUSE",
                                                            "SQLITE_AUTH",
                                                            "SQLITE_RANGE",
                                                            "SQLITE_NOTFOUND"};
  const auto among = [&](const auto& tags) {
    return std::find(tags.begin(), tags.end(), e.tag) != tags.end();
  };
  if (among(kRow)) return Blame::kRow;
  return among(kOurs) ? Blame::kOurs : Blame::kDatabase;
}

tl::unexpected<Error> failed(sqlite3* db, int code) { return tl::unexpected(error_of(db, code)); }

Value value_of(sqlite3_value* v) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      return static_cast<int64_t>(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return sqlite3_value_double(v);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(v));
      return std::string(text, static_cast<size_t>(sqlite3_value_bytes(v)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_value_blob(v));
      return Blob{std::string(bytes, static_cast<size_t>(sqlite3_value_bytes(v)))};
    }
    default:
      return Null{};
  }
}

void Stmt::bind(int at, Bytes v) {
  // A null pointer would bind NULL, not the empty blob.
  note(sqlite3_bind_blob64(handle_, at, v.view.empty() ? "" : v.view.data(), v.view.size(),
                           SQLITE_STATIC));
}

void Stmt::bind(int at, Text v) {
  note(sqlite3_bind_text64(handle_, at, v.view.empty() ? "" : v.view.data(), v.view.size(),
                           SQLITE_STATIC, SQLITE_UTF8));
}

void Stmt::bind(int at, const Value& v) {
  switch (v.index()) {
    case 0:
      return bind(at, nullptr);
    case 1:
      return bind(at, std::get<int64_t>(v));
    case 2:
      return bind(at, std::get<double>(v));
    case 3:
      return bind(at, Text{std::get<std::string>(v)});
    default:
      return bind(at, Bytes{std::get<Blob>(v).bytes});
  }
}

Result<void> Stmt::bound() const {
  if (unbound_ != SQLITE_OK) return failed(nullptr, unbound_);
  return {};
}

Result<bool> Stmt::step() {
  if (auto whole = bound(); !whole) return tl::unexpected(whole.error());
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(handle_);
  return failed(db, sqlite3_extended_errcode(db));
}

Result<void> Stmt::run() {
  Result<bool> row = step();
  while (row && *row) row = step();
  reset();
  if (!row) return tl::unexpected(row.error());
  return {};
}

std::string_view Stmt::bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<Connection> Connection::open(const std::filesystem::path& path, Kind kind) {
  Connection c;
  const int code =
      sqlite3_open_v2(path.c_str(), &c.db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    Error e = error_of(c.db_, code);
    e.text = "cannot open the database file " + path.string() + ": " + e.text;
    return tl::unexpected(std::move(e));
  }
  sqlite3_extended_result_codes(c.db_, 1);
  sqlite3_busy_timeout(c.db_, 5000);
  sqlite3_db_config(c.db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // Or SQLite 3.40 refuses its own JSON functions in CHECK, indexes, triggers and views. What else
  // this lets in is our own functions, and virtual tables, which nobody makes here.
  sqlite3_db_config(c.db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, nullptr);
  sqlite3_db_config(c.db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  if (auto done = c.exec(kPragmas); !done) {
    Error e = done.error();
    if (e.tag == "SQLITE_NOTADB") {
      e.text = path.string() + " is not a SQLite database: point the gateway at another file";
    }
    return tl::unexpected(std::move(e));
  }
  if (kind == Kind::kRead) {
    if (auto done = c.exec("PRAGMA query_only=1"); !done) return tl::unexpected(done.error());
  }
  return c;
}

Result<void> Connection::exec(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(db_, sqlite3_extended_errcode(db_));
  return {};
}

Result<Stmt> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return failed(db_, code);
  return Stmt(handle);
}

void Connection::tidy_at_close(bool on) {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

void Connection::rollback() {
  if (in_transaction()) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Quiet::Quiet(Connection& db) : db_(db) {
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &triggers_);
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_FKEY, -1, &foreign_keys_);
  if (triggers_) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  if (foreign_keys_) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_FKEY, 0, nullptr);
}

Quiet::~Quiet() {
  if (triggers_) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
  if (foreign_keys_) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
}

}  // namespace entente::sqlite
