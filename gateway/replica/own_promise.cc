#include "gateway/replica/own_promise.h"

#include <utility>

namespace entente {

OwnPromise::OwnPromise(Instant lifetime, VersionVector durable)
    : floor_(std::move(durable)), applied_(lifetime) {}

void OwnPromise::look(const VersionVector& applied, Instant now) { applied_.look(applied, now); }

std::optional<VersionVector> OwnPromise::take() {
  const VersionVector* const then = applied_.back_then();
  if (under_way_ || then == nullptr || *then == floor_ || !then->covers(floor_)) return {};
  under_way_ = *then;
  return under_way_;
}

void OwnPromise::kept() {
  if (under_way_) floor_ = std::move(*under_way_);
  under_way_.reset();
}

void OwnPromise::failed() { under_way_.reset(); }

}  // namespace entente
