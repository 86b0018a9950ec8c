#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "adapters/database.h"

namespace entente {

// What a database knew and the one that takes its place did not.
struct Replayed {
  uint64_t changes = 0;                 // transactions brought over, from all origins
  uint64_t reissued = 0;                // of them, those that became another origin's …
  uint64_t dropped_schema_changes = 0;  // … less their schema changes, and rows only these have
  uint64_t joined = 0;                  // of them, those of which only the rows came
  uint64_t left_out = 0;  // of other datacenters' histories that are not those of the copy
};

// Others know more of a database than it does itself, or nobody can tell whether it is the newest
// of its incarnation.
struct Doubt {
  // The last seq of its own when it was first opened since somebody confirmed its history.
  uint64_t since = UINT64_MAX;
  bool shipped = false;  // something that it wrote after that was sent to somebody
};

// Brings over what `from` has and `to` has not applied, when `to`, a copy of another datacenter's
// database, is about to take its place: nothing that was acknowledged here is lost, whoever wrote
// it. Change by change where the log of `from` reaches all of that; otherwise all of it by the rows
// that `from` has (state_join.h), and others who lack it need a copy, too.
//
// Invariant: a change gets a new name only if nobody else can have it under its old one; otherwise
// it would count twice. Of what `from` wrote itself, two parts become the history of `fresh` (see
// conflict/reissue.h), and everything else keeps its name, what `from` has promised included:
// - what comes after the point where the hash chains of `from` and `to` part;
// - with a `doubt`, what comes after `doubt.since`, unless `to` has it, too, or others may. They
// may
//   know these changes with another content, and clients may have written them whose contexts this
//   datacenter had promised to refuse. What came before was written in a life that others took
//   changes from. Where the logs do not reach far enough back to compare the histories, they are
//   the same up to there. But when `to` has forgotten something by a promise that `from` does not
//   know, all that `to` lacks: under its own name it would be refused (forgotten.h).
//
// What it has of another datacenter's, under a name that `to` knows with another history, is left
// out: that datacenter brings it over itself.
// `fresh`: zeros: what reissued_origin() says. Then what somebody has taken in under that name
// already (gateway/api/late/late_batches.h) does not come again.
//
// REQUIRES: nobody else uses either database. It may be done again after an error or a crash, with
// a new copy.
// Errors: kRefused, "copy_too_old": something would get a new name, and the log of `from` does not
//         reach all that `to` lacks;
//         those of join_states(); and those of the databases. `to` is of no use then.
Result<Replayed> replay(Database& from, Database& to, const Origin& fresh,
                        const std::optional<Doubt>& doubt, uint64_t wall_ms);

}  // namespace entente
