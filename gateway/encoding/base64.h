#pragma once

#include <string>
#include <string_view>

#include "conflict/result.h"

namespace entente {

// Appends the standard alphabet's base64 of `bytes`, with or without `=` at the end.
void append_base64(std::string& out, std::string_view bytes, bool padded);
// Padding may be there or not; anything else outside the alphabet is refused.
Result<std::string> parse_base64(std::string_view text);

// The alphabet for URLs, without padding, as JOSE wants it (RFC 7515).
void append_base64url(std::string& out, std::string_view bytes);
// Exactly what append_base64url() writes; anything else is refused.
Result<std::string> parse_base64url(std::string_view text);

}  // namespace entente
