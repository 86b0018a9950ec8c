#include "gateway/replica/link_trust.h"

#include <algorithm>

namespace entente {

void LinkTrust::up(Instant now) {
  up_ = true;
  up_since_ = used_ = now;
}

void LinkTrust::useful(Instant now) {
  used_ = std::max(used_, now);
  if (good()) doubts_ = 0;
}

bool LinkTrust::down(Instant now) {
  if (!up_) return false;
  const bool was_good = good();
  up_ = false;
  if (was_good) missed_ = now;
  doubts_ = was_good ? 0 : std::min(doubts_ + 1, kDoubtsMax);
  return was_good;
}

LinkTrust::State LinkTrust::state() const {
  if (!up_) return State::kDown;
  return used_ - up_since_ >= trial() ? State::kTrusted : State::kOnTrial;
}

bool LinkTrust::gone(Instant now, Instant long_enough) const {
  return state() != State::kTrusted && now - missed_ >= long_enough;
}

}  // namespace entente
