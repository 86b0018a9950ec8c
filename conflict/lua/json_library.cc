#include <cmath>
#include <cstring>
#include <lua.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "conflict/lua/library.h"
#include "conflict/lua/meter.h"
#include "conflict/lua/values.h"

// json.decode(text) and json.encode(value). Objects and arrays are tables; an array is marked, so
// that an empty one stays an array. null is `null`. Whole numbers are integers and exact; one that
// has more than 64 bits is refused. Members are written in the order of their names, without
// spaces.
namespace entente::lua {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;
constexpr size_t kBytesPerInstruction = 8;
constexpr uint64_t kNodeBytes = 64;           // about what nlohmann takes for one value
constexpr const char* kArray = "json.array";  // the names of the marks in the registry
constexpr const char* kObject = "json.object";

// Builds the Lua value of a JSON text on the stack, as nlohmann reads it.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(lua_State* state) : state_(state) {}
  const std::string& problem() const { return problem_; }

  bool null() override { return push_null(state_), add(); }
  bool boolean(bool v) override { return lua_pushboolean(state_, v), add(); }
  bool number_integer(number_integer_t v) override { return lua_pushinteger(state_, v), add(); }
  bool number_unsigned(number_unsigned_t v) override {
    if (v > INT64_MAX) return refuse("a whole number has more than 64 bits");
    return number_integer(static_cast<number_integer_t>(v));
  }
  bool number_float(number_float_t v, const string_t& text) override {
    if (text.find_first_of(".eE") == std::string::npos) {
      return refuse("a whole number has more than 64 bits");
    }
    return lua_pushnumber(state_, v), add();
  }
  bool string(string_t& v) override { return push(state_, std::string_view(v)), add(); }
  bool binary(binary_t&) override { return refuse("binary"); }
  bool start_object(size_t) override { return open(kObject); }
  bool key(string_t& name) override { return push(state_, std::string_view(name)), true; }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(kArray); }
  bool end_array() override { return close(); }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("it is not JSON at byte " + std::to_string(at));
  }

 private:
  bool refuse(std::string why) {
    problem_ = std::move(why);
    return false;
  }

  bool open(const char* mark) {
    if (items_.size() == kDeepest) return refuse("it is nested too deeply");
    luaL_checkstack(state_, 4, "json");
    lua_newtable(state_);
    luaL_setmetatable(state_, mark);
    items_.push_back(mark == kArray ? 0 : -1);
    return true;
  }

  bool close() {
    items_.pop_back();
    return add();
  }

  // Puts the value on top of the stack where it belongs.
  bool add() {
    spend(state_, 1);
    if (items_.empty()) return true;
    if (items_.back() < 0) {
      lua_rawset(state_, -3);
    } else {
      lua_rawseti(state_, -2, ++items_.back());
    }
    return true;
  }

  lua_State* state_;
  std::vector<lua_Integer> items_;  // per open value: items of an array so far; -1 for an object
  std::string problem_;
};

int decode(lua_State* state) {
  size_t size = 0;
  const char* text = luaL_checklstring(state, 1, &size);
  spend(state, size / kBytesPerInstruction);
  spend_memory(state, size);
  // The parser takes a NUL for the end.
  if (std::memchr(text, 0, size)) luaL_error(state, "json.decode: there is a NUL in it");
  Builder builder(state);
  if (!json::sax_parse(text, text + size, &builder)) {
    luaL_error(state, "json.decode: %s", builder.problem().c_str());
  }
  return 1;
}

json encoded(lua_State* state, int depth);

bool is_marked(lua_State* state, int index, const char* mark) {
  if (!lua_getmetatable(state, index)) return false;
  luaL_getmetatable(state, mark);
  const bool same = lua_rawequal(state, -1, -2);
  lua_pop(state, 2);
  return same;
}

json encoded_array(lua_State* state, int depth) {
  json out = json::array();
  const auto n = static_cast<lua_Integer>(lua_rawlen(state, -1));
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(state, -1, i);
    out.push_back(encoded(state, depth + 1));
    lua_pop(state, 1);
  }
  return out;
}

json encoded_object(lua_State* state, int depth) {
  json out = json::object();
  lua_pushnil(state);
  while (lua_next(state, -2)) {
    if (lua_type(state, -2) != LUA_TSTRING) {
      luaL_error(state, "json.encode: a table has names and numbers as keys");
    }
    size_t size = 0;
    const char* name = lua_tolstring(state, -2, &size);
    spend_memory(state, size);
    std::string key(name, size);
    out[std::move(key)] = encoded(state, depth + 1);
    lua_pop(state, 1);
  }
  return out;
}

json encoded_table(lua_State* state, int depth) {
  if (depth > kDeepest) luaL_error(state, "json.encode: it is nested too deeply");
  luaL_checkstack(state, 8, "json");
  lua_pushnil(state);
  const bool empty = lua_next(state, -2) == 0;
  if (!empty) lua_pop(state, 2);
  const bool array = is_marked(state, -1, kArray) ||
                     (!is_marked(state, -1, kObject) && (empty || lua_rawlen(state, -1) > 0));
  return array ? encoded_array(state, depth) : encoded_object(state, depth);
}

json encoded_number(lua_State* state) {
  if (lua_isinteger(state, -1)) return static_cast<int64_t>(lua_tointeger(state, -1));
  const double v = lua_tonumber(state, -1);
  if (!std::isfinite(v)) luaL_error(state, "json.encode: a number is not finite");
  return v;
}

// The value on top of the stack.
json encoded(lua_State* state, int depth) {
  spend(state, 1);
  spend_memory(state, kNodeBytes);
  if (is_null(state, -1)) return nullptr;
  switch (lua_type(state, -1)) {
    case LUA_TBOOLEAN:
      return lua_toboolean(state, -1) != 0;
    case LUA_TNUMBER:
      return encoded_number(state);
    case LUA_TSTRING: {
      size_t size = 0;
      const char* text = lua_tolstring(state, -1, &size);
      spend_memory(state, size);
      return std::string(text, size);
    }
    case LUA_TTABLE:
      return encoded_table(state, depth);
    default:
      luaL_error(state, "json.encode: a %s has no JSON", std::string(type_name(state, -1)).c_str());
      return nullptr;
  }
}

int encode(lua_State* state) {
  luaL_checkany(state, 1);
  lua_settop(state, 1);
  const json value = encoded(state, 0);
  // Bytes that are not UTF-8 become U+FFFD.
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  spend(state, text.size() / kBytesPerInstruction);
  push(state, std::string_view(text));
  return 1;
}

template <const char* const& kMark>
int mark(lua_State* state) {
  if (lua_isnoneornil(state, 1)) {
    lua_settop(state, 0);
    lua_newtable(state);
  }
  luaL_checktype(state, 1, LUA_TTABLE);
  if (lua_getmetatable(state, 1)) {
    lua_pop(state, 1);
    luaL_argcheck(state, is_marked(state, 1, kArray) || is_marked(state, 1, kObject), 1,
                  "a plain table is expected");
  }
  lua_settop(state, 1);
  luaL_setmetatable(state, kMark);
  return 1;
}

}  // namespace

void open_json(lua_State* state) {
  for (const char* name : {kArray, kObject}) {
    luaL_newmetatable(state, name);
    lua_pop(state, 1);
  }
  static constexpr luaL_Reg kFunctions[] = {{"array", mark<kArray>},
                                            {"decode", decode},
                                            {"encode", encode},
                                            {"object", mark<kObject>},
                                            {nullptr, nullptr}};
  luaL_newlib(state, kFunctions);
  make_read_only(state);
  lua_setfield(state, -2, "json");
}

}  // namespace entente::lua
