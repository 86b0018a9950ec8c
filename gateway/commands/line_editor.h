#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace entente {

// Lines from standard input: from a terminal with editing and a history (libedit) that outlives the
// program, otherwise as they come. One at a time.
class LineEditor {
 public:
  // `history`: its file, made when something is typed.
  explicit LineEditor(std::filesystem::path history);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  bool interactive() const { return interactive_; }
  // Nothing at the end of the input.
  std::optional<std::string> line(const std::string& prompt);

 private:
  std::filesystem::path history_;
  bool interactive_ = false;
};

}  // namespace entente
