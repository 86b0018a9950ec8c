#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "conflict/handler.h"
#include "conflict/lua/meter.h"

struct lua_State;

namespace entente::lua {

// A script and what one call of it may use.
struct Program {
  std::string name;  // in messages: "handlers/profile.lua"
  std::string text;
  uint64_t instructions = 0;
  uint64_t memory_bytes = 0;
};

// One Lua state with one script in it. The script runs anew for each conflict, in an empty
// environment, so that nothing is left from one call to the next.
//
// Threads: one at a time.
class Sandbox {
 public:
  // Runs the script once: a syntax error, or one at its top level, is found here. `program`
  // outlives the sandbox.
  static Result<std::unique_ptr<Sandbox>> open(const Program& program);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  Result<Decision> decide(const Conflict& conflict);
  // True after a call that failed or took much memory: start the next one in a fresh sandbox, so
  // that its budget does not depend on this one.
  bool worn() const { return worn_; }

 private:
  explicit Sandbox(const Program& program) : program_(program) {}
  Result<void> load();
  // Runs `body` with `job` under the budget. What it raised is the error.
  Result<void> run(int (*body)(lua_State*), void* job);
  Error failure();
  void collect();

  const Program& program_;
  Meter meter_;
  lua_State* state_ = nullptr;
  int kilobytes_at_rest_ = 0;
  bool worn_ = false;
};

}  // namespace entente::lua
