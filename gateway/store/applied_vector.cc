#include "gateway/store/applied_vector.h"

#include <algorithm>
#include <iterator>

namespace entente {

AppliedVector::AppliedVector(VersionVector applied, size_t waiters_max)
    : applied_(std::move(applied)), waiters_max_(waiters_max) {
  clock_ = std::thread([this] { keep_deadlines(); });
}

AppliedVector::~AppliedVector() { stop(); }

template <class Pick>
std::vector<AppliedVector::Waiter> AppliedVector::take_if(Pick pick) {
  const auto first = std::stable_partition(waiters_.begin(), waiters_.end(),
                                           [&](const Waiter& w) { return !pick(w); });
  std::vector<Waiter> taken(std::make_move_iterator(first),
                            std::make_move_iterator(waiters_.end()));
  waiters_.erase(first, waiters_.end());
  return taken;
}

VersionVector AppliedVector::get() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

void AppliedVector::advance(const VersionVector& durable) {
  std::vector<Waiter> reached;
  {
    const std::lock_guard lock(mutex_);
    applied_.join(durable);
    if (waiters_.empty()) return;
    reached = take_if([&](const Waiter& w) { return applied_.covers(w.target); });
  }
  for (const auto& w : reached) w.done(true);
}

void AppliedVector::wait(VersionVector target, Clock::time_point deadline, Done done) {
  std::unique_lock lock(mutex_);
  const bool reached = applied_.covers(target);
  if (reached || stopping_ || waiters_.size() >= waiters_max_) {
    lock.unlock();
    return done(reached);
  }
  waiters_.push_back({std::move(target), deadline, std::move(done)});
  changed_.notify_one();
}

void AppliedVector::stop() {
  std::vector<Waiter> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(waiters_);
    changed_.notify_one();
  }
  for (const auto& w : left) w.done(false);
  if (clock_.joinable()) clock_.join();
}

void AppliedVector::keep_deadlines() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next =
        std::min_element(waiters_.begin(), waiters_.end(),
                         [](const Waiter& a, const Waiter& b) { return a.deadline < b.deadline; });
    if (next == waiters_.end()) {
      changed_.wait(lock);
    } else {
      const auto deadline = next->deadline;
      changed_.wait_until(lock, deadline);
    }
    const auto now = Clock::now();
    const auto late = take_if([&](const Waiter& w) { return w.deadline <= now; });
    lock.unlock();
    for (const auto& w : late) w.done(false);
    lock.lock();
  }
}

}  // namespace entente
