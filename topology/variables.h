#pragma once

#include "topology/node.h"
#include "topology/problems.h"

namespace entente {

// Replaces `${NAME}` and `${NAME:-default}` in every value (never in keys). A variable that is not
// set, or empty, takes its default; without one it is a problem and the value is broken. What a
// variable holds is not expanded again.
void expand_variables(Node& node, const Environment& environment, Problems& problems);

}  // namespace entente
