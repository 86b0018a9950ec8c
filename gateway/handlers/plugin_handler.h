#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "conflict/handler.h"
#include "gateway/handlers/plugin_file.h"

namespace entente {

// What time it is; tests bring their own.
using SteadyNow = std::function<std::chrono::steady_clock::time_point()>;

struct PluginOptions {
  std::string config;                    // JSON text
  uint64_t memory = 256ull << 20;        // isolated: bytes
  std::chrono::milliseconds time{1000};  // isolated: for each call
  // isolated: the program that is started with `handler-host`; this one itself.
  std::filesystem::path host = "/proc/self/exe";
  SteadyNow now = std::chrono::steady_clock::now;
};

// A plug-in in a process of its own that can compute and nothing else (confinement.h). When it
// crashes, answers late or lies, the process is killed and started again by a later call: after
// 100 ms, twice as long after each further failure, at most 30 s; until then calls fail at once, so
// that the stream of changes is not held up.
//
// Threads: any; one call at a time, the others wait.
// Errors:  of isolated_plugin(): it cannot be loaded or opened, its ABI is too new. Of decide(), by
//          tag: "declined", "failed", "stopped" (it is not started again yet).
Result<std::shared_ptr<Handler>> isolated_plugin(PluginFile file, PluginOptions options);

// A plug-in inside this process: as fast as a call, and able to do anything to it.
Result<std::shared_ptr<Handler>> trusted_plugin(PluginFile file, const PluginOptions& options);

}  // namespace entente
