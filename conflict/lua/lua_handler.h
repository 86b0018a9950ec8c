#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "conflict/handler.h"

namespace entente {

// A handler that is a Lua 5.4 script, which defines `function resolve(conflict)`; HANDLERS.md says
// what it is given and may answer. `name` is what messages call it, its path.
//
// Errors of load_lua: a syntax error, as "handlers/profile.lua:3: …".
// Errors of decide(), by their tag: "declined": it called error() or assert(); "budget": it used up
//   its instructions or memory; "failed": it made a mistake, or its answer is none.
// Threads: each call takes a Lua state of its own from a pool, so that one that runs long holds
//   nobody up; there are as many states as there were calls at the same time.
Result<std::shared_ptr<Handler>> load_lua(std::string_view name, std::string_view script,
                                          uint64_t instructions, uint64_t memory_bytes);

}  // namespace entente
