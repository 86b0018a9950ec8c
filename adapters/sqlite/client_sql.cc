#include "adapters/sqlite/client_sql.h"

#include <algorithm>
#include <set>

#include "adapters/sqlite/numbering.h"

namespace entente::sqlite {
namespace {

tl::unexpected<Error> bad_arguments(std::string why) {
  return fail(Code::kInvalid, std::move(why), "ARGS_INVALID");
}

tl::unexpected<Error> not_brief() {
  return fail(Code::kBusy, "the statement takes longer than its caller can wait", "not_brief");
}

size_t size_of(const Value& v) {
  if (const auto* text = std::get_if<std::string>(&v)) return text->size() + 16;
  if (const auto* blob = std::get_if<Blob>(&v)) return blob->bytes.size() + 16;
  return 16;
}

// The parameter that a name means: with its own sign, or the first of `:`, `@`, `$` that fits.
int parameter(sqlite3_stmt* stmt, const std::string& name) {
  if (const int at = sqlite3_bind_parameter_index(stmt, name.c_str()); at > 0) return at;
  for (const char* sign : {":", "@", "$"}) {
    if (const int at = sqlite3_bind_parameter_index(stmt, (sign + name).c_str()); at > 0) return at;
  }
  return 0;
}

void describe_columns(sqlite3_stmt* stmt, std::vector<StatementResult::Column>& columns) {
  const int n = sqlite3_column_count(stmt);
  for (int i = 0; i < n; ++i) {
    const char* name = sqlite3_column_name(stmt, i);
    const char* type = sqlite3_column_decltype(stmt, i);
    columns.push_back({name != nullptr ? name : "",
                       type != nullptr ? std::optional<std::string>(type) : std::nullopt});
  }
}

// Every name that a statement's text may hold: SQLite takes texts for names, too.
std::set<std::string> names_in(const std::vector<std::string>& words) {
  std::set<std::string> names;
  for (const auto& word : words) names.insert(lower(unquoted(word)));
  return names;
}

std::vector<std::string> named_among(const std::vector<std::string>& tables,
                                     const std::set<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& table : tables) {
    if (names.contains(lower(table))) out.push_back(table);
  }
  return out;
}

// Tools read it before they do anything.
bool is_schema_table(std::string_view name) {
  return name == "sqlite_master" || name == "sqlite_schema";
}

// SQLite's own tables, and the virtual ones that tell of pages and of all tables.
bool looks_into_the_file(std::string_view name) {
  return name.starts_with("sqlite_") || name == "dbstat" || name == "bytecode" ||
         name == "tables_used";
}

tl::unexpected<Error> not_permitted(std::string_view verb, const std::string& table) {
  return fail(Code::kRefused,
              "the token does not allow to " + std::string(verb) + " table " + table,
              kNotPermitted);
}

}  // namespace

CountFunctions::CountFunctions(Connection& db) : db_(db.get()) {
  for (const auto& [name, function] :
       {std::pair("changes", &CountFunctions::changes),
        std::pair("total_changes", &CountFunctions::total_changes)}) {
    sqlite3_create_function_v2(db_, name, 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, this, function,
                               nullptr, nullptr, nullptr);
  }
}

void CountFunctions::begin(const ConnectionCounts& client) {
  client_ = client;
  changes_ = sqlite3_changes64(db_);
  total_changes_ = sqlite3_total_changes64(db_);
  sqlite3_set_last_insert_rowid(db_, client.last_insert_rowid);
}

ConnectionCounts CountFunctions::now() const {
  return {sqlite3_last_insert_rowid(db_), sqlite3_changes64(db_),
          client_.total_changes + sqlite3_total_changes64(db_) - total_changes_};
}

// Inside a trigger it is about the statement before, as always.
void CountFunctions::changes(sqlite3_context* context, int, sqlite3_value**) {
  const auto* self = static_cast<CountFunctions*>(sqlite3_user_data(context));
  const int64_t now = sqlite3_changes64(self->db_);
  sqlite3_result_int64(context, now == self->changes_ ? self->client_.changes : now);
}

void CountFunctions::total_changes(sqlite3_context* context, int, sqlite3_value**) {
  const auto* self = static_cast<CountFunctions*>(sqlite3_user_data(context));
  sqlite3_result_int64(context, self->now().total_changes);
}

Guard::Bounds bounds_of(const DatabaseOptions& options) {
  return {options.sql_bytes, options.statement_ms, options.statement_memory,
          std::max(options.transaction_bytes, options.result_bytes)};
}

Result<ClientStatement*> ClientSql::prepare(const Statement& statement) {
  auto found = compiled(statement.sql);
  if (!found || !statement.rights) return found;
  if (auto done = permit(**found, *statement.rights); !done) return tl::unexpected(done.error());
  return found;
}

Result<ClientStatement*> ClientSql::compiled(std::string_view sql) {
  auto it = by_text_.find(sql);
  if (it != by_text_.end() && it->second->is_pragma) {
    if (auto done = look_at_schema(); !done) return tl::unexpected(done.error());
    it = by_text_.find(sql);
  }
  if (it != by_text_.end()) {
    latest_.splice(latest_.begin(), latest_, it->second);
    return &latest_.front();
  }
  auto fresh = compile(sql);
  if (!fresh) return tl::unexpected(fresh.error());
  latest_.push_front(std::move(*fresh));
  by_text_.emplace(latest_.front().sql, latest_.begin());
  if (latest_.size() > kCached) {
    by_text_.erase(latest_.back().sql);
    latest_.pop_back();
  }
  return &latest_.front();
}

Result<void> ClientSql::permit(const ClientStatement& compiled, const TableRights& rights) {
  if (compiled.kind == StatementKind::kSchema || compiled.kind == StatementKind::kOtherSchema) {
    return fail(Code::kRefused, "the token does not allow to change the schema", kNotPermitted);
  }
  if (compiled.looks_everywhere && !rights.others.read) {
    return fail(Code::kRefused, "foreign_key_check looks into tables that the token does not name",
                kNotPermitted);
  }
  for (const auto& name : compiled.names_written) {
    if (!rights.may_write(name)) return not_permitted("write", name);
  }
  for (const auto& name : compiled.names_read) {
    const std::string lower_name = lower(name);
    if (rights.may_read(name) || is_schema_table(lower_name)) continue;
    const auto table = is_table(name);  // or a WITH of its own, or a function
    if (!table) return tl::unexpected(table.error());
    if (*table || looks_into_the_file(lower_name)) return not_permitted("read", name);
  }
  return {};
}

Result<bool> ClientSql::is_table(const std::string& name) {
  if (!table_named_) {
    auto prepared = db_.prepare("SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE");
    if (!prepared) return tl::unexpected(prepared.error());
    table_named_ = std::move(*prepared);
  }
  table_named_.bind(1, Value(name));
  Rows rows(table_named_);
  return rows.next();
}

Result<StatementDescription> ClientSql::describe(const Statement& statement) {
  if (auto done = look_at_schema(); !done) return tl::unexpected(done.error());
  const auto compiled = prepare(statement);
  if (!compiled) return tl::unexpected(compiled.error());
  StatementDescription out;
  sqlite3_stmt* stmt = (*compiled)->stmt.get();
  if (stmt == nullptr) return out;  // a schema statement, or one that controls transactions
  out.is_explain = sqlite3_stmt_isexplain(stmt) != 0;
  out.is_readonly = (*compiled)->reads_only;
  describe_columns(stmt, out.columns);
  const int parameters = sqlite3_bind_parameter_count(stmt);
  for (int i = 1; i <= parameters; ++i) {
    const char* name = sqlite3_bind_parameter_name(stmt, i);
    out.parameters.push_back(name != nullptr ? std::optional<std::string>(name) : std::nullopt);
  }
  return out;
}

void ClientSql::clear() {
  by_text_.clear();
  latest_.clear();
}

// SQLite compiles by what the connection knows of the schema, and finds out that another connection
// has changed it when a statement is stepped, which compiles that one anew. What is only compiled,
// or refused while it is, would go by the schema of before.
Result<void> ClientSql::look_at_schema() {
  if (!any_table_) {
    auto version = db_.prepare("PRAGMA schema_version");
    auto any = db_.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
    if (!version || !any) return tl::unexpected((version ? any : version).error());
    schema_version_ = std::move(*version);
    any_table_ = std::move(*any);
  }
  Rows now(schema_version_);
  if (auto row = now.next(); !row) return tl::unexpected(row.error());
  const int64_t version = schema_version_.integer(0);
  if (schema_ == version) return {};
  clear();
  schema_ = version;
  return any_table_.run();
}

Result<ClientStatement> ClientSql::compile(std::string_view sql) {
  if (sql.size() > options_.sql_bytes) {
    return fail(Code::kTooLarge,
                "the statement has " + std::to_string(sql.size()) +
                    " bytes; the limit (sql_bytes) is " + std::to_string(options_.sql_bytes),
                "SQL_TOO_LARGE");
  }
  if (sql.find('\0') != std::string_view::npos) {
    return fail(Code::kSql, "the statement contains a NUL character", "SQL_INPUT_ERROR");
  }
  ClientStatement compiled;
  compiled.sql = sql;
  const auto words = words_of(sql);
  compiled.kind = kind_of(words);
  if (compiled.kind == StatementKind::kEmpty) {
    return fail(Code::kSql, "there is no statement in this SQL text", "SQL_NO_STATEMENT");
  }
  if (rolls_back(words)) {
    return fail(Code::kRefused,
                "ON CONFLICT ROLLBACK would undo other clients' transactions that commit in the "
                "same group: use ABORT, which is the default",
                "on_conflict_rollback");
  }
  if (compiled.kind != StatementKind::kOther) return compiled;
  compiled.is_pragma = contains(words, "PRAGMA");
  compiled.may_fail_halfway = contains(words, "FAIL");
  const bool inserts = world_ != nullptr && contains(words, "INTO");
  auto stmt = compile_one(inserts ? with_numbered_keys(sql, **world_) : compiled.sql, mode_);
  if (!stmt) return tl::unexpected(stmt.error());
  compiled.stmt = std::move(*stmt);
  compiled.reads_only = sqlite3_stmt_readonly(compiled.stmt.get()) != 0;
  compiled.written = guard_.written();
  const std::set<std::string> names = names_in(words);
  compiled.names_read = named_among(guard_.read(), names);
  compiled.names_written = named_among(guard_.written(), names);
  compiled.looks_everywhere =
      names.contains("foreign_key_check") || names.contains("pragma_foreign_key_check");
  compiled.copy = copy_statement_of(words);
  compiled.brief = !guard_.calls_functions();
  return compiled;
}

Result<Stmt> ClientSql::compile_one(std::string_view sql, Guard::Mode mode) {
  if (auto done = look_at_schema(); !done) return tl::unexpected(done.error());
  const Guarded guarded(guard_, mode);
  sqlite3_stmt* handle = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, &tail);
  if (code != SQLITE_OK) return tl::unexpected(error(code));
  Stmt stmt(handle);
  const std::string_view rest = sql.substr(static_cast<size_t>(tail - sql.data()));
  if (kind_of(words_of(rest)) != StatementKind::kEmpty) {
    return fail(Code::kSql, "this SQL text holds more than one statement: send them one by one",
                "SQL_MANY_STATEMENTS");
  }
  return stmt;
}

Error ClientSql::error(int code) { return explained(error_of(db_.get(), code)); }

Error ClientSql::explained(Error e) const {
  if (!guard_.refusal().empty()) {
    return Error{Code::kRefused, guard_.refusal(), "SQLITE_AUTH"};
  }
  if (e.code == Code::kTimeout && guard_.out_of_memory()) {
    return Error{Code::kTooLarge,
                 "the statement took more memory than " +
                     std::to_string(options_.statement_memory) +
                     " bytes (statement_memory) and was stopped",
                 "SQLITE_NOMEM"};
  }
  if (e.code == Code::kTimeout) {
    e.text = "the statement ran longer than " + std::to_string(options_.statement_ms) +
             " ms (statement_time) and was stopped";
  }
  return e;
}

Result<void> ClientSql::bind(Stmt& stmt, const Statement& statement) {
  const auto wanted = static_cast<size_t>(sqlite3_bind_parameter_count(stmt.get()));
  if (!statement.args.empty() && !statement.named.empty()) {
    return fail(Code::kInvalid, "give arguments by position or by name, not both",
                "ARGS_BOTH_POSITIONAL_AND_NAMED");
  }
  if (statement.named.empty()) {
    if (statement.args.size() != wanted) {
      return bad_arguments("the statement takes " + std::to_string(wanted) + " arguments, not " +
                           std::to_string(statement.args.size()));
    }
    for (size_t i = 0; i < wanted; ++i) stmt.bind(static_cast<int>(i) + 1, statement.args[i]);
    return {};
  }
  std::vector<bool> given(wanted, false);
  for (const auto& [name, value] : statement.named) {
    const int at = parameter(stmt.get(), name);
    if (at == 0) return bad_arguments("the statement has no parameter named " + name);
    stmt.bind(at, value);
    given[static_cast<size_t>(at) - 1] = true;
  }
  return bind_unnamed(stmt, statement, given);
}

// `?1` has no name that a client could give; it means the first of the named arguments.
Result<void> ClientSql::bind_unnamed(Stmt& stmt, const Statement& statement,
                                     const std::vector<bool>& given) {
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i]) continue;
    const int at = static_cast<int>(i) + 1;
    const char* name = sqlite3_bind_parameter_name(stmt.get(), at);
    if ((name != nullptr && name[0] != '?') || i >= statement.named.size()) {
      return bad_arguments("parameter " + std::string(name != nullptr ? name : std::to_string(at)) +
                           " of the statement has no argument");
    }
    stmt.bind(at, statement.named[i].second);
  }
  return {};
}

Result<StatementResult> ClientSql::run(ClientStatement& compiled, const Statement& statement,
                                       const ConnectionCounts& counts) {
  Stmt& stmt = compiled.stmt;
  StatementResult result;
  if (statement.briefly && !compiled.brief) return not_brief();
  auto bound = bind(stmt, statement).and_then([&] { return stmt.bound(); });
  if (!bound) {
    stmt.reset();
    return tl::unexpected(bound.error());
  }
  const int64_t changes_before = sqlite3_total_changes64(db_.get());
  counts_.begin(counts);
  Result<void> done;
  {
    if (statement.briefly) sqlite3_stmt_status(stmt.get(), SQLITE_STMTSTATUS_VM_STEP, 1);  // ticks
    const Guarded guarded(guard_, mode_, statement.briefly, statement.rights.get());
    done = collect(stmt, statement.want_rows, result);
  }
  stmt.reset();
  const bool long_value = !done && done.error().tag == "SQLITE_TOOBIG";
  if (statement.briefly && !done && (long_value || done.error().code == Code::kTimeout)) {
    compiled.brief = false;
    return not_brief();
  }
  if (!done) return tl::unexpected(done.error());
  if (!compiled.reads_only) {
    // What the statement itself changed; the total counts cascades and triggers too.
    const bool changed = sqlite3_total_changes64(db_.get()) != changes_before;
    result.affected = changed ? static_cast<uint64_t>(sqlite3_changes64(db_.get())) : 0;
    result.last_insert_rowid = sqlite3_last_insert_rowid(db_.get());
    result.counts = counts_.now();
    result.counts->changes = static_cast<int64_t>(result.affected);
  }
  return result;
}

// Whether there is a row.
Result<bool> ClientSql::step(Stmt& stmt) {
  const int code = sqlite3_step(stmt.get());
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code == SQLITE_ROW;
  return tl::unexpected(error(sqlite3_extended_errcode(db_.get())));
}

// Its columns are known after the first step: until then they may be those of an earlier schema.
Result<void> ClientSql::collect(Stmt& stmt, bool want_rows, StatementResult& result) {
  size_t bytes = 0;
  auto more = step(stmt);
  if (want_rows) describe_columns(stmt.get(), result.columns);
  const int columns = sqlite3_column_count(stmt.get());
  for (; more && *more; more = step(stmt)) {
    if (!want_rows) continue;
    auto& row = result.rows.emplace_back();
    row.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) {
      row.push_back(stmt.value(i));
      bytes += size_of(row.back());
    }
    if (bytes > options_.result_bytes) {
      return fail(Code::kTooLarge,
                  "the result is larger than " + std::to_string(options_.result_bytes) +
                      " bytes (result_bytes): ask for fewer rows with LIMIT",
                  "RESPONSE_TOO_LARGE");
    }
  }
  if (!more) return tl::unexpected(more.error());
  return {};
}

Result<void> ClientSql::run_schema(std::string_view sql) {
  if (const auto name = reserved_name_in(words_of(sql))) {
    return fail(Code::kRefused,
                *name + " belongs to the gateway: no table, index, view or trigger may name it",
                "SQLITE_AUTH");
  }
  auto stmt = compile_one(sql, Guard::Mode::kSchema);
  if (!stmt) return tl::unexpected(stmt.error());
  const Guarded guarded(guard_, Guard::Mode::kSchema);
  if (sqlite3_step(stmt->get()) != SQLITE_DONE) {
    return tl::unexpected(error(sqlite3_extended_errcode(db_.get())));
  }
  return {};
}

}  // namespace entente::sqlite
