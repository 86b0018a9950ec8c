#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "gateway/replica/messages.h"

namespace entente {

// What the other datacenters have promised, and which of it counts here.
//
// A promise speaks of its datacenter's changes after `after`. Those up to it may be on their way
// still, written by clients who had seen less: a promise counts once they are applied here. Until
// then the last one that did counts.
class MemberPromises {
 public:
  // What a datacenter is known to have promised now. Of another incarnation than before: what its
  // former life had promised no longer counts.
  void learn(const MemberVector& member);
  // `applied` has grown.
  void count(const VersionVector& applied);

  // The floor that counts; empty if there is none.
  const VersionVector& counted(std::string_view dc) const;

 private:
  // Two at most: the one waited for, which is kept so that something counts in the end however
  // fast new ones come, and the latest.
  static constexpr size_t kWaitingMax = 2;
  struct Member {
    Origin incarnation;
    VersionVector counted;
    std::deque<Promise> waiting;  // floors and afters ascend
  };

  std::map<std::string, Member, std::less<>> members_;
};

}  // namespace entente
