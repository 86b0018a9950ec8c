#include "gateway/replica/own_promise.h"

#include <algorithm>
#include <utility>

namespace entente {
namespace {

constexpr int kStepsPerLifetime = 16;
constexpr OwnPromise::Instant kStepMin{100};

}  // namespace

OwnPromise::OwnPromise(Instant lifetime, VersionVector durable)
    : lifetime_(lifetime),
      step_(std::max(kStepMin, lifetime / kStepsPerLifetime)),
      floor_(std::move(durable)) {}

void OwnPromise::look(const VersionVector& applied, Instant now) {
  now_ = now;
  const bool due = memories_.empty() || now - memories_.back().time >= step_;
  if (due && (memories_.empty() || memories_.back().applied != applied)) {
    memories_.push_back({now, applied});
  }
  while (memories_.size() > 1 && now - memories_[1].time >= lifetime_) memories_.pop_front();
}

std::optional<VersionVector> OwnPromise::take() {
  if (under_way_ || memories_.empty() || now_ - memories_.front().time < lifetime_) return {};
  const VersionVector& oldest = memories_.front().applied;
  if (oldest == floor_ || !oldest.covers(floor_)) return {};
  under_way_ = oldest;
  return under_way_;
}

void OwnPromise::kept() {
  if (under_way_) floor_ = std::move(*under_way_);
  under_way_.reset();
}

void OwnPromise::failed() { under_way_.reset(); }

}  // namespace entente
