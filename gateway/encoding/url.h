#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/result.h"

namespace entente {

// `%41` to `A`. Fails on a `%` without two hex digits and on what is not UTF-8 afterwards.
Result<std::string> percent_decode(std::string_view text);

// A path's segments, still encoded: `/v1/tables/t` is v1, tables, t. Empty segments are kept.
std::vector<std::string_view> path_segments(std::string_view path);

// A composite key's parts: split at `,` first, decoded afterwards, so that a part may hold `%2C`.
Result<std::vector<std::string>> key_segment_parts(std::string_view segment);

// The first value of a query parameter, decoded (`+` is a blank); absent if it is not there.
Result<std::optional<std::string>> query_parameter(std::string_view query, std::string_view name);

}  // namespace entente
