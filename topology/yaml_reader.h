#pragma once

#include <optional>
#include <string_view>

#include "topology/node.h"
#include "topology/problems.h"

namespace entente {

// Reads one YAML document into nodes. Strict: duplicate keys, anchors, aliases, tags, several
// documents, more than kDeepest levels, more than kLongestFile bytes, control characters and
// invalid UTF-8 are problems. Absent when the rest would only mislead. Never throws.
constexpr size_t kLongestFile = 1 << 20;
constexpr size_t kDeepest = 32;

std::optional<Node> read_yaml(std::string_view text, Problems& problems);

}  // namespace entente
