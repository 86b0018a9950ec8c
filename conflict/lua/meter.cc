#include "conflict/lua/meter.h"

#include <algorithm>
#include <cstdlib>
#include <lua.hpp>

namespace entente::lua {
namespace {

// Bytes that one instruction works through in about the time of another instruction. Text is cheap
// to make large and dear to scan.
constexpr uint64_t kTextBytesPerInstruction = 4096, kOtherBytesPerInstruction = 65536;
// Growing a table moves all of it.
constexpr size_t kLargeBlock = 1024;
constexpr uint64_t kBlockBytesPerInstruction = 32;

bool is_text(size_t kind) { return kind == LUA_TSTRING || kind == LUA_TUSERDATA; }

}  // namespace

void Meter::start(uint64_t instructions, uint64_t memory_bytes) {
  *this = Meter();
  running_ = true;
  instructions_max_ = instructions;
  memory_max_ = static_cast<int64_t>(std::min<uint64_t>(memory_bytes, INT64_MAX / 2));
}

bool Meter::spend(uint64_t instructions) {
  if (!running_) return true;
  if (exhausted_ != Exhausted::kNothing) return false;
  spent_ += std::min(instructions, instructions_max_ + 1);
  if (spent_ <= instructions_max_) return true;
  exhausted_ = Exhausted::kInstructions;
  return false;
}

bool Meter::spend_memory(uint64_t bytes) {
  if (!running_) return true;
  if (exhausted_ != Exhausted::kNothing) return false;
  used_ += static_cast<int64_t>(std::min<uint64_t>(bytes, memory_max_ + 1));
  if (used_ <= memory_max_) return true;
  exhausted_ = Exhausted::kMemory;
  return false;
}

uint64_t Meter::price() const {
  return 1 + largest_text_ / kTextBytesPerInstruction + largest_other_ / kOtherBytesPerInstruction;
}

// For a new block, Lua says its kind in place of its old size.
bool Meter::may_grow(const void* block, size_t old_size, size_t new_size) {
  if (!running_) return true;
  const size_t before = block ? old_size : 0;
  auto& largest = !block && is_text(old_size) ? largest_text_ : largest_other_;
  if (!spend_memory(new_size - before)) return false;
  if (!block && new_size >= kLargeBlock && !spend(new_size / kBlockBytesPerInstruction)) {
    return false;
  }
  largest = std::max(largest, new_size);
  return true;
}

void* Meter::allocate(void* self, void* block, size_t old_size, size_t new_size) {
  auto& meter = *static_cast<Meter*>(self);
  const size_t before = block ? old_size : 0;
  if (new_size == 0) {
    meter.used_ -= static_cast<int64_t>(before);
    std::free(block);
    return nullptr;
  }
  if (new_size <= before) {  // Lua relies on it that this succeeds
    meter.used_ -= static_cast<int64_t>(before - new_size);
    void* smaller = std::realloc(block, new_size);
    return smaller ? smaller : block;
  }
  return meter.may_grow(block, old_size, new_size) ? std::realloc(block, new_size) : nullptr;
}

void Meter::on_count(lua_State* state, lua_Debug*) {
  lua::spend(state, kStep * meter_of(state).price());
}

Meter& meter_of(lua_State* state) {
  void* meter = nullptr;
  lua_getallocf(state, &meter);
  return *static_cast<Meter*>(meter);
}

void spend(lua_State* state, uint64_t instructions) {
  if (!meter_of(state).spend(instructions)) luaL_error(state, "the budget is used up");
}

void spend_memory(lua_State* state, uint64_t bytes) {
  if (!meter_of(state).spend_memory(bytes)) luaL_error(state, "the budget is used up");
}

}  // namespace entente::lua
