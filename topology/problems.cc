#include "topology/problems.h"

#include <algorithm>
#include <utility>

namespace entente {
namespace {

constexpr size_t kLongestQuote = 60;
constexpr size_t kLongestName = 64;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The optimal string alignment distance.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, row);
  }
  return above[b.size()];
}

}  // namespace

void Problems::add(FilePlace place, std::string text, std::string did_you_mean) {
  if (full()) {
    ++more_;
    return;
  }
  list_.push_back({place.line, place.column, std::move(text), std::move(did_you_mean)});
}

std::vector<Problem> Problems::take() {
  std::stable_sort(list_.begin(), list_.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (more_ > 0) {
    list_.push_back({0, 0, "and " + std::to_string(more_) + " more: fix these first", ""});
  }
  return std::move(list_);
}

std::string in_quotes(std::string_view text) {
  std::string out = "`";
  for (size_t i = 0; i < text.size(); ++i) {
    if (i >= kLongestQuote && !continues_character(text[i])) {
      out += "…";
      break;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1_control =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1_control) ++i;
    out += byte < 0x20 || byte == 0x7F || c1_control ? '?' : text[i];
  }
  return out + "`";
}

std::string alternatives(std::span<const std::string> names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += names[i];
  }
  return out;
}

std::string nearest(std::string_view text, std::span<const std::string> names) {
  if (text.size() > kLongestName) return "";
  std::string best;
  size_t least = std::max<size_t>(1, text.size() / 3) + 1;
  for (const auto& name : names) {
    const size_t d = distance(text, name);
    if (d < least) {
      least = d;
      best = name;
    }
  }
  return best;
}

}  // namespace entente
