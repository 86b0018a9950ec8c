#pragma once

#include <chrono>
#include <coroutine>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "gateway/async/task.h"
#include "gateway/http/response_stream.h"

namespace entente {

// Where the local log ends, and the change feeds that wait for it to go on.
//
// Threads: advance() from the writer's thread; tick() and stop() from the loop's; the rest from
// any.
class LogHead {
 public:
  using Clock = std::chrono::steady_clock;
  using Labels = std::map<Origin, std::string>;  // origin -> datacenter

  struct At {
    LogPosition position = 0;
    VersionVector holds;                   // everything durable at or before `position`
    std::shared_ptr<const Labels> labels;  // of the origins of `holds`
  };

  LogHead(const DatabaseState& opened, Loop& loop);

  At at() const;
  // What became durable, in the log's order.
  void advance(const LogChunk& chunk);

  // Resumes when there is something after a position, at a time, when the client is gone, or when
  // this stops: whoever awaits it looks again.
  class Growth {
   public:
    Growth(LogHead& head, LogPosition after, Clock::time_point until, ResponseStream& client)
        : head_(head), after_(after), until_(until), client_(client) {}

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) {
      return head_.wait(after_, {waiting, until_, &client_});
    }
    void await_resume() const noexcept {}

   private:
    LogHead& head_;
    const LogPosition after_;
    const Clock::time_point until_;
    ResponseStream& client_;
  };

  // Looks at times and clients. Call several times a second.
  void tick();
  // Nobody waits any more.
  void stop();
  bool stopping() const;

 private:
  struct Waiter {
    std::coroutine_handle<> feed;
    Clock::time_point until;
    ResponseStream* client;
  };
  // False: there is nothing to wait for.
  bool wait(LogPosition after, Waiter waiter);
  void learn_label(const Run& run);
  void resume(const std::vector<Waiter>& waiters);

  Loop& loop_;
  mutable std::mutex mutex_;
  At at_;
  std::vector<Waiter> waiters_;
  bool stopping_ = false;
};

}  // namespace entente
