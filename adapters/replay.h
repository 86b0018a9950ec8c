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

// Brings over what `from` has and `to` has not applied, when `to`, a copy of another datacenter's
// database, is about to take its place: nothing that was acknowledged here is lost, whoever wrote
// it. Change by change where the log of `from` reaches all of that; otherwise all of it by the rows
// that `from` has (state_join.h), and others who lack it need a copy, too.
//
// What `from` wrote itself, under a name that `to` knows with another history (its hash chain
// differs), becomes the history of `fresh`: see conflict/reissue.h. Everything else stays as it is,
// what `from` has promised included.
// `restored`: `from` is older than what others know of it. Then all that `to` lacks of its own
// becomes that of `fresh`, because clients may have written it whose contexts this datacenter had
// promised to refuse; and where the logs do not reach far enough back to compare the histories,
// they are taken for the same up to this seq: the last when `from` was opened for the first time
// since.
//
// What it has of another datacenter's, under a name that `to` knows with another history, is left
// out: that datacenter brings it over itself.
// `fresh`: zeros: what reissued_origin() says. Then what somebody has taken in under that name
// already (gateway/server/late_batches.h) does not come again.
//
// REQUIRES: nobody else uses either database. It may be done again after an error or a crash, with
// a new copy.
// Errors: kRefused, "copy_too_old": what would become another's history is not all in the log;
//         those of join_states(); and those of the databases. `to` is of no use then.
Result<Replayed> replay(Database& from, Database& to, const Origin& fresh,
                        std::optional<uint64_t> restored, uint64_t wall_ms);

}  // namespace entente
