#include "adapters/sqlite/guard.h"

#include <algorithm>
#include <array>

#include "adapters/sqlite/memory_meter.h"
#include "adapters/sqlite/sql_text.h"
#include "adapters/sqlite/text_functions.h"

namespace entente::sqlite {
namespace {

constexpr int kOperationsPerTick = 2000;
// One operation copies, compares or searches a value of this size in no time.
constexpr int kBriefValue = 64 << 10;
// LIKE and GLOB take the product of the lengths of text and pattern, and see no deadline.
constexpr int kPatternMax = 400;

// They only look at their arguments.
constexpr std::array<std::string_view, 9> kCheapFunctions = {
    "count", "sum", "total", "avg", "min", "max", "coalesce", "ifnull", "nullif"};

// Table-valued functions declare themselves there; clients are refused by
// SQLITE_DBCONFIG_DEFENSIVE.
constexpr std::array<std::string_view, 4> kSchemaTables = {
    "sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"};

template <size_t N>
bool listed(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

void add(std::vector<std::string>& names, std::string_view name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

bool is_main(const char* database) { return database == nullptr || lower(database) == "main"; }

std::string elsewhere(const char* database) {
  return "schema " + std::string(database) +
         " is not available: tables, indexes, views and triggers stand in schema main";
}

}  // namespace

void Guard::install(Connection& db, const Bounds& bounds) {
  constexpr uint64_t kForEver = 365ull * 24 * 3'600'000;
  const auto ms = bounds.statement_ms;
  const auto memory = bounds.statement_memory;
  db_ = db.get();
  value_bytes_ = static_cast<int>(std::min(bounds.value_bytes, kValueMax));
  statement_time_ = std::chrono::milliseconds(ms > 0 ? ms : kForEver);
  statement_memory_ = memory > 0 ? static_cast<int64_t>(memory) : INT64_MAX;
  install_text_functions(db);
  sqlite3_limit(db.get(), SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(bounds.sql_bytes) + 65'536);
  sqlite3_limit(db.get(), SQLITE_LIMIT_LENGTH, static_cast<int>(kValueMax));
  sqlite3_limit(db.get(), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kPatternMax);
  sqlite3_limit(db.get(), SQLITE_LIMIT_COLUMN, 2000);
  sqlite3_limit(db.get(), SQLITE_LIMIT_EXPR_DEPTH, 250);
  sqlite3_limit(db.get(), SQLITE_LIMIT_COMPOUND_SELECT, 250);
  sqlite3_limit(db.get(), SQLITE_LIMIT_VARIABLE_NUMBER, 32'766);
  sqlite3_limit(db.get(), SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(db.get(), SQLITE_LIMIT_TRIGGER_DEPTH, 32);
  sqlite3_limit(db.get(), SQLITE_LIMIT_WORKER_THREADS, 0);
  sqlite3_set_authorizer(db.get(), &Guard::authorize, this);
  sqlite3_progress_handler(db.get(), kOperationsPerTick, &Guard::tick, this);
}

void Guard::raise(Mode mode, bool briefly, const TableRights* rights) {
  mode_ = mode;
  rights_ = rights;
  briefly_ = briefly;
  calls_functions_ = false;
  out_of_memory_ = false;
  memory_at_first_ = memory_in_use();
  written_.clear();
  read_.clear();
  refusal_.clear();
  deadline_ = Clock::now() + statement_time_;
  sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, briefly ? kBriefValue : value_bytes_);
}

void Guard::lower() {
  mode_ = Mode::kDown;
  rights_ = nullptr;
  sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, static_cast<int>(kValueMax));
}

int Guard::tick(void* self) {
  auto* guard = static_cast<Guard*>(self);
  if (guard->mode_ == Mode::kDown) return 0;
  guard->out_of_memory_ = memory_in_use() - guard->memory_at_first_ > guard->statement_memory_;
  if (guard->out_of_memory_) return 1;
  return guard->briefly_ || Clock::now() > guard->deadline_ ? 1 : 0;
}

int Guard::authorize(void* self, int action, const char* a, const char* b, const char* database,
                     const char*) {
  auto* guard = static_cast<Guard*>(self);
  if (guard->mode_ == Mode::kDown) return SQLITE_OK;
  return guard->allows(action, a, b, database) ? SQLITE_OK : SQLITE_DENY;
}

bool Guard::deny(std::string why) {
  refusal_ = std::move(why);
  return false;
}

bool Guard::allows(int action, const char* a, const char* b, const char* database) {
  const std::string_view first = a != nullptr ? a : "", second = b != nullptr ? b : "";
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return true;
    case SQLITE_READ:
      if (is_reserved(first) || first == "sqlite_stmt") {
        return deny("table " + std::string(first) + " belongs to the gateway");
      }
      add(read_, first);
      return true;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
      if (is_reserved(first)) {
        return deny("table " + std::string(first) + " belongs to the gateway");
      }
      if (listed(kSchemaTables, first)) return true;  // SQLite's own doing: it lets nobody else
      if (first.starts_with("sqlite_")) {
        return mode_ == Mode::kSchema ||
               deny("table " + std::string(first) + " belongs to SQLite: nobody else writes it");
      }
      if (!is_main(database)) return deny(elsewhere(database));
      add(written_, first);
      return true;
    case SQLITE_FUNCTION:
      if (second == "load_extension" || second == "fts3_tokenizer") {
        return deny("function " + std::string(second) + "() is not available");
      }
      calls_functions_ = calls_functions_ || !listed(kCheapFunctions, second);
      return true;
    case SQLITE_PRAGMA:
      return allows_pragma(first, b);
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_ALTER_TABLE:
    case SQLITE_REINDEX:  // how CREATE INDEX fills the new index
      if (mode_ != Mode::kSchema) break;
      if (action == SQLITE_ALTER_TABLE) database = a;  // its first argument there
      if (!is_main(database)) return deny(elsewhere(database));
      if (is_reserved(first) || is_reserved(second)) {
        return deny("names that begin with _entente_ belong to the gateway");
      }
      return true;
    default:
      break;
  }
  return deny("this statement is not available through the gateway");
}

bool Guard::allows_pragma(std::string_view name, const char* argument) {
  static constexpr std::array<std::string_view, 8> kAbout = {
      "table_info",  "table_xinfo", "index_list",       "index_info",
      "index_xinfo", "table_list",  "foreign_key_list", "foreign_key_check"};
  static constexpr std::array<std::string_view, 4> kValues = {"foreign_keys", "user_version",
                                                              "encoding", "schema_version"};
  const std::string pragma = entente::sqlite::lower(name);
  if (listed(kAbout, pragma)) return true;
  if (mode_ == Mode::kSchema && pragma == "user_version") return true;
  // How ALTER TABLE … ADD COLUMN … CHECK looks whether the rows fit.
  if (mode_ == Mode::kSchema && pragma == "quick_check") return true;
  if (listed(kValues, pragma) && argument == nullptr) return true;
  return deny("PRAGMA " + std::string(name) + (argument != nullptr ? " with a value" : "") +
              " is not available through the gateway");
}

}  // namespace entente::sqlite
