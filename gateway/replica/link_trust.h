#pragma once

#include <chrono>

namespace entente {

// Whether a link can be counted on. A link that comes up and dies again before it was of any use
// is no link: while its lives are that short, it is as if it had been missing all the time.
//
// A life of a link is good once the link was useful until `steady` after it was trusted; then the
// next life is trusted at once. After a life that was not good the next one is on trial first: for
// `steady`, and twice as long after each one more.
//
// Threads: one at a time.
// Time:    a monotonic clock.
class LinkTrust {
 public:
  using Instant = std::chrono::milliseconds;
  enum class State {
    kDown,
    kOnTrial,  // up, but former lives of it were short
    kTrusted,
  };

  explicit LinkTrust(Instant steady, Instant now = Instant{0}) : steady_(steady), missed_(now) {}

  // ---- What happened.
  void up(Instant now);
  // Something came over it, or there was nothing that could. REQUIRES: it is up.
  void useful(Instant now);
  // Returns whether the life that ended was good.
  bool down(Instant now);
  // It is missed from now on, not from before.
  void miss_from(Instant now) { missed_ = now; }

  // ---- What is known.
  State state() const;
  // It could not be counted on for `long_enough`, and cannot now.
  bool gone(Instant now, Instant long_enough) const;

 private:
  static constexpr int kDoubtsMax = 5;
  Instant trial() const { return doubts_ == 0 ? Instant{0} : steady_ * (1 << (doubts_ - 1)); }
  bool good() const { return up_ && used_ - up_since_ >= trial() + steady_; }

  Instant steady_;
  Instant missed_;  // down: it could not be counted on since
  bool up_ = false;
  Instant up_since_{0};
  Instant used_{0};  // up_since_ <= used_
  int doubts_ = 0;   // lives that were not good, since the last that was
};

}  // namespace entente
