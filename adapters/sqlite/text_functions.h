#pragma once

#include "adapters/sqlite/connection.h"

namespace entente::sqlite {

// instr(), replace(), trim(), ltrim() and rtrim() in linear time. SQLite's own take the product of
// their arguments' lengths inside one operation of its machine, where no deadline is seen: one
// statement held a thread for hours.
//
// Invariant: they answer what SQLite's answer (`TextFunctions` in tests/unit/adapters compares
// them).
void install_text_functions(Connection& db);

}  // namespace entente::sqlite
