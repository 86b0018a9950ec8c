#pragma once

#include "conflict/result.h"
#include "conflict/version_vector.h"

namespace entente {

// Every change that is still to come has seen what was collected here (Database::collect). One that
// has not was written by a database that had gone back to before it promised so: applied, it would
// bring back what was deleted, and lose what it did not see (P8). `seen`: by the change, of its
// row.
inline Result<void> check_forgotten(const Origin& origin, const VersionVector& seen,
                                    const VersionVector& collected) {
  if (seen.covers(collected)) return {};
  return fail(Code::kFork, "a change of " + to_hex(origin) +
                               " has not seen what was forgotten here, as was promised: its "
                               "database had gone back");
}

}  // namespace entente
