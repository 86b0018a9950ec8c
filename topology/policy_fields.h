#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "conflict/policy.h"
#include "topology/fields.h"

namespace entente {

// Where a policy stands: what belongs to whole tables, single columns or groups of columns.
enum class PolicyPlace { kTable, kColumn, kGroup };

// The keys of one policy: `policy`, `merge`, `separator`, `markers`, `handler`, `run`. A table that
// names no policy keeps `inherited`, with what it says of its options; columns and groups must name
// one. `handlers` are the names that `handler` may take. Absent if something is wrong: reported.
std::optional<Policy> read_policy(Fields& fields, PolicyPlace place, const Policy& inherited,
                                  std::span<const std::string> handlers, Problems& problems);

// The keys that read_policy() reads.
std::span<const std::string_view> policy_keys();

}  // namespace entente
