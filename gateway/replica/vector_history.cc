#include "gateway/replica/vector_history.h"

#include <algorithm>

namespace entente {
namespace {

constexpr int kSteps = 16;
constexpr VectorHistory::Instant kStepMin{100};

}  // namespace

VectorHistory::VectorHistory(Instant age) : age_(age), step_(std::max(kStepMin, age / kSteps)) {}

void VectorHistory::look(const VersionVector& now_is, Instant now) {
  now_ = now;
  const bool due = memories_.empty() || now - memories_.back().time >= step_;
  if (due && (memories_.empty() || memories_.back().vector != now_is)) {
    memories_.push_back({now, now_is});
  }
  while (memories_.size() > 1 && now - memories_[1].time >= age_) memories_.pop_front();
}

const VersionVector* VectorHistory::back_then() const {
  if (memories_.empty() || now_ - memories_.front().time < age_) return nullptr;
  return &memories_.front().vector;
}

}  // namespace entente
