#pragma once

#include "conflict/handler.h"

namespace entente {

// What every handler's answer must be, whatever it is written in: a pick names a sibling; a row
// names only columns that some sibling has, its numbers are not NaN, its text is UTF-8 or was in
// the conflict. Columns that it leaves out are those of the newest sibling that has a row. An
// answer that is not so is a failure, tagged "failed".
Result<Decision> check_answer(const Conflict& conflict, Decision decision);

}  // namespace entente
