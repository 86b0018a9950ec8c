#pragma once

#include <string>
#include <string_view>

namespace entente {

// Two lower-case digits a byte.
std::string to_hex(std::string_view bytes);

}  // namespace entente
