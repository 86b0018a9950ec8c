#include "conflict/reissue.h"

#include <algorithm>
#include <utility>

namespace entente {

Transaction Reissue::operator()(Transaction t, const std::string& dc) const {
  t.dot = renamed(t.dot);
  rename(t.context);
  t.context.set(as_, t.dot.seq - 1);
  t.declares_dc = t.dot.seq == 1 ? dc : "";
  std::erase_if(t.changes, [](const Change& c) { return std::holds_alternative<SchemaChange>(c); });
  for (auto& change : t.changes) rename(std::get<RowChange>(change));
  return t;
}

void Reissue::rename(VersionVector& context) const {
  const uint64_t own = context.at(of_);
  if (own > last_) {
    context.set(of_, last_);
    context.advance(as_, own - last_);
  }
  context.join(seen_);
}

Dot Reissue::renamed(const Dot& dot) const {
  if (dot.origin != of_ || dot.seq <= last_) return dot;
  return {as_, dot.seq - last_};
}

void Reissue::rename(RowChange& change) const {
  if (change.context) rename(*change.context);
  for (auto& kept : change.kept) kept.dot = renamed(kept.dot);
  // What was counted under the old name before and after `last` is not told apart by a floor: it
  // keeps the part that both histories share.
  for (auto& floor : change.floors) {
    if (floor.origin == of_) floor.seq = std::min(floor.seq, last_);
  }
}

}  // namespace entente
