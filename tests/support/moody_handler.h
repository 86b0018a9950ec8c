#pragma once

#include <memory>

#include "conflict/handler.h"

namespace entente::test {

// A handler that decides, differently for different sets: sums, picks, deletes, keeps, holds, and
// fails. A pure function, as it must be.
std::shared_ptr<const Handler> moody_handler();

}  // namespace entente::test
