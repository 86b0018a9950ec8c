#include <lua.hpp>
#include <vector>

#include "conflict/lua/library.h"
#include "conflict/lua/meter.h"

namespace entente::lua {
namespace {

// How many values one call gives back at most: what a function returns lies on Lua's stack.
constexpr lua_Integer kMostUnpacked = 250;

// A list that a script made; never a library.
lua_Integer length_of_list(lua_State* state, int index) {
  luaL_checktype(state, index, LUA_TTABLE);
  if (lua_getmetatable(state, index)) luaL_argerror(state, index, "a plain table is expected");
  return static_cast<lua_Integer>(lua_rawlen(state, index));
}

int insert(lua_State* state) {
  const lua_Integer n = length_of_list(state, 1);
  lua_Integer at = n + 1;
  if (lua_gettop(state) == 3) {
    at = luaL_checkinteger(state, 2);
    luaL_argcheck(state, at >= 1 && at <= n + 1, 2, "position out of bounds");
    spend(state, static_cast<uint64_t>(n - at + 1));
    for (lua_Integer i = n; i >= at; --i) {
      lua_rawgeti(state, 1, i);
      lua_rawseti(state, 1, i + 1);
    }
  } else if (lua_gettop(state) != 2) {
    luaL_error(state, "wrong number of arguments to insert");
  }
  lua_rawseti(state, 1, at);
  return 0;
}

int remove(lua_State* state) {
  const lua_Integer n = length_of_list(state, 1);
  const lua_Integer at = luaL_optinteger(state, 2, n);
  if (n == 0 && lua_gettop(state) < 2) return 0;
  luaL_argcheck(state, at >= 1 && at <= n + 1, 2, "position out of bounds");
  spend(state, static_cast<uint64_t>(n - at + 1));
  lua_rawgeti(state, 1, at);
  for (lua_Integer i = at; i <= n; ++i) {
    lua_rawgeti(state, 1, i + 1);
    lua_rawseti(state, 1, i);
  }
  return 1;
}

// The bounds [from, to] that the arguments `first` and `first + 1` give, inside the list.
std::pair<lua_Integer, lua_Integer> bounds(lua_State* state, int first) {
  const lua_Integer n = length_of_list(state, 1);
  const lua_Integer from = luaL_optinteger(state, first, 1);
  const lua_Integer to = luaL_optinteger(state, first + 1, n);
  luaL_argcheck(state, from >= 1, first, "it begins before the list");
  luaL_argcheck(state, to <= n, first + 1, "it ends after the list");
  return {from, to};
}

int concat(lua_State* state) {
  const auto [from, to] = bounds(state, 3);
  size_t separator_size = 0;
  const char* separator = luaL_optlstring(state, 2, "", &separator_size);
  if (to >= from) spend(state, static_cast<uint64_t>(to - from + 1));
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  for (lua_Integer i = from; i <= to; ++i) {
    lua_rawgeti(state, 1, i);
    if (!lua_isstring(state, -1)) {
      luaL_error(state, "concat: item %I is a %s", i, luaL_typename(state, -1));
    }
    luaL_addvalue(&out);
    if (i < to) luaL_addlstring(&out, separator, separator_size);
  }
  luaL_pushresult(&out);
  return 1;
}

int unpack(lua_State* state) {
  const auto [from, to] = bounds(state, 2);
  if (to < from) return 0;
  if (to - from >= kMostUnpacked) luaL_error(state, "unpack: at most %I values", kMostUnpacked);
  const int n = static_cast<int>(to - from + 1);
  luaL_checkstack(state, n, "unpack");
  spend(state, static_cast<uint64_t>(n));
  for (lua_Integer i = from; i <= to; ++i) lua_rawgeti(state, 1, i);
  return n;
}

bool default_less(lua_State* state) { return lua_compare(state, -2, -1, LUA_OPLT) != 0; }

bool script_less(lua_State* state) {
  lua_pushvalue(state, 2);
  lua_pushvalue(state, -3);
  lua_pushvalue(state, -3);
  lua_call(state, 2, 1);
  const bool less = lua_toboolean(state, -1);
  lua_pop(state, 1);
  return less;
}

int sort(lua_State* state) {
  const lua_Integer n = length_of_list(state, 1);
  lua_settop(state, 2);
  const bool own = !lua_isnil(state, 2);
  if (own) luaL_checktype(state, 2, LUA_TFUNCTION);
  sort_list(state, 1, n, own ? script_less : default_less);
  return 0;
}

bool item_less(lua_State* state, int index, lua_Integer a, lua_Integer b,
               bool (*less)(lua_State*)) {
  spend(state, 1);
  lua_rawgeti(state, index, a);
  lua_rawgeti(state, index, b);
  const bool out = less(state);
  lua_pop(state, 2);
  return out;
}

}  // namespace

// Merge sort over positions; then the items are put in place.
void sort_list(lua_State* state, int index, long long n, bool (*less)(lua_State*)) {
  if (n < 2) return;
  spend_memory(state, static_cast<uint64_t>(n) * 2 * sizeof(lua_Integer));
  luaL_checkstack(state, 10, "sort");
  std::vector<lua_Integer> from(static_cast<size_t>(n)), to(from.size());
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<lua_Integer>(i) + 1;
  for (size_t width = 1; width < from.size(); width *= 2) {
    for (size_t begin = 0; begin < from.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, from.size());
      const size_t end = std::min(begin + 2 * width, from.size());
      for (size_t left = begin, right = middle, at = begin; at < end; ++at) {
        const bool take_right =
            right < end &&
            (left == middle || item_less(state, index, from[right], from[left], less));
        to[at] = take_right ? from[right++] : from[left++];
      }
    }
    from.swap(to);
  }
  lua_createtable(state, static_cast<int>(n), 0);
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(state, index, from[static_cast<size_t>(i - 1)]);
    lua_rawseti(state, -2, i);
  }
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(state, -1, i);
    lua_rawseti(state, index, i);
  }
  lua_pop(state, 1);
}

void open_tables(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {{"concat", concat}, {"insert", insert},
                                            {"remove", remove}, {"sort", sort},
                                            {"unpack", unpack}, {nullptr, nullptr}};
  luaL_newlib(state, kFunctions);
  make_read_only(state);
  lua_setfield(state, -2, "table");
}

}  // namespace entente::lua
