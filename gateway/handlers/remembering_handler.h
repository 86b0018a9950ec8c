#pragma once

#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "gateway/handlers/plugin_handler.h"

namespace entente {

// Puts any handler behind check_answer(), and remembers what it answered: the core asks about the
// same conflict several times for one change, and the user's code runs once. A failure is
// remembered too, for a second.
//
// Threads: any. Two that ask the same at the same time may both run the handler.
class RememberingHandler : public Handler {
 public:
  static constexpr size_t kMostAnswers = 4096;
  static constexpr size_t kMostBytes = 16 << 20;  // of conflicts and answers together
  static constexpr std::chrono::milliseconds kFailureLasts{1000};

  explicit RememberingHandler(std::shared_ptr<const Handler> handler,
                              SteadyNow now = std::chrono::steady_clock::now)
      : handler_(std::move(handler)), now_(std::move(now)) {}

  Result<Decision> decide(const Conflict& conflict) const override;
  const std::string& version() const override { return handler_->version(); }

 private:
  struct Answer {
    std::string conflict;  // encoded
    Result<Decision> decision;
    size_t bytes;
    std::chrono::steady_clock::time_point forget_at;  // of failures
  };
  using Answers = std::list<Answer>;

  std::optional<Result<Decision>> remembered(std::string_view conflict) const;
  void remember(std::string conflict, const Result<Decision>& decision) const;
  void forget(Answers::iterator answer) const;

  const std::shared_ptr<const Handler> handler_;
  const SteadyNow now_;
  mutable std::mutex mutex_;  // of what follows
  mutable Answers answers_;   // the last one used first
  mutable std::unordered_map<std::string_view, Answers::iterator> by_conflict_;  // into answers_
  mutable size_t bytes_ = 0;  // the sum over answers_, <= kMostBytes
};

}  // namespace entente
