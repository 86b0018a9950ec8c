#pragma once

#include <cstddef>
#include <cstdint>

struct lua_State;
struct lua_Debug;

namespace entente::lua {

// What one call of a script may use, and what it has used so far. Counted, not timed, so that
// every replica stops at the same place.
//
// An instruction costs 1, and more while the call holds large objects, because one instruction can
// then work for long (it compares strings of megabytes, copies a long list of arguments). A C
// function that works through its arguments spends for each of them.
// Memory is what the call allocates in total, less what Lua gives back without collecting garbage:
// nothing is collected while a script runs.
//
// Threads: one.
class Meter {
 public:
  enum class Exhausted { kNothing, kInstructions, kMemory };

  void start(uint64_t instructions, uint64_t memory_bytes);
  // From here on nothing is counted or refused.
  void stop() { running_ = false; }

  // False: the budget is used up, now or before.
  bool spend(uint64_t instructions);
  // Memory that Lua does not see.
  bool spend_memory(uint64_t bytes);

  Exhausted exhausted() const { return exhausted_; }
  uint64_t instructions() const { return spent_; }
  int64_t memory() const { return used_; }

  // lua_Alloc; `self` is the meter.
  static void* allocate(void* self, void* block, size_t old_size, size_t new_size);
  // lua_Hook, for every kStep instructions.
  static void on_count(lua_State* state, lua_Debug* where);
  static constexpr int kStep = 100;

 private:
  bool may_grow(const void* block, size_t old_size, size_t new_size);
  uint64_t price() const;  // of one instruction

  bool running_ = false;
  Exhausted exhausted_ = Exhausted::kNothing;
  uint64_t instructions_max_ = 0, spent_ = 0;
  int64_t memory_max_ = 0, used_ = 0;
  size_t largest_text_ = 0, largest_other_ = 0;  // bytes, of this call's objects
};

// The meter of the running state. Raises Lua errors when the budget is used up.
Meter& meter_of(lua_State* state);
void spend(lua_State* state, uint64_t instructions);
void spend_memory(lua_State* state, uint64_t bytes);

}  // namespace entente::lua
