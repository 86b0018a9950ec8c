#pragma once

struct lua_State;

// What scripts may call. Each function defines one library in the table on top of the stack. Chosen
// for two rules: a call answers the same at every replica (no clock, no chance, no addresses, no
// order of hashing), and nothing works for long without spending instructions (no patterns, no
// calls that catch errors, no code from text).
namespace entente::lua {

void open_basics(lua_State* state);   // assert, error, ipairs, pairs, select, tonumber …
void open_strings(lua_State* state);  // string, and methods of text
void open_tables(lua_State* state);   // table
void open_numbers(lua_State* state);  // math
void open_json(lua_State* state);     // json
void open_merges(lua_State* state);   // merge

// Where error() and assert() leave word that the script failed on purpose: a key of the registry.
inline constexpr const char* kDeclined = "declined";

// Replaces the table on top of the stack by one that reads from it and refuses to be written to.
void make_read_only(lua_State* state);

// The keys 1 … n of the table at `index`, sorted by `less(i, j)`, which is given the values on top
// of the stack and leaves the stack as it was. Stable, and safe whatever `less` answers.
void sort_list(lua_State* state, int index, long long n, bool (*less)(lua_State* state));

}  // namespace entente::lua
