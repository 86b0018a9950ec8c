#pragma once

#include <cstddef>
#include <string_view>

namespace entente {

// The bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
size_t character_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace entente
