#include "gateway/server/hrana_stream.h"

#include "conflict/context.h"
#include "gateway/server/snapshot.h"
#include "gateway/server/sql_text.h"
#include "gateway/server/store_calls.h"

namespace entente {
namespace {

// A snapshot keeps SQLite from reusing its log: few may be held.
constexpr size_t kSnapshotsMax = 64;

Error sql_error(std::string text) { return {Code::kSql, std::move(text), "SQLITE_ERROR"}; }

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

Result<void> run_whole(WriteSession& session, const std::vector<BatchStep>& steps, WholeRun& run) {
  run = {StepResults(steps.size()), std::nullopt};
  run.results[0] = StatementResult{};
  for (size_t i = 1; i < steps.size(); ++i) {
    const auto& step = steps[i];
    if (step.condition && !holds(*step.condition, run.results, run.commit.has_value())) continue;
    const auto control = control_of(step.statement.sql);
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

Task<Result<StatementResult>> HranaStream::execute(Statement statement) {
  statement.enforce_foreign_keys = enforce_foreign_keys_;
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
  co_return co_await running;
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
  std::function<void(CallbackCall<Outcome>::Done)> start = [&](auto done) {
    transaction_->execute(std::move(statement), std::move(done));
  };
  CallbackCall<Outcome> call(site_.loop, std::move(start));
  co_return co_await call;
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
  const bool refused = !outcome && outcome.error().code == Code::kRefused;
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
  reading_ = false;
  release_snapshot();
}

// ---- Statements on their own -------------------------------------------------------------------

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
    const bool writes = !outcome && outcome.error().code == Code::kRefused;
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

// ---- Batches, scripts, descriptions ------------------------------------------------------------

Task<StepResults> HranaStream::batch(std::vector<BatchStep> steps) {
  for (auto& step : steps) step.statement.enforce_foreign_keys = enforce_foreign_keys_;
  const bool whole = autocommit() && is_whole_transaction(steps);
  Task<StepResults> running = whole ? at_once(steps) : one_by_one(steps);
  co_return co_await running;
}

Task<StepResults> HranaStream::one_by_one(const std::vector<BatchStep>& steps) {
  StepResults results(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto& condition = steps[i].condition;
    if (condition && !holds(*condition, results, autocommit())) continue;
    Task<Outcome> running = execute(steps[i].statement);
    results[i] = co_await running;
  }
  co_return results;
}

Task<StepResults> HranaStream::at_once(const std::vector<BatchStep>& steps) {
  WholeRun run;
  ClientTransaction work = [&](WriteSession& session) { return run_whole(session, steps, run); };
  SubmitCall call(site_.store, site_.loop, std::move(work));
  const auto committed = co_await call;
  if (committed) {
    seen_.join(committed->applied);
  } else {
    note_failure(steps, committed.error(), run);
  }
  co_return std::move(run.results);
}

Task<Result<void>> HranaStream::sequence(std::string sql) {
  for (const auto text : split_statements(sql)) {
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
  Result<StatementDescription> description = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& reader) { description = reader.describe(sql); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  co_return description;
}

}  // namespace entente
