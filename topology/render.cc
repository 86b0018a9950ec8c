#include <algorithm>

#include "topology/loader.h"
#include "topology/utf8.h"

namespace entente {
namespace {

constexpr size_t kShownBefore = 60;  // characters of a long line, before the place and in all
constexpr size_t kShown = 100;

std::string_view line_of(std::string_view text, int number) {
  for (int i = 1; i < number; ++i) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  return text.ends_with('\r') ? text.substr(0, text.size() - 1) : text;
}

bool is_printable(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  const bool c1 = first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  return first >= 0x20 && first != 0x7F && !c1;
}

// Takes the first character off `line`, as one cell of a terminal.
std::string take_cell(std::string_view& line) {
  const size_t length = character_length(line);
  const auto character = line.substr(0, length);
  const bool tab = line[0] == '\t';
  line.remove_prefix(std::max<size_t>(1, length));
  if (length > 0 && is_printable(character)) return std::string(character);
  return tab ? " " : "?";
}

std::string excerpt(const Problem& problem, std::string_view yaml) {
  auto line = line_of(yaml, problem.line);
  const size_t at = std::max(problem.column - 1, 0);
  const size_t from = at > kShownBefore ? at - kShownBefore : 0;
  for (size_t i = 0; i < from && !line.empty(); ++i) take_cell(line);
  const std::string gutter = " " + std::to_string(problem.line) + " | ";
  std::string out = gutter;
  for (size_t i = 0; i < kShown && !line.empty(); ++i) out += take_cell(line);
  out += "\n" + std::string(gutter.size() - 2, ' ') + "| " + std::string(at - from, ' ') + "^\n";
  return out;
}

}  // namespace

std::string render(const Problem& problem, std::string_view file, std::string_view yaml) {
  std::string out(file);
  if (problem.line > 0) {
    out += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  }
  out += ": " + problem.text + "\n";
  if (problem.line > 0) out += excerpt(problem, yaml);
  if (!problem.did_you_mean.empty()) out += "  did you mean `" + problem.did_you_mean + "`?\n";
  return out;
}

}  // namespace entente
