#pragma once

#include "adapters/database.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// Reader::digests(). Looks at the user's rows and at those that only have a version: what somebody
// inserted or deleted behind the gateway's back is in one of the two tables.
Result<DigestSlice> read_digests(RowStore& rows, const World& world, const Table& t,
                                 const DigestQuery& query, const VersionVector& applied);

}  // namespace entente::sqlite
