#pragma once

#include <cstdint>
#include <string>

#include "adapters/database.h"

namespace entente {

// What a database knew and the one that takes its place did not.
struct Replayed {
  uint64_t changes = 0;                 // transactions brought over, from all origins
  uint64_t reissued = 0;                // of them, those that became another origin's …
  uint64_t dropped_schema_changes = 0;  // … less their schema changes
};

// Brings over what `from` has logged and `to` has not applied, when `to`, a copy of another
// datacenter's database, is about to take its place: nothing that was acknowledged here is lost,
// whoever wrote it.
//
// What `from` wrote itself, under a name that `to` knows with another history (its hash chain
// differs), becomes the history of `fresh`: see conflict/reissue.h. Everything else stays as it is.
//
// REQUIRES: nobody else uses either database. It may be done again after an error or a crash, with
// a new copy.
// Errors: kRefused, "copy_too_old": `to` lacks changes that the log of `from` holds no longer; and
//         those of the databases. `to` is of no use then.
Result<Replayed> replay(Database& from, Database& to, const Origin& fresh, uint64_t wall_ms);

}  // namespace entente
