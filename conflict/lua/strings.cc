#include <cstring>
#include <lua.hpp>
#include <string_view>

#include "conflict/lua/library.h"
#include "conflict/lua/meter.h"
#include "conflict/lua/values.h"

namespace entente::lua {
namespace {

constexpr size_t kBytesPerInstruction = 8;
constexpr lua_Integer kMostBytes = 250;

std::string_view text_at(lua_State* state, int index) {
  size_t size = 0;
  const char* text = luaL_checklstring(state, index, &size);
  return {text, size};
}

void spend_on(lua_State* state, std::string_view text) {
  spend(state, text.size() / kBytesPerInstruction);
}

// memmem is linear whatever the needle; std::string_view::find is not.
size_t find_text(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const auto* at = static_cast<const char*>(
      ::memmem(text.data() + from, text.size() - from, needle.data(), needle.size()));
  return at ? static_cast<size_t>(at - text.data()) : std::string_view::npos;
}

std::string_view needle_at(lua_State* state, int index) {
  const auto needle = text_at(state, index);
  luaL_argcheck(state, !needle.empty(), index, "it is empty");
  return needle;
}

int repeat(lua_State* state) {
  const auto text = text_at(state, 1);
  const lua_Integer times = luaL_checkinteger(state, 2);
  const std::string_view separator = lua_isnoneornil(state, 3) ? "" : text_at(state, 3);
  if (times <= 0 || text.size() + separator.size() == 0) {
    lua_pushliteral(state, "");
    return 1;
  }
  spend(state, static_cast<uint64_t>(times));
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  for (lua_Integer i = 0; i < times; ++i) {
    if (i > 0) luaL_addlstring(&out, separator.data(), separator.size());
    luaL_addlstring(&out, text.data(), text.size());
  }
  luaL_pushresult(&out);
  return 1;
}

// Plain text, no patterns: find(text, needle, from) answers where it begins and ends, or nil.
int find(lua_State* state) {
  const auto text = text_at(state, 1), needle = needle_at(state, 2);
  const lua_Integer from = luaL_optinteger(state, 3, 1);
  luaL_argcheck(state, from >= 1, 3, "positions begin at 1");
  spend_on(state, text);
  const size_t at = find_text(text, needle, static_cast<size_t>(from - 1));
  if (at == std::string_view::npos) {
    lua_pushnil(state);
    return 1;
  }
  lua_pushinteger(state, static_cast<lua_Integer>(at) + 1);
  lua_pushinteger(state, static_cast<lua_Integer>(at) + static_cast<lua_Integer>(needle.size()));
  return 2;
}

int split(lua_State* state) {
  const auto text = text_at(state, 1), separator = needle_at(state, 2);
  spend_on(state, text);
  lua_newtable(state);
  lua_Integer n = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(find_text(text, separator, begin), text.size());
    push(state, text.substr(begin, end - begin));
    lua_rawseti(state, -2, ++n);
    spend(state, 1);
    begin = end + separator.size();
    if (end == text.size()) break;
  }
  return 1;
}

int replace(lua_State* state) {
  const auto text = text_at(state, 1), old = needle_at(state, 2), with = text_at(state, 3);
  spend_on(state, text);
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  size_t begin = 0;
  for (size_t at; (at = find_text(text, old, begin)) != std::string_view::npos;) {
    spend(state, 1);
    luaL_addlstring(&out, text.data() + begin, at - begin);
    luaL_addlstring(&out, with.data(), with.size());
    begin = at + old.size();
  }
  luaL_addlstring(&out, text.data() + begin, text.size() - begin);
  luaL_pushresult(&out);
  return 1;
}

int trim(lua_State* state) {
  auto text = text_at(state, 1);
  spend_on(state, text);
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    text = {};
  } else {
    text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  }
  push(state, text);
  return 1;
}

int bytes(lua_State* state) {
  const auto text = text_at(state, 1);
  const auto size = static_cast<lua_Integer>(text.size());
  lua_Integer from = luaL_optinteger(state, 2, 1);
  if (from < 0) from = std::max<lua_Integer>(size + from + 1, 1);
  lua_Integer to = luaL_optinteger(state, 3, from);
  if (to < 0) to = size + to + 1;
  from = std::max<lua_Integer>(from, 1);
  to = std::min(to, size);
  if (from > to) return 0;
  if (to - from >= kMostBytes) luaL_error(state, "byte: at most %I bytes at once", kMostBytes);
  const int n = static_cast<int>(to - from + 1);
  luaL_checkstack(state, n, "byte");
  for (lua_Integer i = from; i <= to; ++i) {
    lua_pushinteger(state, static_cast<unsigned char>(text[static_cast<size_t>(i - 1)]));
  }
  return n;
}

// What Lua's own format() shows of these is no address.
bool is_printable(lua_State* state, int index) {
  const int type = lua_type(state, index);
  return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
}

bool shows_address(std::string_view form) {
  for (size_t at = form.find('%'); at < form.size(); at = form.find('%', at + 1)) {
    at = form.find_first_not_of("-+ #0123456789.", at + 1);
    if (at == std::string_view::npos) return false;
    if (form[at] == 'p') return true;
  }
  return false;
}

// Upvalue: Lua's own.
int format(lua_State* state) {
  const auto form = text_at(state, 1);
  spend_on(state, form);
  if (shows_address(form)) luaL_error(state, "format: %%p is not offered");
  const int n = lua_gettop(state);
  spend(state, static_cast<uint64_t>(n));
  for (int i = 2; i <= n; ++i) {
    if (!is_printable(state, i)) {
      luaL_error(state, "format: argument %d is a %s", i, std::string(type_name(state, i)).c_str());
    }
  }
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_insert(state, 1);
  lua_call(state, n, 1);
  return 1;
}

// Lua's own functions that spend only the memory of their answer.
void take_from_lua(lua_State* state) {
  luaL_requiref(state, LUA_STRLIBNAME, luaopen_string, 0);
  for (const char* name : {"char", "len", "lower", "reverse", "sub", "upper"}) {
    lua_getfield(state, -1, name);
    lua_setfield(state, -3, name);
  }
  lua_getfield(state, -1, "format");
  lua_pushcclosure(state, format, 1);
  lua_setfield(state, -3, "format");
  lua_pop(state, 1);
}

// ("text"):upper() and no more: Lua's own would also compute with text as with numbers.
void set_methods(lua_State* state) {
  lua_pushliteral(state, "");
  lua_createtable(state, 0, 1);
  lua_pushvalue(state, -3);
  lua_setfield(state, -2, "__index");
  lua_setmetatable(state, -2);
  lua_pop(state, 1);
}

}  // namespace

void open_strings(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {{"byte", bytes},      {"find", find},   {"rep", repeat},
                                            {"replace", replace}, {"split", split}, {"trim", trim},
                                            {nullptr, nullptr}};
  luaL_newlib(state, kFunctions);
  take_from_lua(state);
  set_methods(state);
  make_read_only(state);
  lua_setfield(state, -2, "string");
}

void open_numbers(lua_State* state) {
  luaL_requiref(state, LUA_MATHLIBNAME, luaopen_math, 0);
  lua_newtable(state);
  // Exact on every machine, which sin, exp and log are not.
  for (const char* name : {"abs", "ceil", "floor", "fmod", "huge", "max", "maxinteger", "min",
                           "mininteger", "modf", "pi", "sqrt", "tointeger", "type", "ult"}) {
    lua_getfield(state, -2, name);
    lua_setfield(state, -2, name);
  }
  lua_remove(state, -2);
  make_read_only(state);
  lua_setfield(state, -2, "math");
}

}  // namespace entente::lua
