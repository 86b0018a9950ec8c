#pragma once

#include <string>

#include "adapters/database.h"

namespace entente {

// The edit as a statement of SQLite's dialect.
std::string sql_of(const TableEdit& edit);

// How a table is declared after an edit that does not drop it. kSql: it has no such column, or has
// that one already.
Result<TableDef> declared_after(const TableDef& table, const TableEdit& edit);

}  // namespace entente
