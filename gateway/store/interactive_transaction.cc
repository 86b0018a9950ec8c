#include "gateway/store/interactive_transaction.h"

namespace entente {

void InteractiveTransaction::begin(Store& store, std::function<void(Result<void>)> begun) {
  begun_ = std::move(begun);
  const auto self = shared_from_this();
  const bool queued =
      store.submit([self](WriteSession& session) { return self->serve(session); }, true,
                   [self](Result<Committed> r) { self->ended(std::move(r)); });
  if (queued) return;
  ended(fail(Code::kBusy, "too many transactions wait for the database; try again in a second",
             "TRANSACTION_BUSY"));
}

void InteractiveTransaction::execute(Statement statement,
                                     std::function<void(Result<StatementResult>)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      command_ = Command{Command::Kind::kExecute, std::move(statement), std::move(done)};
      wake_.notify_one();
      return;
    }
  }
  done(tl::unexpected(timed_out()));
}

void InteractiveTransaction::finish(bool commit, std::function<void(Result<Committed>)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      finished_ = std::move(done);
      command_ = Command{commit ? Command::Kind::kCommit : Command::Kind::kRollback, {}, nullptr};
      wake_.notify_one();
      return;
    }
  }
  done(tl::unexpected(timed_out()));
}

Result<void> InteractiveTransaction::serve(WriteSession& session) {
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  const auto begun = std::move(begun_);
  begun_ = nullptr;
  begun({});
  while (auto command = next(deadline)) {
    if (command->kind == Command::Kind::kCommit) return {};
    if (command->kind == Command::Kind::kRollback) return fail(Code::kInvalid, "rolled back");
    command->done(session.execute(command->statement));
  }
  return tl::unexpected(timed_out());
}

// Nothing: the deadline passed first, and nothing comes any more.
std::optional<InteractiveTransaction::Command> InteractiveTransaction::next(
    std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, deadline, [&] { return command_.has_value(); });
  ended_ = !command_.has_value();
  return std::exchange(command_, std::nullopt);
}

void InteractiveTransaction::ended(Result<Committed> outcome) {
  std::function<void(Result<Committed>)> finished;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    finished = std::move(finished_);
  }
  if (begun_) begun_(tl::unexpected(outcome ? timed_out() : outcome.error()));
  begun_ = nullptr;
  if (finished) finished(std::move(outcome));
}

Error InteractiveTransaction::timed_out() const { return transaction_timed_out(timeout_); }

Error transaction_timed_out(std::chrono::milliseconds limit) {
  return {Code::kTimeout,
          "the transaction was rolled back: it was open for longer than " +
              std::to_string(limit.count()) + " ms (limits.transaction_timeout)",
          "TRANSACTION_TIMEOUT"};
}

}  // namespace entente
