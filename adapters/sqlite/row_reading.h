#pragma once

#include "adapters/database.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// One row as users may ask for it, but for what the reader itself has seen (`context`).
Result<RowRead> read_row(RowStore& rows, const World& world, const Table& t, const Key& key,
                         bool all_siblings);

}  // namespace entente::sqlite
