#include "conflict/merge.h"

#include <algorithm>
#include <charconv>

namespace entente {
namespace {

bool before(const Value& a, const Value& b) { return order(a, b) < 0; }

using Values = std::vector<const Value*>;

bool before_pointed(const Value* a, const Value* b) { return before(*a, *b); }

Values without_nulls(std::span<const Value> values) {
  Values rest;
  for (const Value& v : values) {
    if (!std::holds_alternative<Null>(v)) rest.push_back(&v);
  }
  return rest;
}

std::string double_text(double d) {
  char text[32];
  std::string digits(text, std::to_chars(text, text + sizeof text, d).ptr);
  const bool whole = digits.find_first_not_of("-0123456789") == std::string::npos;
  return whole ? digits + ".0" : digits;
}

// How a value reads; `made` holds the text of one that is no text.
std::string_view text_of(const Value& v, std::string& made) {
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  if (const auto* i = std::get_if<int64_t>(&v)) made = std::to_string(*i);
  if (const auto* d = std::get_if<double>(&v)) made = double_text(*d);
  return made;
}

bool all_identical(const Values& values) {
  return std::ranges::all_of(values,
                             [&](const Value* v) { return identical(*v, *values.front()); });
}

bool any_blob(const Values& values) {
  return std::ranges::any_of(values,
                             [](const Value* v) { return std::holds_alternative<Blob>(*v); });
}

bool read_alike(const std::vector<std::string_view>& texts) {
  return std::ranges::all_of(texts, [&](const auto& text) { return text == texts.front(); });
}

// Sorted and distinct. What was joined before is taken apart again: otherwise every conflict would
// double the value.
std::vector<std::string_view> parts_of(const std::vector<std::string_view>& texts,
                                       std::string_view separator) {
  std::vector<std::string_view> parts;
  for (std::string_view rest : texts) {
    size_t at = separator.empty() ? std::string_view::npos : rest.find(separator);
    for (; at != std::string_view::npos; at = rest.find(separator)) {
      parts.push_back(rest.substr(0, at));
      rest.remove_prefix(at + separator.size());
    }
    parts.push_back(rest);
  }
  std::ranges::sort(parts);
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

std::string join(const std::vector<std::string_view>& parts, std::string_view separator) {
  std::string joined;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) joined += separator;
    joined += parts[i];
  }
  return joined;
}

}  // namespace

Value merge_concat(std::span<const Value> values, std::string_view separator) {
  const auto rest = without_nulls(values);
  if (rest.empty()) return Null{};
  if (all_identical(rest) || any_blob(rest)) return *rest.back();
  std::vector<std::string> made(rest.size());
  std::vector<std::string_view> texts;
  for (size_t i = 0; i < rest.size(); ++i) texts.push_back(text_of(*rest[i], made[i]));
  if (read_alike(texts)) return **std::ranges::min_element(rest, before_pointed);
  return join(parts_of(texts, separator), separator);
}

Value merge_min(std::span<const Value> values) {
  const auto rest = without_nulls(values);
  return rest.empty() ? Null{} : **std::ranges::min_element(rest, before_pointed);
}

Value merge_max(std::span<const Value> values) {
  const auto rest = without_nulls(values);
  return rest.empty() ? Null{} : **std::ranges::max_element(rest, before_pointed);
}

}  // namespace entente
