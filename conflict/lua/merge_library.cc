#include <algorithm>
#include <lua.hpp>
#include <set>
#include <string>
#include <vector>

#include "conflict/lua/library.h"
#include "conflict/lua/meter.h"
#include "conflict/lua/values.h"
#include "conflict/merge.h"

// The built-in merges, for scripts: values of columns in, a value of a column out.
namespace entente::lua {
namespace {

using Elements = std::vector<std::string>;

uint64_t size_of(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->size();
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes.size();
  return sizeof(int64_t);
}

// A merge looks at each byte a few times, and makes a few copies.
Value argument(lua_State* state, int index) {
  Value value = lua_isnoneornil(state, index) ? Value() : to_value(state, index, "an argument");
  spend(state, 1 + size_of(value));
  spend_memory(state, 4 * size_of(value));
  return value;
}

Elements elements_at(lua_State* state, int index) {
  const auto elements = set_elements(argument(state, index));
  if (!elements) luaL_argerror(state, index, "it is not a JSON array");
  spend(state, elements->size());
  return *elements;
}

// merge.union(a, b, …): the elements of all these JSON arrays, once each, in the order they come.
int union_of(lua_State* state) {
  std::set<std::string> seen;
  Elements out;
  for (int i = 1; i <= lua_gettop(state); ++i) {
    for (auto& element : elements_at(state, i)) {
      if (seen.insert(element).second) out.push_back(std::move(element));
    }
  }
  push(state, set_value(out));
  return 1;
}

// merge.set(base, a, b, …): the union, less what one of them removed from the base.
int set_of(lua_State* state) {
  const Elements base = elements_at(state, 1);
  std::set<std::string> seen, removed;
  std::vector<Elements> sides;
  for (int i = 2; i <= lua_gettop(state); ++i) {
    sides.push_back(elements_at(state, i));
    const std::set<std::string> here(sides.back().begin(), sides.back().end());
    for (const auto& element : base) {
      if (!here.contains(element)) removed.insert(element);
    }
  }
  Elements out;
  for (const auto& side : sides) {
    for (const auto& element : side) {
      if (!removed.contains(element) && seen.insert(element).second) out.push_back(element);
    }
  }
  push(state, set_value(out));
  return 1;
}

// merge.json(base, earlier, later); base may be nil.
int json_of(lua_State* state) {
  const Value base = argument(state, 1), earlier = argument(state, 2), later = argument(state, 3);
  push(state, merge_json(lua_isnil(state, 1) ? nullptr : &base, earlier, later));
  return 1;
}

// merge.text(base, earlier, later, markers); base and markers may be nil.
int text_of(lua_State* state) {
  const Value base = argument(state, 1), earlier = argument(state, 2), later = argument(state, 3);
  const bool markers = lua_toboolean(state, 4);
  push(state, merge_text(lua_isnil(state, 1) ? nullptr : &base, earlier, later, markers));
  return 1;
}

}  // namespace

void open_merges(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {{"json", json_of},
                                            {"set", set_of},
                                            {"text", text_of},
                                            {"union", union_of},
                                            {nullptr, nullptr}};
  luaL_newlib(state, kFunctions);
  make_read_only(state);
  lua_setfield(state, -2, "merge");
}

}  // namespace entente::lua
