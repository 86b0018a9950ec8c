#include "gateway/commands/output.h"

#include <algorithm>

#include "topology/utf8.h"

namespace entente {
namespace {

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  const bool c1 = first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  return first < 0x20 || first == 0x7F || c1;
}

// Takes the first character off `text`; "" for a byte that begins none.
std::string_view take_character(std::string_view& text) {
  const size_t length = character_length(text);
  const auto out = text.substr(0, length);
  text.remove_prefix(std::max<size_t>(1, length));
  return out;
}

size_t width(std::string_view cell) {
  return std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string escaped(char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  return std::string("\\u00") + kHex[static_cast<unsigned char>(c) >> 4] + kHex[c & 15];
}

template <class Range, class Text>
std::string joined(const Range& items, std::string_view separator, Text text) {
  std::string out;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += separator;
    first = false;
    out += text(item);
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto character = take_character(text);
    if (character.empty() || is_control(character)) {
      out += '?';
    } else {
      out += character;
    }
  }
  return out;
}

std::string aligned(std::span<const std::vector<std::string>> cells) {
  std::vector<std::vector<std::string>> rows(cells.begin(), cells.end());
  std::vector<size_t> widths;
  for (auto& row : rows) std::transform(row.begin(), row.end(), row.begin(), printable);
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto character = take_character(text);
    if (character.empty()) {
      out += "\xEF\xBF\xBD";
    } else if (character == "\"" || character == "\\") {
      out += "\\" + std::string(character);
    } else if (static_cast<unsigned char>(character[0]) < 0x20) {
      out += escaped(character[0]);
    } else {
      out += character;
    }
  }
  return out + "\"";
}

std::string json_list(std::span<const std::string> items) {
  return "[" + joined(items, ", ", [](const std::string& item) { return item; }) + "]";
}

std::string json_texts(std::span<const std::string> items) {
  return "[" + joined(items, ", ", [](const std::string& item) { return json_text(item); }) + "]";
}

std::string json_object(std::span<const std::pair<std::string, std::string>> members) {
  return "{" +
         joined(members, ", ",
                [](const auto& member) { return json_text(member.first) + ": " + member.second; }) +
         "}";
}

}  // namespace entente
