#include "gateway/commands/line_editor.h"

#include <editline/readline.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace entente {
namespace {

constexpr int kLinesKept = 1'000;

}  // namespace

LineEditor::LineEditor(std::filesystem::path history)
    : history_(std::move(history)), interactive_(::isatty(STDIN_FILENO) == 1) {
  if (!interactive_) return;
  using_history();
  stifle_history(kLinesKept);
  read_history(history_.c_str());
}

// Statements may hold secrets: nobody else reads the file.
LineEditor::~LineEditor() {
  if (!interactive_ || history_length == 0) return;
  const mode_t before = ::umask(077);
  write_history(history_.c_str());
  ::umask(before);
}

std::optional<std::string> LineEditor::line(const std::string& prompt) {
  std::string out;
  if (!interactive_) {
    return std::getline(std::cin, out) ? std::optional(out) : std::nullopt;
  }
  char* typed = readline(prompt.c_str());
  if (typed == nullptr) return std::nullopt;
  out = typed;
  std::free(typed);
  if (!out.empty()) add_history(out.c_str());
  return out;
}

}  // namespace entente
