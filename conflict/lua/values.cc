#include "conflict/lua/values.h"

#include <cmath>
#include <lua.hpp>

namespace entente::lua {
namespace {

constexpr const char* kBlob = "blob";  // the name of its metatable in the registry

void push_blob(lua_State* state, std::string_view bytes) {
  void* block = lua_newuserdatauv(state, bytes.size(), 0);
  bytes.copy(static_cast<char*>(block), bytes.size());
  luaL_setmetatable(state, kBlob);
}

std::string_view blob_at(lua_State* state, int index) {
  const auto* bytes = static_cast<const char*>(luaL_checkudata(state, index, kBlob));
  return {bytes, lua_rawlen(state, index)};
}

int blob_of_text(lua_State* state) {
  size_t size = 0;
  const char* bytes = luaL_checklstring(state, 1, &size);
  push_blob(state, {bytes, size});
  return 1;
}

int blob_text(lua_State* state) {
  push(state, blob_at(state, 1));
  return 1;
}

int blob_length(lua_State* state) {
  lua_pushinteger(state, static_cast<lua_Integer>(blob_at(state, 1).size()));
  return 1;
}

int blob_equal(lua_State* state) {
  lua_pushboolean(state,
                  is_blob(state, 1) && is_blob(state, 2) && blob_at(state, 1) == blob_at(state, 2));
  return 1;
}

void set_text(lua_State* state, const char* field, std::string_view text) {
  push(state, text);
  lua_setfield(state, -2, field);
}

template <class Columns>
void push_columns(lua_State* state, const Columns& columns) {
  lua_createtable(state, 0, static_cast<int>(columns.size()));
  for (const auto& [column, value] : columns) {
    push(state, std::string_view(column));
    push(state, value);
    lua_rawset(state, -3);
  }
}

std::string hlc_text(Hlc hlc) {
  return std::to_string(hlc.unix_ms()) + "." + std::to_string(hlc.counter());
}

void push_sibling(lua_State* state, const Conflict::Value& sibling) {
  lua_createtable(state, 0, 5);
  set_text(state, "dc", sibling.dc);
  set_text(state, "hlc", hlc_text(sibling.hlc));
  lua_pushinteger(state, static_cast<lua_Integer>(sibling.hlc.unix_ms()));
  lua_setfield(state, -2, "time_ms");
  lua_pushboolean(state, sibling.row == nullptr);
  lua_setfield(state, -2, "deleted");
  if (!sibling.row) return;
  push_columns(state, *sibling.row);
  lua_setfield(state, -2, "row");
}

Row to_row(lua_State* state, int index) {
  if (!lua_istable(state, index)) luaL_error(state, "the answer's row is not a table");
  Row row;
  lua_pushnil(state);
  while (lua_next(state, index)) {
    if (lua_type(state, -2) != LUA_TSTRING) {
      luaL_error(state, "the answer's row has a column whose name is not text");
    }
    size_t size = 0;
    const char* name = lua_tolstring(state, -2, &size);
    const std::string column(name, size);
    row[column] = to_value(state, lua_gettop(state), "column " + column);
    lua_pop(state, 1);
  }
  return row;
}

size_t to_pick(lua_State* state, int index) {
  int whole = 0;
  const lua_Integer pick = lua_tointegerx(state, index, &whole);
  if (!whole || pick < 1) luaL_error(state, "the answer's pick is not the number of a sibling");
  return static_cast<size_t>(pick - 1);
}

// {delete=true} and its like say nothing with any other value.
void demand_true(lua_State* state, int index, std::string_view field) {
  if (lua_isboolean(state, index) && lua_toboolean(state, index)) return;
  luaL_error(state, "the answer's %s is not true", std::string(field).c_str());
}

Decision to_field(lua_State* state, std::string_view field, int index) {
  Decision out;
  if (field == "row") {
    out.kind = Decision::Kind::kRow;
    out.row = to_row(state, index);
  } else if (field == "pick") {
    out.kind = Decision::Kind::kPick;
    out.pick = to_pick(state, index);
  } else if (field == "delete" || field == "keep" || field == "hold") {
    demand_true(state, index, field);
    out.kind = field == "delete" ? Decision::Kind::kDelete
               : field == "keep" ? Decision::Kind::kKeep
                                 : Decision::Kind::kHold;
  } else {
    luaL_error(state, "the answer has a field %s: it is one of row, pick, delete, keep, hold",
               std::string(field).c_str());
  }
  return out;
}

}  // namespace

void open_values(lua_State* state) {
  push_null(state);
  lua_setfield(state, -2, "null");
  lua_pushcfunction(state, blob_of_text);
  lua_setfield(state, -2, "blob");

  luaL_newmetatable(state, kBlob);
  lua_pushcfunction(state, blob_length);
  lua_setfield(state, -2, "__len");
  lua_pushcfunction(state, blob_equal);
  lua_setfield(state, -2, "__eq");
  lua_newtable(state);
  lua_pushcfunction(state, blob_text);
  lua_setfield(state, -2, "text");
  lua_setfield(state, -2, "__index");
  lua_pop(state, 1);
}

void push(lua_State* state, std::string_view text) {
  lua_pushlstring(state, text.data(), text.size());
}

void push_null(lua_State* state) { lua_pushlightuserdata(state, nullptr); }

bool is_null(lua_State* state, int index) {
  return lua_islightuserdata(state, index) && lua_touserdata(state, index) == nullptr;
}

bool is_blob(lua_State* state, int index) { return luaL_testudata(state, index, kBlob) != nullptr; }

std::string_view type_name(lua_State* state, int index) {
  if (is_null(state, index)) return "null";
  if (is_blob(state, index)) return "blob";
  return luaL_typename(state, index);
}

void push(lua_State* state, const Value& value) {
  switch (value.index()) {
    case 0:
      return push_null(state);
    case 1:
      return lua_pushinteger(state, std::get<int64_t>(value));
    case 2:
      return lua_pushnumber(state, std::get<double>(value));
    case 3:
      return push(state, std::string_view(std::get<std::string>(value)));
    default:
      return push_blob(state, std::get<Blob>(value).bytes);
  }
}

Value to_value(lua_State* state, int index, std::string_view what) {
  if (is_null(state, index)) return Null();
  if (is_blob(state, index)) return Blob{std::string(blob_at(state, index))};
  if (lua_isinteger(state, index)) return static_cast<int64_t>(lua_tointeger(state, index));
  if (lua_type(state, index) == LUA_TNUMBER) return lua_tonumber(state, index);
  if (lua_type(state, index) != LUA_TSTRING) {
    luaL_error(state, "%s is a %s, which no column holds", std::string(what).c_str(),
               std::string(type_name(state, index)).c_str());
  }
  size_t size = 0;
  const char* bytes = lua_tolstring(state, index, &size);
  return std::string(bytes, size);
}

void push(lua_State* state, const Conflict& conflict) {
  lua_createtable(state, 0, 6);
  set_text(state, "kind", conflict.kind);
  set_text(state, "table", conflict.table);
  if (!conflict.group.empty()) set_text(state, "column", conflict.group);
  push_columns(state, conflict.key);
  lua_setfield(state, -2, "key");
  if (conflict.base) {
    push_columns(state, *conflict.base);
    lua_setfield(state, -2, "base");
  }
  lua_createtable(state, static_cast<int>(conflict.siblings.size()), 0);
  lua_Integer at = 0;
  for (const auto& sibling : conflict.siblings) {
    push_sibling(state, sibling);
    lua_rawseti(state, -2, ++at);
  }
  lua_setfield(state, -2, "siblings");
}

Decision to_decision(lua_State* state, int index) {
  index = lua_absindex(state, index);
  if (!lua_istable(state, index)) {
    luaL_error(state, "resolve returned a %s instead of an answer like {pick = 1}",
               std::string(type_name(state, index)).c_str());
  }
  lua_pushnil(state);
  if (!lua_next(state, index)) luaL_error(state, "the answer is an empty table");
  if (lua_type(state, -2) != LUA_TSTRING)
    luaL_error(state, "the answer has a field without a name");
  const std::string field = lua_tostring(state, -2);
  Decision out = to_field(state, field, lua_gettop(state));
  lua_pop(state, 1);
  if (lua_next(state, index)) luaL_error(state, "the answer says more than one thing");
  return out;
}

}  // namespace entente::lua
