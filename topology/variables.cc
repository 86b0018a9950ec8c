#include "topology/variables.h"

#include <algorithm>

#include "conflict/result.h"
#include "topology/utf8.h"

namespace entente {
namespace {

constexpr size_t kLongestValue = 4096;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_variable_name(std::string_view name) {
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

bool is_line_of_text(std::string_view value) {
  return value.size() <= kLongestValue && is_utf8(value) &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; });
}

// `inside` is what stands between `${` and `}`.
Result<std::string> value_of(std::string_view inside, const Environment& environment) {
  const size_t split = inside.find(":-");
  const std::string name(inside.substr(0, split));
  if (!is_variable_name(name)) {
    return fail(Code::kInvalid, in_quotes(name) +
                                    " is not the name of a variable: write ${NAME} or "
                                    "${NAME:-default}");
  }
  const auto value = environment ? environment(name) : std::nullopt;
  if (value && !is_line_of_text(*value)) {
    return fail(Code::kInvalid, "the variable " + name + " holds more than one line of text");
  }
  if (value && !value->empty()) return *value;
  if (split != std::string_view::npos) return std::string(inside.substr(split + 2));
  return fail(Code::kInvalid,
              "the variable " + name + " is not set: set it, or write ${" + name + ":-default}");
}

Result<std::string> expand(std::string_view text, const Environment& environment) {
  std::string out;
  while (true) {
    const size_t start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) return out;
    text.remove_prefix(start + 2);
    const size_t end = text.find('}');
    if (end == std::string_view::npos) return fail(Code::kInvalid, "`${` without its `}`");
    auto value = value_of(text.substr(0, end), environment);
    if (!value) return value;
    out += *value;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

void expand_variables(Node& node, const Environment& environment, Problems& problems) {
  for (auto& item : node.items) expand_variables(item, environment, problems);
  for (auto& entry : node.entries) expand_variables(entry.value, environment, problems);
  if (node.kind != Node::Kind::kText || node.text.find("${") == std::string::npos) return;
  auto text = expand(node.text, environment);
  if (!text) {
    problems.add(node.place, text.error().text);
    node.kind = Node::Kind::kBroken;
    return;
  }
  node.text = std::move(*text);
  node.plain = true;  // quotes around a variable protect its braces, and say nothing about its type
}

}  // namespace entente
