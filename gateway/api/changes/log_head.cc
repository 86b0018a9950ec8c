#include "gateway/api/changes/log_head.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace entente {

LogHead::LogHead(const DatabaseState& opened, Loop& loop) : loop_(loop) {
  at_.position = opened.log_head;
  for (const auto& [origin, stream] : opened.streams) at_.holds.advance(origin, stream.seq);
  at_.labels = std::make_shared<const Labels>(opened.labels);
}

LogHead::At LogHead::at() const {
  const std::lock_guard lock(mutex_);
  return at_;
}

bool LogHead::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void LogHead::advance(const LogChunk& chunk) {
  std::vector<Waiter> woken;
  {
    const std::lock_guard lock(mutex_);
    at_.position = chunk.position;
    at_.holds.advance(chunk.run.origin, chunk.run.last());
    if (chunk.run.first == 1) learn_label(chunk.run);
    woken.swap(waiters_);
  }
  resume(woken);
}

// An origin's first record says whose it is.
void LogHead::learn_label(const Run& run) {
  ByteReader in(run.records);
  const auto head = decode_head(run.origin, in.string(), {});
  if (!head) return;
  auto labels = std::make_shared<Labels>(*at_.labels);
  labels->insert_or_assign(run.origin, head->declares_dc);
  at_.labels = std::move(labels);
}

bool LogHead::wait(LogPosition after, Waiter waiter) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || at_.position > after) return false;
  waiters_.push_back(waiter);
  return true;
}

void LogHead::tick() {
  std::vector<Waiter> woken;
  {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    const auto first = std::partition(waiters_.begin(), waiters_.end(), [&](const Waiter& w) {
      return w.until > now && !w.client->client_gone();
    });
    woken.assign(first, waiters_.end());
    waiters_.erase(first, waiters_.end());
  }
  resume(woken);
}

void LogHead::stop() {
  std::vector<Waiter> woken;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    woken.swap(waiters_);
  }
  resume(woken);
}

void LogHead::resume(const std::vector<Waiter>& waiters) {
  for (const auto& waiter : waiters) loop_.resume(waiter.feed);
}

}  // namespace entente
