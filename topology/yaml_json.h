#pragma once

#include <string>

#include "topology/node.h"

namespace entente {

// The same in compact JSON, with the members of mappings sorted: for settings that are handed on
// and never read here. What stands without quotes and is a number, true, false or null in JSON is
// one; everything else is text.
std::string json_of(const Node& node);

}  // namespace entente
