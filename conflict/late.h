#pragma once

#include "conflict/row_state.h"
#include "conflict/transaction.h"

namespace entente {

// A change that comes after the others have gone on without its origin. What they have settled and
// collected meanwhile they take as seen by everybody (`settled`: Database::promise), so it counts
// as having seen that; but it has not, and does to the row what it would have done if it had been
// heard of in time: it keeps what it had not seen, so that policies decide between them.

struct LateRow {
  const RowState& state;  // as it is where the change is taken in
  const Layout& layout;
  const Ranks& ranks;
  const VersionVector& settled;
  const Origin& follower;  // whose transactions come right after late ones, and belong to them
};

// What has to follow the change, in another transaction. Both have seen `change.context`.
struct Sequel {
  std::optional<RowChange> change;
  Hlc after;  // its stamp is later than this, and than that of the late change
};

// Makes it such a change. `had`: what its writer had seen of the row. `version`: its own.
//
// Of a row that was deleted without its writer's knowledge, all that says so may be forgotten
// somewhere: a later delete follows. So the row stays deleted, unless the rules have updates win,
// and what was written is listed.
// Elements of a set are shown by the age of the writes that added them, and a settled set has that
// of the last one: what the change does to it follows, too, with a later stamp.
// Values that a policy has made of several look different where they were settled and where not: of
// these nothing can be kept. The change says what they make together with it instead.
Sequel come_late(RowChange& change, const VersionVector& had, const Version& version,
                 const LateRow& row);

}  // namespace entente
