#pragma once

#include <string_view>

#include "conflict/handler.h"

struct lua_State;

// Values of the database as scripts see them: integers, floats and text as Lua's own; NULL is the
// constant `null`; bytes are a `blob`, a type of its own, made by blob(text), with `#b`,
// `b:text()`, and equality by content.
namespace entente::lua {

// Defines `null` and `blob` in the table on top of the stack.
void open_values(lua_State* state);

void push(lua_State* state, const Value& value);
void push(lua_State* state, std::string_view text);
void push_null(lua_State* state);
bool is_null(lua_State* state, int index);
bool is_blob(lua_State* state, int index);
// "null" and "blob" besides Lua's own.
std::string_view type_name(lua_State* state, int index);
// The value at `index`; raises an error that begins with `what` for a type that no column holds.
Value to_value(lua_State* state, int index, std::string_view what);

// Pushes the table that the script's function is given.
void push(lua_State* state, const Conflict& conflict);
// What the script's function returned, at `index`. Raises an error for what is no answer.
Decision to_decision(lua_State* state, int index);

}  // namespace entente::lua
