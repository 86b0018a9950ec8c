#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace entente::simulation {

// Virtual time: what is due runs in order of time, then of asking. Milliseconds from the start.
class Scheduler {
 public:
  int64_t now() const { return now_; }

  void at(int64_t time, std::function<void()> what) {
    events_.push_back({std::max(time, now_), ++asked_, std::move(what)});
    std::push_heap(events_.begin(), events_.end());
  }
  void after(int64_t delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  void run_until(int64_t time) {
    while (!events_.empty() && events_.front().time <= time) {
      std::pop_heap(events_.begin(), events_.end());
      Event event = std::move(events_.back());
      events_.pop_back();
      now_ = event.time;
      event.what();
    }
    now_ = std::max(now_, time);
  }

 private:
  struct Event {
    int64_t time;
    uint64_t order;
    std::function<void()> what;
    // The heap's top is the greatest: the earliest is greater.
    bool operator<(const Event& other) const {
      return std::pair(time, order) > std::pair(other.time, other.order);
    }
  };
  std::vector<Event> events_;
  uint64_t asked_ = 0;
  int64_t now_ = 0;
};

}  // namespace entente::simulation
