#include "conflict/lua/sandbox.h"

#include <lua.hpp>

#include "conflict/lua/library.h"
#include "conflict/lua/values.h"

namespace entente::lua {
namespace {

constexpr int kGarbageKilobytes = 128;      // collected after this much
constexpr int64_t kHeavyBytes = 256 << 10;  // a call that took this much wears its state out

constexpr size_t kLongestMessage = 1000;  // bytes

// Fields of the registry.
constexpr const char* kChunk = "chunk";              // the compiled script
constexpr const char* kEnvironment = "environment";  // the metatable of each call's environment

void open_libraries(lua_State* state) {
  lua_newtable(state);
  open_values(state);
  open_basics(state);
  open_strings(state);
  open_tables(state);
  open_numbers(state);
  open_json(state);
  open_merges(state);
  lua_createtable(state, 0, 1);
  lua_insert(state, -2);
  lua_setfield(state, -2, "__index");
  lua_setfield(state, LUA_REGISTRYINDEX, kEnvironment);
}

int prepare(lua_State* state) {
  const auto& program = *static_cast<const Program*>(lua_touserdata(state, 1));
  open_libraries(state);
  const std::string name = "@" + program.name;
  const int loaded =
      luaL_loadbufferx(state, program.text.data(), program.text.size(), name.c_str(), "t");
  if (loaded != LUA_OK) return lua_error(state);
  lua_setfield(state, LUA_REGISTRYINDEX, kChunk);
  return 0;
}

// Runs the script in an environment of its own and leaves its function resolve on the stack.
void push_resolve(lua_State* state) {
  lua_newtable(state);
  lua_getfield(state, LUA_REGISTRYINDEX, kEnvironment);
  lua_setmetatable(state, -2);
  lua_getfield(state, LUA_REGISTRYINDEX, kChunk);
  lua_pushvalue(state, -2);
  if (!lua_setupvalue(state, -2, 1)) lua_pop(state, 1);  // a script that names nothing
  lua_call(state, 0, 0);
  lua_pushliteral(state, "resolve");
  lua_rawget(state, -2);
  if (!lua_isfunction(state, -1)) {
    luaL_error(state, "the script does not define function resolve(conflict)");
  }
}

int try_script(lua_State* state) {
  push_resolve(state);
  return 0;
}

struct Job {
  const Conflict* conflict;
  Decision* decision;
};

int resolve(lua_State* state) {
  const auto& job = *static_cast<const Job*>(lua_touserdata(state, 1));
  push_resolve(state);
  push(state, *job.conflict);
  lua_call(state, 1, 1);
  *job.decision = to_decision(state, -1);
  return 0;
}

// The error value on top of the stack, after the script's name.
std::string said(lua_State* state, const std::string& name) {
  size_t size = 0;
  if (lua_type(state, -1) != LUA_TSTRING) return name + ": it raised an error that is not text";
  const char* text = lua_tolstring(state, -1, &size);
  std::string out(text, std::min(size, kLongestMessage));
  return out.starts_with(name + ":") ? out : name + ": " + out;
}

bool take_declined(lua_State* state) {
  const bool declined = lua_getfield(state, LUA_REGISTRYINDEX, kDeclined) == LUA_TBOOLEAN;
  lua_pop(state, 1);
  return declined;
}

}  // namespace

Result<std::unique_ptr<Sandbox>> Sandbox::open(const Program& program) {
  std::unique_ptr<Sandbox> out(new Sandbox(program));
  if (auto loaded = out->load(); !loaded) return tl::unexpected(loaded.error());
  return out;
}

Sandbox::~Sandbox() {
  if (state_) lua_close(state_);
}

Result<void> Sandbox::load() {
  state_ = lua_newstate(&Meter::allocate, &meter_);
  if (!state_) return fail(Code::kExhausted, "there is no memory for a Lua state");
  lua_gc(state_, LUA_GCSTOP);
  lua_pushcfunction(state_, prepare);
  lua_pushlightuserdata(state_, const_cast<Program*>(&program_));
  if (lua_pcall(state_, 1, 0, 0) != LUA_OK)
    return fail(Code::kInvalid, said(state_, program_.name));
  if (auto tried = run(try_script, nullptr); !tried) return tried;
  lua_gc(state_, LUA_GCCOLLECT);
  kilobytes_at_rest_ = lua_gc(state_, LUA_GCCOUNT);
  return {};
}

Result<Decision> Sandbox::decide(const Conflict& conflict) {
  Decision decision;
  Job job{&conflict, &decision};
  if (auto ran = run(resolve, &job); !ran) return tl::unexpected(ran.error());
  collect();
  return decision;
}

Result<void> Sandbox::run(int (*body)(lua_State*), void* job) {
  lua_settop(state_, 0);
  lua_pushcfunction(state_, body);
  lua_pushlightuserdata(state_, job);
  meter_.start(program_.instructions, program_.memory_bytes);
  lua_sethook(state_, &Meter::on_count, LUA_MASKCOUNT, Meter::kStep);
  const int status = lua_pcall(state_, 1, 0, 0);
  lua_sethook(state_, nullptr, 0, 0);
  meter_.stop();
  worn_ = status != LUA_OK || meter_.memory() > kHeavyBytes;
  if (status != LUA_OK) return tl::unexpected(failure());
  return {};
}

Error Sandbox::failure() {
  switch (meter_.exhausted()) {
    case Meter::Exhausted::kInstructions:
      return {Code::kInvalid,
              program_.name + ": it used up its budget of " +
                  std::to_string(program_.instructions) + " instructions",
              "budget"};
    case Meter::Exhausted::kMemory:
      return {Code::kInvalid,
              program_.name + ": it used up its budget of " +
                  std::to_string(program_.memory_bytes) + " bytes of memory",
              "budget"};
    case Meter::Exhausted::kNothing:
      break;
  }
  return {Code::kInvalid, said(state_, program_.name),
          take_declined(state_) ? "declined" : "failed"};
}

void Sandbox::collect() {
  if (worn_ || lua_gc(state_, LUA_GCCOUNT) < kilobytes_at_rest_ + kGarbageKilobytes) return;
  lua_gc(state_, LUA_GCCOLLECT);
}

}  // namespace entente::lua
