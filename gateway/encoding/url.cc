#include "gateway/encoding/url.h"

#include <algorithm>

#include "topology/utf8.h"

namespace entente {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  parts.reserve(8);
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return fail(Code::kInvalid, "a % in the path or query is not followed by two hex digits",
                  "percent_encoding");
    }
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  if (!is_utf8(out)) {
    return fail(Code::kInvalid, "the path or query is not UTF-8 once decoded", "percent_encoding");
  }
  return out;
}

std::vector<std::string_view> path_segments(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.empty()) return {};
  return split(path, '/');
}

Result<std::vector<std::string>> key_segment_parts(std::string_view segment) {
  std::vector<std::string> parts;
  for (const auto part : split(segment, ',')) {
    auto text = percent_decode(part);
    if (!text) return tl::unexpected(text.error());
    parts.push_back(std::move(*text));
  }
  return parts;
}

Result<std::optional<std::string>> query_parameter(std::string_view query, std::string_view name) {
  if (query.empty()) return std::nullopt;
  for (const auto pair : split(query, '&')) {
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    std::string value(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    auto decoded = percent_decode(value);
    if (!decoded) return tl::unexpected(decoded.error());
    return std::optional(std::move(*decoded));
  }
  return std::nullopt;
}

}  // namespace entente
