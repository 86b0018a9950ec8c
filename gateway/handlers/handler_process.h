#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "gateway/handlers/frames.h"
#include "gateway/handlers/plugin_file.h"

namespace entente {

// One running `entente handler-host` as its gateway sees it; killed with the object.
//
// Threads: one at a time. If the thread that started it ends, so does the process.
class HandlerProcess {
 public:
  // Starts `program handler-host` with the plug-in, and waits until the
  // plug-in is open.
  static Result<std::unique_ptr<HandlerProcess>> start(const std::filesystem::path& program,
                                                       const PluginFile& plugin,
                                                       const Beginning& beginning,
                                                       std::chrono::milliseconds patience);
  ~HandlerProcess();
  HandlerProcess(const HandlerProcess&) = delete;
  HandlerProcess& operator=(const HandlerProcess&) = delete;

  // The outer error: the process is of no use any more, and why. kTooLarge: nothing was asked.
  Result<Result<Decision>> ask(std::string_view request, std::chrono::milliseconds patience);

 private:
  HandlerProcess(pid_t pid, Descriptor socket) : pid_(pid), socket_(std::move(socket)) {}
  // Ends it; says how it ended by itself, if it did.
  Error post_mortem(const Error& error);

  pid_t pid_;
  Descriptor socket_;
};

}  // namespace entente
