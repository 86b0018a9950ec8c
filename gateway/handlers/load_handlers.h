#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "conflict/policy.h"

namespace entente {

// Makes one handler from its source. The errors' texts name the file.
Result<std::shared_ptr<const Handler>> make_bare_handler(
    const HandlerSource& source, const std::filesystem::path& host = "/proc/self/exe");
// … behind its memory and the check of its answers.
Result<std::shared_ptr<const Handler>> make_handler(
    const HandlerSource& source, const std::filesystem::path& host = "/proc/self/exe");

struct HandlerProblem {
  std::string handler;  // its name
  std::string text;
};

// Makes every handler that the rules name and puts it into every policy that asks for it. What is
// returned are problems of the file: with any of them the gateway must not start.
// `host` is what isolated plug-ins are run by. Starts their processes: call it on a thread that
// lives as long as the handlers.
std::vector<HandlerProblem> load_handlers(ConflictRules& rules,
                                          const std::filesystem::path& host = "/proc/self/exe");

}  // namespace entente
