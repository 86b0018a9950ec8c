#include "conflict/merge.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace entente {
namespace {

bool before(const Value& a, const Value& b) { return order(a, b) < 0; }

std::vector<Value> without_nulls(std::span<const Value> values) {
  std::vector<Value> rest;
  std::ranges::copy_if(values, std::back_inserter(rest),
                       [](const Value& v) { return !std::holds_alternative<Null>(v); });
  return rest;
}

std::string double_text(double d) {
  char text[32];
  std::string digits(text, std::to_chars(text, text + sizeof text, d).ptr);
  const bool whole = digits.find_first_not_of("-0123456789") == std::string::npos;
  return whole ? digits + ".0" : digits;
}

std::string text_of(const Value& v) {
  if (const auto* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&v)) return double_text(*d);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return {};
}

bool all_identical(const std::vector<Value>& values) {
  return std::ranges::all_of(values, [&](const Value& v) { return identical(v, values.front()); });
}

bool any_blob(const std::vector<Value>& values) {
  return std::ranges::any_of(values,
                             [](const Value& v) { return std::holds_alternative<Blob>(v); });
}

// Each distinct text with the first of the values that read so.
std::map<std::string, Value> by_text(const std::vector<Value>& values) {
  std::map<std::string, Value> texts;
  for (const Value& v : values) {
    const auto [it, fresh] = texts.try_emplace(text_of(v), v);
    if (!fresh && before(v, it->second)) it->second = v;
  }
  return texts;
}

// What was joined before is taken apart again: otherwise every conflict would double the value.
std::set<std::string> parts_of(const std::map<std::string, Value>& texts,
                               std::string_view separator) {
  std::set<std::string> parts;
  for (const auto& [text, value] : texts) {
    std::string_view rest = text;
    size_t at = separator.empty() ? std::string_view::npos : rest.find(separator);
    for (; at != std::string_view::npos; at = rest.find(separator)) {
      parts.emplace(rest.substr(0, at));
      rest.remove_prefix(at + separator.size());
    }
    parts.emplace(rest);
  }
  return parts;
}

std::string join(const std::set<std::string>& parts, std::string_view separator) {
  std::string joined;
  for (const auto& part : parts) {
    if (&part != &*parts.begin()) joined += separator;
    joined += part;
  }
  return joined;
}

}  // namespace

Value merge_concat(std::span<const Value> values, std::string_view separator) {
  const auto rest = without_nulls(values);
  if (rest.empty()) return Null{};
  if (all_identical(rest) || any_blob(rest)) return rest.back();
  const auto texts = by_text(rest);
  if (texts.size() == 1) return texts.begin()->second;
  return join(parts_of(texts, separator), separator);
}

Value merge_min(std::span<const Value> values) {
  const auto rest = without_nulls(values);
  return rest.empty() ? Null{} : *std::ranges::min_element(rest, before);
}

Value merge_max(std::span<const Value> values) {
  const auto rest = without_nulls(values);
  return rest.empty() ? Null{} : *std::ranges::max_element(rest, before);
}

}  // namespace entente
