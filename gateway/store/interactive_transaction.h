#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "gateway/store/store.h"

namespace entente {

// What the client of a transaction is told that held the writer for too long.
Error transaction_timed_out(std::chrono::milliseconds limit);

// A transaction whose statements come one by one while it holds the writer.
//
// Threads: begin(), execute() and finish() from the client's side, one at a time: the next only
// after
//          the last called back. Callbacks run on the writer thread, or at once.
// Bounds:  it is rolled back when `timeout` has passed since it began.
class InteractiveTransaction : public std::enable_shared_from_this<InteractiveTransaction> {
 public:
  explicit InteractiveTransaction(std::chrono::milliseconds timeout) : timeout_(timeout) {}

  // Waits for its turn to write.
  void begin(Store& store, std::function<void(Result<void>)> begun);
  void execute(Statement statement, std::function<void(Result<StatementResult>)> done);
  // A rollback calls back with an error, as nothing was committed.
  void finish(bool commit, std::function<void(Result<Committed>)> done);

 private:
  struct Command {
    enum class Kind { kExecute, kCommit, kRollback } kind = Kind::kRollback;
    Statement statement;
    std::function<void(Result<StatementResult>)> done;
  };

  Result<void> serve(WriteSession& session);  // writer thread
  std::optional<Command> next(std::chrono::steady_clock::time_point deadline);
  void ended(Result<Committed> outcome);
  Error timed_out() const;

  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;  // takes no more commands
  std::optional<Command> command_;
  std::function<void(Result<void>)> begun_;
  std::function<void(Result<Committed>)> finished_;
};

}  // namespace entente
