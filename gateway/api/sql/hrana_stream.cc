#include "gateway/api/sql/hrana_stream.h"

#include <algorithm>

#include "conflict/context.h"
#include "gateway/api/sql/sql_text.h"
#include "gateway/store/read_snapshot.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

// A snapshot keeps SQLite from reusing its log: few may be held.
constexpr size_t kSnapshotsMax = 64;

Error sql_error(std::string text) { return {Code::kSql, std::move(text), "SQLITE_ERROR"}; }

Error not_here_yet(const std::string& leader) {
  return {Code::kNotReached,
          "the schema change was committed in datacenter " + leader +
              " and is not applied here yet; try again in a second",
          "SESSION_NOT_REACHED"};
}

Error cannot_move(const std::string& why, const std::string& leader) {
  return {Code::kRefused,
          "this schema change would go on in datacenter " + leader +
              ", the schema leader, with the whole transaction, but " + why +
              ": begin the transaction with the schema change, or send all of it there",
          "schema_leader"};
}

Result<void> done_of(const Result<StatementResult>& outcome) {
  if (!outcome) return tl::unexpected(outcome.error());
  return {};
}

BatchStep step_of(Statement statement) {
  return {BatchCondition{BatchCondition::Kind::kOk, 0, {}}, std::move(statement)};
}

// BEGIN; then, if that went well, each statement whatever becomes of the others.
std::vector<BatchStep> begin_with(const std::vector<Statement>& statements, Statement last) {
  std::vector<BatchStep> steps(1);
  steps[0].statement.sql = "BEGIN IMMEDIATE";
  for (const auto& statement : statements) steps.push_back(step_of(statement));
  steps.push_back(step_of(std::move(last)));
  return steps;
}

Error snapshot_timed_out(std::chrono::milliseconds limit) {
  return {Code::kTimeout,
          "the read transaction was closed: it was open for longer than " +
              std::to_string(limit.count()) + " ms",
          "TRANSACTION_TIMEOUT"};
}

// How the steps of a batch went that is one transaction.
struct WholeRun {
  StepResults results;
  std::optional<size_t> commit;  // the step that committed
};

// It holds the writer: like an interactive transaction, for so long at most.
Result<void> run_whole(WriteSession& session, const std::vector<BatchStep>& steps,
                       std::chrono::milliseconds timeout, WholeRun& run) {
  const auto deadline = Store::Clock::now() + timeout;
  run = {StepResults(steps.size()), std::nullopt};
  run.results[0] = StatementResult{};
  for (size_t i = 1; i < steps.size(); ++i) {
    const auto& step = steps[i];
    if (step.condition && !holds(*step.condition, run.results, run.commit.has_value())) continue;
    const auto control = control_of(step.statement.sql);
    if (Store::Clock::now() > deadline) {
      run.results[i] = tl::unexpected(transaction_timed_out(timeout));
      run.commit.reset();
      return tl::unexpected(run.results[i]->error());
    }
    if (control == SqlControl::kNone) {
      run.results[i] = session.execute(step.statement);
      continue;
    }
    run.results[i] = StatementResult{};
    if (control == SqlControl::kCommit) run.commit = i;
  }
  if (run.commit) return {};
  return fail(Code::kInvalid, "rolled back");
}

// The writer refused the commit, or never ran the batch at all.
void note_failure(const std::vector<BatchStep>& steps, const Error& error, WholeRun& run) {
  if (run.results.empty()) {
    run.results.resize(steps.size());
    run.results[0] = tl::unexpected(error);
    return;
  }
  if (!run.commit) return;  // it rolled back, as it was told
  run.results[*run.commit] = tl::unexpected(error);
  if (*run.commit + 1 < steps.size()) run.results.back() = StatementResult{};  // the ROLLBACK
}

}  // namespace

Result<void> admit_stream(const Site& site, const HranaStream::Counts& counts) {
  if (counts.streams < site.config.limits.streams) return {};
  return fail(Code::kBusy, "too many SQL streams are open; try again in a second",
              "TOO_MANY_STREAMS");
}

std::string HranaStream::session() const { return seen_.empty() ? "" : session_token(seen_); }

bool is_whole_transaction(const std::vector<BatchStep>& steps) {
  using Kind = BatchCondition::Kind;
  if (steps.size() < 2 || steps[0].condition) return false;
  std::vector<SqlControl> controls;
  for (const auto& step : steps) controls.push_back(control_of(step.statement.sql));
  const size_t last = steps.size() - 1;
  const bool guarded = controls[last] == SqlControl::kRollback;
  const size_t commit = guarded ? last - 1 : last;
  if (controls[0] != SqlControl::kBegin || controls[commit] != SqlControl::kCommit) return false;
  for (size_t i = 1; i < commit; ++i) {
    if (controls[i] != SqlControl::kNone) return false;
  }
  if (!guarded) return !steps[commit].condition;
  const auto& condition = steps[last].condition;
  return condition && condition->kind == Kind::kNot && condition->operands[0].kind == Kind::kOk &&
         condition->operands[0].step == commit;
}

void HranaStream::act_for(SqlCaller caller) {
  caller_ = std::move(caller);
  if (!leader_ || client().may(Right::kSchema)) return;
  leader_->forbid({Code::kRefused,
                   "the transaction changes the schema, which this token does not allow: roll back",
                   kNotPermitted});
}

Statement HranaStream::by_caller(Statement statement) const {
  statement.enforce_foreign_keys = enforce_foreign_keys_;
  statement.rights = client().tables;
  statement.counts = counted_;
  return statement;
}

void HranaStream::audit(std::string_view sql, const Result<void>& outcome) const {
  using Audited = Audit::Result;
  const bool refused = !outcome && outcome.error().tag == kNotPermitted;
  const auto result = outcome ? Audited::kDone : refused ? Audited::kRefused : Audited::kFailed;
  site_.access.audit().act(Right::kSchema, client(), caller_.from, schema_target(sql), result);
}

void HranaStream::audit(const std::vector<BatchStep>& steps, const StepResults& results,
                        bool stands) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!results[i] || !changes_schema(steps[i].statement.sql)) continue;
    const auto outcome = done_of(*results[i]);
    const bool undone = outcome && !stands;
    audit(steps[i].statement.sql, undone ? fail(Code::kSql, "rolled back") : outcome);
  }
}

Task<Result<StatementResult>> HranaStream::execute(Statement statement) {
  std::string schema_change;
  if (changes_schema(statement.sql)) schema_change = statement.sql;
  Task<Outcome> running = execute_anywhere(std::move(statement));
  auto outcome = co_await running;
  if (!schema_change.empty()) audit(schema_change, done_of(outcome));
  co_return outcome;
}

Task<Result<StatementResult>> HranaStream::execute_anywhere(Statement statement) {
  // Of the schema, in this transaction or alone.
  const bool first_change = !leader_ && !reading_ && belongs_there(statement.sql);
  if (first_change) {
    Task<bool> looking = has_table(table_if_absent(statement.sql));
    if (co_await looking) co_return StatementResult{};
  }
  const bool moves = first_change && transaction_;
  const bool there = first_change || leader_;
  Task<Outcome> running = moves   ? move_there(std::move(statement))
                          : there ? execute_there(std::move(statement))
                                  : execute_here(std::move(statement));
  co_return co_await running;
}

Task<Result<StatementResult>> HranaStream::execute_here(Statement statement) {
  if (!awaited_.empty()) {
    Task<Result<void>> waiting = catch_up();
    const auto caught_up = co_await waiting;
    if (!caught_up) co_return tl::unexpected(caught_up.error());
  }
  statement = by_caller(std::move(statement));
  const SqlControl control = control_of(statement.sql);
  switch (control) {
    case SqlControl::kBegin:
      co_return co_await begin_write();
    case SqlControl::kBeginReadonly:
      co_return co_await begin_read();
    case SqlControl::kCommit:
      co_return co_await end(true);
    case SqlControl::kRollback:
      co_return co_await end(false);
    case SqlControl::kForeignKeysOn:
    case SqlControl::kForeignKeysOff:
      // Inside a transaction it does nothing, in SQLite too.
      if (autocommit()) enforce_foreign_keys_ = control == SqlControl::kForeignKeysOn;
      co_return StatementResult{};
    case SqlControl::kForeignKeysAsked:
      co_return foreign_keys();
    case SqlControl::kSavepoint:
      if (autocommit()) {
        co_return tl::unexpected(
            sql_error("there is no transaction that a savepoint could be in: BEGIN one first"));
      }
      break;
    case SqlControl::kNone:
      break;
  }
  Task<Outcome> running = transaction_ ? in_transaction(std::move(statement))
                          : reading_   ? in_snapshot(std::move(statement))
                                       : alone(std::move(statement));
  auto outcome = co_await running;
  count(outcome);
  co_return outcome;
}

StatementResult HranaStream::foreign_keys() const {
  StatementResult result;
  result.columns.push_back({"foreign_keys", std::nullopt});
  result.rows.push_back({int64_t{enforce_foreign_keys_}});
  return result;
}

// What the connection's own functions answer from now on.
void HranaStream::count(const Outcome& outcome) {
  if (outcome && outcome->counts) counted_ = *outcome->counts;
}

// ---- Transactions ------------------------------------------------------------------------------

Task<Result<StatementResult>> HranaStream::begin_write() {
  if (!autocommit()) {
    co_return tl::unexpected(sql_error("cannot start a transaction within a transaction"));
  }
  auto transaction =
      std::make_shared<InteractiveTransaction>(site_.config.limits.transaction_timeout);
  std::function<void(CallbackCall<Result<void>>::Done)> start = [&](auto done) {
    transaction->begin(site_.store, std::move(done));
  };
  CallbackCall<Result<void>> call(site_.loop, std::move(start));
  const auto begun = co_await call;
  if (!begun) co_return tl::unexpected(begun.error());
  transaction_ = std::move(transaction);
  record_ = {};
  saw_what_is_here();
  co_return StatementResult{};
}

Task<Result<StatementResult>> HranaStream::begin_read() {
  if (!autocommit()) {
    co_return tl::unexpected(sql_error("cannot start a transaction within a transaction"));
  }
  if (counts_.snapshots >= kSnapshotsMax) {
    co_return fail(Code::kBusy, "too many read transactions are open; try again in a second",
                   "TRANSACTION_BUSY");
  }
  Result<std::shared_ptr<Reader>> opened = tl::unexpected(too_busy());
  Result<VersionVector> applied;
  std::function<void(Reader&)> job = [&](Reader&) {
    auto reader = site_.store.database().reader();
    if (reader) {
      const auto begun = (*reader)->begin();
      applied = (*reader)->applied();
      if (!begun) reader = tl::unexpected(begun.error());
    }
    opened = std::move(reader);
  };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  if (!opened) co_return tl::unexpected(opened.error());
  snapshot_ = std::move(*opened);
  reading_ = true;
  ++counts_.snapshots;
  snapshot_deadline_ = Store::Clock::now() + site_.config.limits.transaction_timeout;
  if (applied) seen_.join(*applied);
  co_return StatementResult{};
}

// Nothing is applied while a transaction holds the writer: what it reads is what was committed by
// then, whether or not it commits itself.
void HranaStream::saw_what_is_here() { seen_.join(site_.store.applied()); }

Task<Result<StatementResult>> HranaStream::end(bool commit) {
  if (autocommit()) {
    co_return tl::unexpected(sql_error(commit ? "cannot commit - no transaction is active"
                                              : "cannot rollback - no transaction is active"));
  }
  if (reading_) {
    reading_ = false;
    release_snapshot();
    co_return StatementResult{};
  }
  const auto transaction = std::move(transaction_);
  transaction_ = nullptr;
  std::function<void(CallbackCall<Result<Committed>>::Done)> start = [&](auto done) {
    transaction->finish(commit, std::move(done));
  };
  CallbackCall<Result<Committed>> call(site_.loop, std::move(start));
  const auto outcome = co_await call;
  if (outcome) seen_.join(outcome->applied);
  if (!outcome && commit) co_return tl::unexpected(outcome.error());
  co_return StatementResult{};
}

Task<Result<StatementResult>> HranaStream::in_transaction(Statement statement) {
  std::optional<Statement> recorded;
  if (follows()) recorded = statement;
  std::function<void(CallbackCall<Outcome>::Done)> start = [&](auto done) {
    transaction_->execute(std::move(statement), std::move(done));
  };
  CallbackCall<Outcome> call(site_.loop, std::move(start));
  auto outcome = co_await call;
  if (recorded) record_.add(*recorded, outcome);
  co_return outcome;
}

Task<Result<StatementResult>> HranaStream::in_snapshot(Statement statement) {
  expire();
  if (!snapshot_) {
    co_return tl::unexpected(snapshot_timed_out(site_.config.limits.transaction_timeout));
  }
  Outcome outcome = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader&) { outcome = snapshot_->execute(statement); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  const bool refused =
      !outcome && outcome.error().code == Code::kRefused && outcome.error().tag != kNotPermitted;
  if (refused && !may_only_read(statement.sql)) {
    co_return fail(Code::kSql, "attempt to write in a read-only transaction", "SQLITE_READONLY");
  }
  co_return outcome;
}

void HranaStream::release_snapshot() {
  if (!snapshot_) return;
  --counts_.snapshots;
  const auto reader = std::exchange(snapshot_, nullptr);
  site_.store.read([reader](Reader&) { reader->end(); });
}

void HranaStream::expire() {
  if (Store::Clock::now() > snapshot_deadline_) release_snapshot();
}

void HranaStream::close() {
  if (transaction_) transaction_->finish(false, [](Result<Committed>) {});
  transaction_ = nullptr;
  leader_ = nullptr;  // closes the connection, and the leader rolls back
  reading_ = false;
  release_snapshot();
}

// ---- Statements on their own -------------------------------------------------------------------

std::optional<Result<StatementResult>> HranaStream::execute_at_once(Statement& statement) {
  if (!autocommit() || !awaited_.empty() || !selects(statement.sql)) return std::nullopt;
  struct {
    Statement& statement;
    Outcome outcome;
    Result<VersionVector> applied;
  } work{statement, tl::unexpected(too_busy()), {}};
  statement.briefly = true;
  statement.counts = counted_;
  statement.rights = client().tables;
  const bool ran = site_.short_reads.read([&work](Reader& reader) {
    work.applied = reader.applied();
    if (work.applied) work.outcome = reader.execute(work.statement);
  });
  statement.briefly = false;
  const bool elsewhere = !work.outcome && (work.outcome.error().code == Code::kBusy ||
                                           work.outcome.error().code == Code::kRefused);
  if (!ran || elsewhere) return std::nullopt;
  if (work.outcome) seen_.join(*work.applied);
  return std::move(work.outcome);
}

Task<Result<StatementResult>> HranaStream::read(const Statement& statement) {
  Outcome outcome = tl::unexpected(too_busy());
  Result<VersionVector> applied;
  std::function<void(Reader&)> job = [&](Reader& reader) {
    Snapshot snapshot(reader);
    applied = snapshot.applied();
    outcome = applied ? reader.execute(statement) : tl::unexpected(applied.error());
  };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  if (outcome) seen_.join(*applied);
  co_return outcome;
}

Task<Result<StatementResult>> HranaStream::alone(Statement statement) {
  if (may_only_read(statement.sql)) {
    auto outcome = co_await read(statement);
    const bool writes =
        !outcome && outcome.error().code == Code::kRefused && outcome.error().tag != kNotPermitted;
    if (!writes) co_return outcome;
  }
  Outcome outcome;
  ClientTransaction work = [&](WriteSession& session) -> Result<void> {
    outcome = session.execute(statement);
    if (!outcome) return tl::unexpected(outcome.error());
    return {};
  };
  SubmitCall call(site_.store, site_.loop, std::move(work));
  const auto committed = co_await call;
  if (!committed) co_return tl::unexpected(committed.error());
  seen_.join(committed->applied);
  co_return outcome;
}

// ---- At the schema leader ----------------------------------------------------------------------

bool HranaStream::belongs_there(std::string_view sql) const {
  return follows() && client().may(Right::kSchema) && changes_schema(sql);
}

Task<bool> HranaStream::has_table(std::string name) {
  bool found = false;
  if (name.empty()) co_return false;
  std::function<void(Reader&)> job = [&](Reader& reader) {
    const auto table = reader.find_table(name);
    found = table && table->has_value();
  };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  co_return found;
}

// All of them at once: in a transaction that is there, or when one of them has to.
bool HranaStream::goes_there(std::span<const std::string_view> statements) const {
  if (leader_) return !leader_->lost();
  return autocommit() && std::any_of(statements.begin(), statements.end(),
                                     [this](std::string_view sql) { return belongs_there(sql); });
}

void HranaStream::go_there(std::span<const std::string_view> statements) {
  counts_.forwarded +=
      static_cast<uint64_t>(std::count_if(statements.begin(), statements.end(), changes_schema));
  if (!leader_) leader_ = std::make_unique<LeaderStream>(site_, enforce_foreign_keys_);
}

Task<Result<StatementResult>> HranaStream::execute_there(Statement statement) {
  const std::string_view texts[] = {statement.sql};
  go_there(texts);
  Task<Outcome> running = leader_->execute(std::move(statement));
  auto outcome = co_await running;
  Task<void> returning = come_back();
  co_await returning;
  co_return outcome;
}

Task<StepResults> HranaStream::batch_there(std::vector<BatchStep> steps) {
  go_there(texts_of(steps));
  Task<StepResults> running = leader_->batch(steps);
  auto results = co_await running;
  audit(steps, results, true);
  Task<void> returning = come_back();
  co_await returning;
  co_return results;
}

Task<Result<void>> HranaStream::sequence_there(std::string sql) {
  const auto statements = split_statements(sql);
  go_there(statements);
  Task<Result<void>> running = leader_->sequence(sql);
  auto done = co_await running;
  for (const auto statement : statements) {
    if (changes_schema(statement)) audit(statement, done);
  }
  Task<void> returning = come_back();
  co_await returning;
  co_return done;
}

// What is open here stays so until the leader has done the same: a refusal costs only the
// statement.
Task<Result<StatementResult>> HranaStream::move_there(Statement statement) {
  const auto& name = site_.config.schema_leader;
  if (!record_.complete()) {
    co_return tl::unexpected(cannot_move("it has written too much already", name));
  }
  ++counts_.forwarded;
  auto leader = std::make_unique<LeaderStream>(site_, enforce_foreign_keys_);
  Task<StepResults> running = leader->batch(begin_with(record_.statements(), std::move(statement)));
  auto results = co_await running;
  if (!*results.front()) co_return tl::unexpected(results.front()->error());
  if (!record_.same(results, 1)) {
    co_return tl::unexpected(
        cannot_move("what the transaction has written already comes out differently there", name));
  }
  transaction_->finish(false, [](Result<Committed>) {});
  transaction_ = nullptr;
  leader_ = std::move(leader);
  co_return std::move(*results.back());
}

Task<void> HranaStream::come_back() {
  if (!leader_->autocommit()) co_return;
  awaited_.join(leader_->seen());
  seen_.join(leader_->seen());
  leader_ = nullptr;
  Task<Result<void>> waiting = catch_up();
  co_await waiting;
}

Task<Result<void>> HranaStream::catch_up() {
  if (awaited_.empty()) co_return Result<void>{};
  const auto deadline = Store::Clock::now() + site_.config.limits.session_wait;
  AppliedCall call(site_.store, site_.loop, awaited_, deadline);
  if (!co_await call) co_return tl::unexpected(not_here_yet(site_.config.schema_leader));
  awaited_ = {};
  co_return Result<void>{};
}

// ---- Batches, scripts, descriptions ------------------------------------------------------------

Task<StepResults> HranaStream::batch(std::vector<BatchStep> steps) {
  if (goes_there(texts_of(steps))) {
    Task<StepResults> running = batch_there(std::move(steps));
    co_return co_await running;
  }
  for (auto& step : steps) step.statement = by_caller(std::move(step.statement));
  const bool whole = autocommit() && is_whole_transaction(steps);
  Task<StepResults> running = whole ? at_once(steps) : one_by_one(steps);
  co_return co_await running;
}

Task<StepResults> HranaStream::one_by_one(const std::vector<BatchStep>& steps) {
  StepResults results(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto& condition = steps[i].condition;
    if (condition && !holds(*condition, results, autocommit())) continue;
    Statement statement = steps[i].statement;
    results[i] = execute_at_once(statement);
    if (results[i]) continue;
    Task<Outcome> running = execute(std::move(statement));
    results[i] = co_await running;
  }
  co_return results;
}

Task<StepResults> HranaStream::at_once(const std::vector<BatchStep>& steps) {
  WholeRun run;
  Task<Result<void>> waiting = catch_up();
  const auto caught_up = co_await waiting;
  if (!caught_up) {
    note_failure(steps, caught_up.error(), run);
    co_return std::move(run.results);
  }
  ClientTransaction work = [&](WriteSession& session) {
    return run_whole(session, steps, site_.config.limits.transaction_timeout, run);
  };
  SubmitCall call(site_.store, site_.loop, std::move(work));
  const auto committed = co_await call;
  if (committed) {
    seen_.join(committed->applied);
  } else {
    saw_what_is_here();
    note_failure(steps, committed.error(), run);
  }
  for (const auto& result : run.results) {
    if (result) count(*result);
  }
  audit(steps, run.results, committed.has_value());
  co_return std::move(run.results);
}

Task<Result<void>> HranaStream::sequence(std::string sql) {
  const auto statements = split_statements(sql);
  if (goes_there(statements)) {
    Task<Result<void>> running = sequence_there(std::move(sql));
    co_return co_await running;
  }
  for (const auto text : statements) {
    Statement statement;
    statement.sql = text;
    statement.want_rows = false;
    Task<Outcome> running = execute(std::move(statement));
    const auto outcome = co_await running;
    if (!outcome) co_return tl::unexpected(outcome.error());
  }
  co_return Result<void>{};
}

Task<Result<StatementDescription>> HranaStream::describe(std::string sql) {
  Task<Result<void>> waiting = catch_up();
  const auto caught_up = co_await waiting;
  if (!caught_up) co_return tl::unexpected(caught_up.error());
  Result<StatementDescription> description = tl::unexpected(too_busy());
  Statement statement;
  statement.sql = std::move(sql);
  statement = by_caller(std::move(statement));
  std::function<void(Reader&)> job = [&](Reader& r) { description = r.describe(statement); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  co_return description;
}

}  // namespace entente
