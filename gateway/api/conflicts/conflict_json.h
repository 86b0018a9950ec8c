#pragma once

#include <string_view>

#include "gateway/api/row_json.h"

namespace entente {

// An entry of the conflict log, as an object. `dc`: whose log this is.
void write_conflict(JsonWriter& out, const ConflictEntry& entry, std::string_view dc,
                    BigIntegers big);

}  // namespace entente
