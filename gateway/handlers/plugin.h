#pragma once

#include <memory>
#include <string_view>

#include "conflict/entente_handler.h"
#include "conflict/handler.h"

namespace entente {

// A shared object that was loaded into this process, and what its open() left behind.
//
// Threads: one call at a time.
// Errors:  by their tag: "declined": it called fail(); "failed": it answered nothing or nonsense,
// or
//          an exception left it.
class Plugin {
 public:
  // Runs the constructors of the shared object. `fd` stays open while it is loaded: the loader
  // knows objects by their path.
  static Result<std::unique_ptr<Plugin>> load(int fd);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Call it once, before decide().
  Result<void> open(std::string_view config);
  Result<Decision> decide(const Conflict& conflict) const;

 private:
  explicit Plugin(void* library) : library_(library) {}

  void* library_;
  const entente_handler* (*entry_)() = nullptr;
  const entente_handler* handler_ = nullptr;
  void* self_ = nullptr;
  bool opened_ = false;
};

}  // namespace entente
