#include "adapters/sqlite/write_session.h"

#include <algorithm>

#include "adapters/sqlite/guard.h"
#include "adapters/table_edit.h"

namespace entente::sqlite {
namespace {

tl::unexpected<Error> refused(std::string why, const char* tag) {
  return fail(Code::kRefused, std::move(why), tag);
}

Error transaction_control() {
  return {Code::kRefused,
          "BEGIN, COMMIT and ROLLBACK are not statements of a running transaction here: its client "
          "begins and ends it through the gateway",
          "transaction_control"};
}

// What a client calls a savepoint could be a name of ours.
std::string numbered(size_t depth) { return "_entente_client_" + std::to_string(depth); }

}  // namespace

SqliteWriteSession::SqliteWriteSession(LocalSide& side) : side_(side) {
  side_.capture.leave_out(&schema_.left_out);
}

SqliteWriteSession::~SqliteWriteSession() {
  side_.capture.leave_out(nullptr);
  if (defers_) side_.db.exec("PRAGMA defer_foreign_keys=OFF");
}

Result<void> SqliteWriteSession::open_savepoint() {
  if (alone_) {
    return refused("a statement that was sent as its transaction's only one is followed by more",
                   "not_alone");
  }
  if (savepoint_) return {};
  if (auto done = side_.rows.flush(); !done) return done;  // others' versions are not ours to undo
  auto q = side_.rows.plan(std::string("SAVEPOINT ") + kSavepoint);
  if (!q) return tl::unexpected(q.error());
  auto done = (*q)->run();
  savepoint_ = done.has_value();
  return done;
}

Result<StatementResult> SqliteWriteSession::execute(const Statement& statement) {
  if (!counts_) counts_ = statement.counts;
  auto compiled = side_.sql.prepare(statement);
  if (!compiled) return tl::unexpected(compiled.error());
  switch ((*compiled)->kind) {
    case StatementKind::kTransactionControl:
      return tl::unexpected(transaction_control());
    case StatementKind::kSavepoint: {
      auto done = control_savepoint(*savepoint_of(words_of(statement.sql)));
      if (!done) return tl::unexpected(done.error());
      return StatementResult{};
    }
    case StatementKind::kOtherSchema:
      return refused(
          "this statement is not available: tables, indexes, views and triggers are created, "
          "altered and dropped; virtual tables (FTS) hold data that would not replicate (search "
          "with "
          "LIKE, or keep the index in a database beside, filled from the change feed), and "
          "ANALYZE, VACUUM and REINDEX hold up everybody",
          "schema_statement");
    case StatementKind::kSchema: {
      auto done = change_schema(statement.sql, statement.enforce_foreign_keys);
      if (!done) return tl::unexpected(done.error());
      return StatementResult{};
    }
    case StatementKind::kDeferredKeys: {
      auto done = defer_foreign_keys(turns_on(words_of(statement.sql)));
      if (!done) return tl::unexpected(done.error());
      return StatementResult{};
    }
    default:
      return run(**compiled, statement);
  }
}

// ---- Savepoints of the client ------------------------------------------------------------------

Result<void> SqliteWriteSession::control_savepoint(const SavepointControl& control) {
  if (control.kind == SavepointControl::Kind::kOpen) return set_savepoint(control.name);
  const auto found = std::find_if(savepoints_.rbegin(), savepoints_.rend(),
                                  [&](const auto& s) { return s.name == control.name; });
  if (found == savepoints_.rend()) {
    return fail(Code::kSql, "no such savepoint: " + control.name, "SQLITE_ERROR");
  }
  const auto depth = static_cast<size_t>(savepoints_.rend() - found) - 1;
  if (control.kind == SavepointControl::Kind::kRelease) {
    savepoints_.erase(savepoints_.begin() + static_cast<ptrdiff_t>(depth), savepoints_.end());
    return side_.db.exec("RELEASE " + numbered(depth));
  }
  auto done = side_.db.exec("ROLLBACK TO " + numbered(depth));
  savepoints_.erase(savepoints_.begin() + static_cast<ptrdiff_t>(depth) + 1, savepoints_.end());
  if (done) return_to(savepoints_.back());
  return done;
}

Result<void> SqliteWriteSession::set_savepoint(const std::string& name) {
  if (auto done = open_savepoint(); !done) return done;
  if (auto done = side_.db.exec("SAVEPOINT " + numbered(savepoints_.size())); !done) return done;
  savepoints_.push_back({name, side_.capture.mark(), SchemaState(side_.state), schema_, doom_});
  return {};
}

void SqliteWriteSession::return_to(const ClientSavepoint& savepoint) {
  side_.capture.undo_to(savepoint.captured);
  doom_ = savepoint.doom;
  if (schema_.steps.size() == savepoint.work.steps.size() &&
      schema_.aside.size() == savepoint.work.aside.size()) {
    return;
  }
  schema_ = savepoint.work;
  savepoint.schema.restore(side_.state);
  side_.capture.world_changed(*side_.state.world);
  side_.sql.clear();
  side_.rows.forget();
}

// A statement that succeeds must never have to be undone for a reason that is known only then.
bool SqliteWriteSession::needs_savepoint(const ClientStatement& compiled,
                                         const Statement& statement) const {
  if (!statement.alone || side_.state.world->fussy || compiled.may_fail_halfway || compiled.copy ||
      sqlite3_column_count(compiled.stmt.get()) > 0) {
    return true;
  }
  return std::any_of(compiled.written.begin(), compiled.written.end(), [&](const auto& name) {
    const Table* t = side_.state.world->find(name);
    return t == nullptr || t->nullable_key || t->hook_rounds;
  });
}

Result<void> SqliteWriteSession::check_tables(const ClientStatement& compiled) const {
  for (const auto& name : compiled.written) {
    const World& world = *side_.state.world;
    const bool view = world.views.contains(lower(name));
    if (world.find(name) == nullptr && !view) {
      return tl::unexpected(not_replicated(name));
    }
  }
  return {};
}

Result<StatementResult> SqliteWriteSession::run(ClientStatement& compiled,
                                                const Statement& statement) {
  if (compiled.reads_only) return side_.sql.run(compiled, statement, *counts_);
  if (auto done = check_tables(compiled); !done) return tl::unexpected(done.error());
  if (needs_savepoint(compiled, statement)) {
    if (auto done = open_savepoint(); !done) return tl::unexpected(done.error());
  } else if (!savepoint_) {
    if (alone_) return tl::unexpected(open_savepoint().error());
    alone_ = true;
  }
  const auto copy = compiled.copy;
  const auto fills = copy && side_.options.schema_leader ? side_.schema.fills(*copy) : false;
  if (!fills) return tl::unexpected(fills.error());
  side_.capture.begin_statement();
  const int64_t changes = sqlite3_total_changes64(side_.db.get());
  auto result = side_.sql.run(compiled, statement, *counts_);
  if (result && result->counts) counts_ = result->counts;
  const bool changed = sqlite3_total_changes64(side_.db.get()) != changes;
  wrote_ |= result || changed;
  const auto left = result || !changed ? Result<bool>(false) : side_.capture.stands();
  if (!left) {
    doom_ = left.error();
    return tl::unexpected(left.error());
  }
  const bool stands = result || *left;
  if (!stands) side_.capture.undo_statement();
  if (auto ok = side_.capture.check(); !ok && stands) {
    // Its rows are in the database but cannot be replicated: only the whole can be undone.
    doom_ = ok.error();
    return tl::unexpected(ok.error());
  }
  if (!result && stands && result.error().code == Code::kTooLarge) doom_ = result.error();
  if (!result || !*fills) return result;
  auto done = in_schema([&] { return side_.schema.copied(*copy, schema_, side_.wall_ms); });
  if (!done) doom_ = done.error();
  return done ? std::move(result) : tl::unexpected(done.error());
}

Result<void> SqliteWriteSession::define(const TableDef& table) {
  if (table.key().empty()) {
    return refused("table " + table.name + " has no primary key: declare one", "no_primary_key");
  }
  if (const Table* existing = side_.state.world->find(table.name)) {
    if (declared_alike(existing->def, table)) return {};
    return fail(Code::kInvalid, "table " + table.name + " exists already and is different",
                "table_exists");
  }
  return change_schema(create_sql(table), true);
}

Result<void> SqliteWriteSession::edit(const TableEdit& edit) {
  return change_schema(sql_of(edit), true);
}

// Until the transaction ends; SQLite would take it for the whole group.
Result<void> SqliteWriteSession::defer_foreign_keys(bool on) {
  defers_ = on;
  return side_.db.exec(on ? "PRAGMA defer_foreign_keys=ON" : "PRAGMA defer_foreign_keys=OFF");
}

Result<void> SqliteWriteSession::change_schema(const std::string& sql, bool enforce_foreign_keys) {
  const auto words = words_of(sql);
  const auto statement = *schema_statement_of(words);
  const bool creates_table = statement.verb == SchemaStatement::Verb::kCreate &&
                             statement.object == SchemaStatement::Object::kTable;
  if (statement.temporary) {
    return refused(
        "temporary tables, views and triggers are not available: they would vanish with the "
        "connection",
        "temporary_table");
  }
  if (!statement.schema.empty() && statement.schema != "main") {
    if (statement.verb == SchemaStatement::Verb::kDrop && statement.if_exists) return {};
    return refused("schema " + statement.schema + " of " + statement.name +
                       " is not available: tables, indexes, views and triggers stand in main",
                   "no_such_schema");
  }
  if (const auto called = changing_check_in(words)) {
    return refused("a CHECK calls " + *called +
                       ", which does not give the same at every datacenter: check values of the "
                       "row only",
                   "check_changes");
  }
  if (creates_table && creates_from_select(words)) {
    return refused(
        "CREATE TABLE … AS SELECT would fill the table at every datacenter with what that one has: "
        "create the table first, then INSERT … SELECT",
        "create_table_as");
  }
  if (!side_.options.schema_leader) {
    return refused("schema changes are made in datacenter " + side_.options.schema_leader_name +
                       ", the schema leader: send this statement there",
                   "schema_leader");
  }
  if (auto done = open_savepoint(); !done) return done;
  return in_schema(
      [&] { return side_.schema.run(sql, enforce_foreign_keys, schema_, side_.wall_ms); });
}

// All of it, or nothing.
Result<void> SqliteWriteSession::in_schema(const std::function<Result<void>()>& work_on) {
  if (auto done = side_.db.exec("SAVEPOINT _entente_schema"); !done) return done;
  const SchemaState before(side_.state);
  const SchemaWork work = schema_;
  const Capture::Mark captured = side_.capture.mark();
  auto done = work_on();
  if (!done) {
    side_.db.exec("ROLLBACK TO _entente_schema");
    before.restore(side_.state);
    schema_ = work;
    side_.capture.undo_to(captured);
  }
  side_.db.exec("RELEASE _entente_schema");
  if (side_.state.world == before.world) return done;
  side_.capture.world_changed(*side_.state.world);
  side_.sql.clear();
  side_.rows.forget();
  wrote_ = true;
  return done;
}

}  // namespace entente::sqlite
