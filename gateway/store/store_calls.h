#pragma once

#include <functional>
#include <optional>

#include "gateway/async/task.h"
#include "gateway/store/store.h"

namespace entente {

// The Store's calls as things to await. What the callbacks touch lives in the awaiting coroutine,
// which stands still until its loop resumes it: no sharing, no locks.

inline Error too_busy() {
  return {Code::kBusy, "too many requests wait for the database; try again in a second", "busy"};
}

// Runs a transaction; resumes once it is durable or refused.
class SubmitCall {
 public:
  SubmitCall(Store& store, Loop& loop, ClientTransaction work)
      : store_(store), loop_(loop), work_(std::move(work)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    return store_.submit(std::move(work_), false, [this, waiting](Result<Committed> r) {
      result_ = std::move(r);
      loop_.resume(waiting);
    });
  }
  Result<Committed> await_resume() { return std::move(result_); }

 private:
  Store& store_;
  Loop& loop_;
  ClientTransaction work_;
  Result<Committed> result_ = tl::unexpected(too_busy());
};

// Runs a job on a reading connection; false if too many wait.
class ReadCall {
 public:
  ReadCall(Store& store, Loop& loop, std::function<void(Reader&)> job)
      : store_(store), loop_(loop), job_(std::move(job)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    queued_ = true;  // first: another thread may run the job at once
    const bool queued = store_.read([this, waiting](Reader& reader) {
      job_(reader);
      loop_.resume(waiting);
    });
    if (!queued) queued_ = false;
    return queued;
  }
  bool await_resume() const { return queued_; }

 private:
  Store& store_;
  Loop& loop_;
  std::function<void(Reader&)> job_;
  bool queued_ = false;
};

// Waits until `target` is applied here; false if it was not by the deadline.
class AppliedCall {
 public:
  AppliedCall(Store& store, Loop& loop, VersionVector target, Store::Clock::time_point deadline)
      : store_(store), loop_(loop), target_(std::move(target)), deadline_(deadline) {}

  bool await_ready() {
    reached_ = store_.applied().covers(target_);
    return reached_;
  }
  void await_suspend(std::coroutine_handle<> waiting) {
    store_.when_applied(std::move(target_), deadline_, [this, waiting](bool reached) {
      reached_ = reached;
      loop_.resume(waiting);
    });
  }
  bool await_resume() const { return reached_; }

 private:
  Store& store_;
  Loop& loop_;
  VersionVector target_;
  Store::Clock::time_point deadline_;
  bool reached_ = false;
};

}  // namespace entente
