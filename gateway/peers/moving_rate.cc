#include "gateway/peers/moving_rate.h"

#include <algorithm>

namespace entente {

void MovingRate::sample(Instant now, uint64_t total) {
  if (!samples_.empty() && now - samples_.back().at < kStep) return;
  samples_.push_back({now, total});
  while (samples_.size() > 1 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

double MovingRate::per_second(Instant now, uint64_t total) const {
  if (samples_.empty()) return 0;
  const auto& since = samples_.front();
  // Soon after the first sample a single change must not look like a thousand a second.
  const auto took = std::max(now - since.at, kStep);
  return static_cast<double>(total - std::min(total, since.total)) * 1'000.0 /
         static_cast<double>(took.count());
}

}  // namespace entente
