#include "gateway/handlers/remembering_handler.h"

#include "gateway/handlers/answer.h"
#include "gateway/handlers/owned_conflict.h"

namespace entente {
namespace {

constexpr size_t kOverhead = 200;  // bytes, about, of one entry

size_t size_of(const Result<Decision>& decision) {
  if (!decision) return decision.error().text.size();
  ByteWriter out;
  encode(out, *decision);
  return out.size();
}

}  // namespace

Result<Decision> RememberingHandler::decide(const Conflict& conflict) const {
  ByteWriter bytes;
  encode(bytes, conflict);
  if (auto known = remembered(bytes.view())) return *known;
  auto decision = handler_->decide(conflict);
  if (decision) decision = check_answer(conflict, std::move(*decision));
  remember(bytes.take(), decision);
  return decision;
}

std::optional<Result<Decision>> RememberingHandler::remembered(std::string_view conflict) const {
  const std::lock_guard lock(mutex_);
  const auto at = by_conflict_.find(conflict);
  if (at == by_conflict_.end()) return std::nullopt;
  if (!at->second->decision && now_() >= at->second->forget_at) {
    forget(at->second);
    return std::nullopt;
  }
  answers_.splice(answers_.begin(), answers_, at->second);
  return at->second->decision;
}

void RememberingHandler::remember(std::string conflict, const Result<Decision>& decision) const {
  const size_t size = kOverhead + conflict.size() + size_of(decision);
  const std::lock_guard lock(mutex_);
  if (size > kMostBytes || by_conflict_.contains(conflict)) return;
  answers_.push_front({std::move(conflict), decision, size, now_() + kFailureLasts});
  by_conflict_.emplace(answers_.front().conflict, answers_.begin());
  bytes_ += size;
  while (answers_.size() > kMostAnswers || bytes_ > kMostBytes) forget(std::prev(answers_.end()));
}

void RememberingHandler::forget(Answers::iterator answer) const {
  by_conflict_.erase(answer->conflict);
  bytes_ -= answer->bytes;
  answers_.erase(answer);
}

}  // namespace entente
