#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "gateway/commands/output.h"

namespace entente {

struct SqlShellOptions {
  std::string url;
  std::string command;  // run it and end; "": read lines
  OutputFormat format = OutputFormat::kTable;
};

// Where lines come from. Nothing at the end.
struct LineSource {
  std::function<std::optional<std::string>(const std::string& prompt)> line;
  bool interactive = false;  // a person: greet, prompt, and go on after an error
};

// `entente sql [URL]`: SQL and dot-commands, until the input ends. Answers the exit code: a script
// stops at its first error.
int sql_shell(const SqlShellOptions& options, const LineSource& source, std::ostream& out,
              std::ostream& err);

}  // namespace entente
