#pragma once

#include <functional>

#include "tests/chaos/history.h"

namespace entente::chaos {

// What checkers have in common. All of it is pure.

using Writes = std::vector<const Write*>;

// By key, those that happened or may have.
std::map<std::string, Writes> by_key(const History& history);

// Those acknowledged that no other acknowledged one had seen.
Writes maximal(const Writes& writes);

// Whether one of these, whose outcome is unknown, wrote this value.
bool maybe_written(const Writes& writes, const std::optional<std::string>& value);
bool any_unknown(const Writes& writes);

// The row `key` in this final state, written by these writes: it shows the winner among those that
// nobody overwrote, by `beats`, unless a write whose outcome is unknown came in between; and, if
// `listed`, the conflict log has the others with their values.
using Beats = std::function<bool(const Write&, const Write&)>;
void check_register(const std::string& dc, const Final& state, const std::string& key,
                    const Writes& writes, const Beats& beats, bool listed, Violations& out);

// The order of policy lww.
bool later(const Write& a, const Write& b);

std::string quoted(const std::optional<std::string>& value);

// Everybody shows the same (P1).
Violations check_alike(const Finals& finals);

}  // namespace entente::chaos
