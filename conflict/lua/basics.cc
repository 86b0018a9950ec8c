#include <lua.hpp>

#include "conflict/lua/library.h"
#include "conflict/lua/meter.h"
#include "conflict/lua/values.h"

namespace entente::lua {
namespace {

constexpr lua_Unsigned kTextBytesPerInstruction = 8;

int decline(lua_State* state) {
  lua_pushboolean(state, 1);
  lua_setfield(state, LUA_REGISTRYINDEX, kDeclined);
  return lua_error(state);
}

int raise(lua_State* state) {
  lua_settop(state, 1);
  if (lua_type(state, 1) == LUA_TSTRING) {
    luaL_where(state, 1);
    lua_insert(state, 1);
    lua_concat(state, 2);
  }
  return decline(state);
}

int assert_true(lua_State* state) {
  if (lua_toboolean(state, 1)) return lua_gettop(state);
  luaL_checkany(state, 1);
  lua_remove(state, 1);
  lua_pushliteral(state, "assertion failed!");
  lua_settop(state, 1);
  return decline(state);
}

int type_of(lua_State* state) {
  luaL_checkany(state, 1);
  push(state, type_name(state, 1));
  return 1;
}

// Never an address.
int to_text(lua_State* state) {
  luaL_checkany(state, 1);
  switch (lua_type(state, 1)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
      luaL_tolstring(state, 1, nullptr);
      break;
    default:
      push(state, type_name(state, 1));
  }
  return 1;
}

int to_number(lua_State* state) {
  spend(state, lua_rawlen(state, 1) / kTextBytesPerInstruction);
  luaL_checkany(state, 1);
  size_t size = 0;
  const char* text = lua_type(state, 1) == LUA_TSTRING ? lua_tolstring(state, 1, &size) : nullptr;
  if (lua_type(state, 1) == LUA_TNUMBER) {
    lua_settop(state, 1);
  } else if (!text || lua_stringtonumber(state, text) != size + 1) {
    lua_pushnil(state);
  }
  return 1;
}

int next_item(lua_State* state) {
  const lua_Integer i = luaL_checkinteger(state, 2) + 1;
  lua_pushinteger(state, i);
  return lua_geti(state, 1, i) == LUA_TNIL ? 1 : 2;
}

int items(lua_State* state) {
  luaL_checkany(state, 1);
  lua_pushcfunction(state, next_item);
  lua_pushvalue(state, 1);
  lua_pushinteger(state, 0);
  return 3;
}

// Numbers, then text, then false and true.
int rank(lua_State* state, int index) {
  switch (lua_type(state, index)) {
    case LUA_TNUMBER:
      return 0;
    case LUA_TSTRING:
      return 1;
    case LUA_TBOOLEAN:
      return lua_toboolean(state, index) ? 3 : 2;
    default:
      return luaL_error(state,
                        "pairs: a key is a %s; only numbers, text and booleans have an order",
                        luaL_typename(state, index));
  }
}

bool key_less(lua_State* state) {
  const int left = rank(state, -2), right = rank(state, -1);
  if (left != right || left > 1) return left < right;
  return lua_compare(state, -2, -1, LUA_OPLT) != 0;
}

// Upvalues: the table, the list of its keys, how many were given.
int next_pair(lua_State* state) {
  const lua_Integer i = lua_tointeger(state, lua_upvalueindex(3)) + 1;
  lua_pushinteger(state, i);
  lua_replace(state, lua_upvalueindex(3));
  if (lua_rawgeti(state, lua_upvalueindex(2), i) == LUA_TNIL) return 1;
  lua_pushvalue(state, -1);
  lua_rawget(state, lua_upvalueindex(1));
  return 2;
}

// In the order of the keys: Lua's own order depends on a random seed.
int all_pairs(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_settop(state, 1);
  lua_newtable(state);
  lua_Integer n = 0;
  lua_pushnil(state);
  while (lua_next(state, 1)) {
    lua_pop(state, 1);
    rank(state, -1);
    lua_pushvalue(state, -1);
    lua_rawseti(state, 2, ++n);
    spend(state, 1);
  }
  sort_list(state, 2, n, key_less);
  lua_pushinteger(state, 0);
  lua_pushcclosure(state, next_pair, 3);
  return 1;
}

int pick_arguments(lua_State* state) {
  const int n = lua_gettop(state);
  if (lua_type(state, 1) == LUA_TSTRING && *lua_tostring(state, 1) == '#') {
    lua_pushinteger(state, n - 1);
    return 1;
  }
  lua_Integer i = luaL_checkinteger(state, 1);
  if (i < 0) i = n + i;
  if (i > n) i = n;
  luaL_argcheck(state, i >= 1, 1, "index out of range");
  spend(state, static_cast<uint64_t>(n - i));
  return n - static_cast<int>(i);
}

int refuse_write(lua_State* state) { return luaL_error(state, "a library cannot be changed"); }

}  // namespace

void make_read_only(lua_State* state) {
  lua_newtable(state);
  lua_createtable(state, 0, 2);
  lua_rotate(state, -3, -1);
  lua_setfield(state, -2, "__index");
  lua_pushcfunction(state, refuse_write);
  lua_setfield(state, -2, "__newindex");
  lua_setmetatable(state, -2);
}

void open_basics(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {
      {"assert", assert_true}, {"error", raise},           {"ipairs", items},
      {"pairs", all_pairs},    {"select", pick_arguments}, {"tonumber", to_number},
      {"tostring", to_text},   {"type", type_of},          {nullptr, nullptr}};
  luaL_setfuncs(state, kFunctions, 0);
}

}  // namespace entente::lua
