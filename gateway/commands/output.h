#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entente {

enum class OutputFormat { kTable, kJson };

// What every command ends with.
constexpr int kFine = 0;
constexpr int kDegraded = 1;  // or refused, or failed
constexpr int kUsage = 2;     // the command line or the topology file is wrong

// Text for a terminal: control characters and bytes that are not UTF-8 become `?`.
std::string printable(std::string_view text);

// Rows in aligned columns, the first row being the heading; each line ends with a newline.
std::string aligned(std::span<const std::vector<std::string>> cells);

// JSON, written by hand: text with its quotes, and lists and objects of what is JSON already.
std::string json_text(std::string_view text);
std::string json_list(std::span<const std::string> items);
std::string json_texts(std::span<const std::string> items);
std::string json_object(std::span<const std::pair<std::string, std::string>> members);

}  // namespace entente
