#include "gateway/replica/member_promises.h"

#include <utility>

namespace entente {

void MemberPromises::learn(const MemberVector& row) {
  Member& member = members_[row.dc];
  if (member.incarnation != row.incarnation) member = {row.incarnation, {}, {}};
  const VersionVector& latest =
      member.waiting.empty() ? member.counted : member.waiting.back().floor;
  if (row.promise.floor == latest || !row.promise.floor.covers(latest)) return;
  if (member.waiting.size() == kWaitingMax) member.waiting.pop_back();
  member.waiting.push_back(row.promise);
}

void MemberPromises::count(const VersionVector& applied) {
  for (auto& [dc, member] : members_) {
    auto& waiting = member.waiting;
    while (!waiting.empty() && applied.at(member.incarnation) >= waiting.front().after) {
      member.counted = std::move(waiting.front().floor);
      waiting.pop_front();
    }
  }
}

const VersionVector& MemberPromises::counted(std::string_view dc) const {
  static const VersionVector kNothing;
  const auto it = members_.find(dc);
  return it == members_.end() ? kNothing : it->second.counted;
}

}  // namespace entente
