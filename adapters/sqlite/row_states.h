#pragma once

#include "adapters/database.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// Reader::states(). Looks at versions first: a row in the steady state is read only if its version
// is news.
Result<StateSlice> read_states(RowStore& rows, const World& world, const Table& t,
                               const StateQuery& query);

}  // namespace entente::sqlite
