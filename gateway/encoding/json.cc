#include "gateway/encoding/json.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "topology/utf8.h"

namespace entente {
namespace {

namespace sj = simdjson::ondemand;

tl::unexpected<Error> malformed(const std::string& why) {
  return fail(Code::kInvalid, "the body is not the JSON this needs: " + why, "json");
}

tl::unexpected<Error> malformed(simdjson::error_code why) {
  return malformed(simdjson::error_message(why));
}

size_t digits_at(std::string_view text, size_t at) {
  size_t n = 0;
  while (at + n < text.size() && text[at + n] >= '0' && text[at + n] <= '9') ++n;
  return n;
}

// What RFC 8259 calls a number; `integer` if it has neither fraction nor exponent.
bool is_number(std::string_view text, bool& integer) {
  size_t at = text.starts_with('-') ? 1 : 0;
  const size_t whole = digits_at(text, at);
  if (whole == 0 || (whole > 1 && text[at] == '0')) return false;
  at += whole;
  integer = at == text.size();
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = digits_at(text, at + 1);
    if (fraction == 0) return false;
    at += 1 + fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    if (++at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

Result<Json> parse_number(std::string_view token) {
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  bool integer = false;
  if (!is_number(token, integer)) return malformed("a number is malformed");
  const char* const end = token.data() + token.size();
  if (integer) {
    int64_t i = 0;
    if (std::from_chars(token.data(), end, i).ec == std::errc{}) return Json{i};
    return malformed(
        "the integer " + std::string(token.substr(0, 40)) +
        " does not fit in 64 bits; send it as a string, or with a fraction as a float");
  }
  double d = 0;
  // Past the range of a double, strtod says which way: an infinity or a zero.
  if (std::from_chars(token.data(), end, d).ec != std::errc{}) {
    d = std::strtod(std::string(token).c_str(), nullptr);
  }
  return Json{d};
}

bool repeats_a_key(const Json::Object& object) {
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const auto& [key, value] : object) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

Result<Json> walk(sj::value value, int depth);

Result<Json> walk_array(sj::array array, int depth) {
  Json::Array out;
  for (auto element : array) {
    sj::value child;
    if (const auto e = element.get(child)) return malformed(e);
    auto json = walk(child, depth + 1);
    if (!json) return json;
    out.push_back(std::move(*json));
  }
  return Json{std::move(out)};
}

Result<Json> walk_object(sj::object object, int depth) {
  Json::Object out;
  out.reserve(4);
  for (auto field : object) {
    std::string_view key;
    sj::value child;
    if (const auto e = field.unescaped_key().get(key)) return malformed(e);
    if (const auto e = field.value().get(child)) return malformed(e);
    std::string name(key);
    auto json = walk(child, depth + 1);
    if (!json) return json;
    out.push_back({std::move(name), std::move(*json)});
  }
  if (repeats_a_key(out)) return malformed("an object names a key twice");
  return Json{std::move(out)};
}

Result<Json> walk(sj::value value, int depth) {
  if (depth > kJsonDepthMax) {
    return malformed("it is nested deeper than " + std::to_string(kJsonDepthMax) + " levels");
  }
  sj::json_type type;
  if (const auto e = value.type().get(type)) return malformed(e);
  switch (type) {
    case sj::json_type::array:
      return walk_array(value.get_array(), depth);
    case sj::json_type::object:
      return walk_object(value.get_object(), depth);
    case sj::json_type::number:
      return parse_number(value.raw_json_token());
    case sj::json_type::string: {
      std::string_view text;
      if (const auto e = value.get_string().get(text)) return malformed(e);
      return Json{std::string(text)};
    }
    case sj::json_type::boolean: {
      bool b = false;
      if (const auto e = value.get_bool().get(b)) return malformed(e);
      return Json{b};
    }
    case sj::json_type::null:
      break;
  }
  bool null = false;
  if (value.is_null().get(null) != simdjson::SUCCESS || !null) {
    return malformed("a word that is neither true, false nor null");
  }
  return Json{};
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// The length of the well-formed UTF-8 sequence at the start of text; 0 if there is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  const size_t n = lead < 0x80   ? 1
                   : lead < 0xC2 ? 0
                   : lead < 0xE0 ? 2
                   : lead < 0xF0 ? 3
                   : lead < 0xF5 ? 4
                                 : 0;
  if (n == 0 || n > text.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return simdjson::validate_utf8(text.data(), n) ? n : 0;
}

void append_escaped(std::string& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  out += "\\u00";
  out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
  out.push_back(kHex[c & 15]);
}

constexpr bool needs_escape(char c) {
  return static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\';
}

constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t c = 0; c < 0x80; ++c) plain[c] = !needs_escape(static_cast<char>(c));
  return plain;
}();

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kPlain[static_cast<uint8_t>(c)]; });
}

std::string with_replacements(std::string_view text) {
  std::string fixed;
  while (!text.empty()) {
    const size_t n = utf8_length(text);
    fixed += n > 0 ? text.substr(0, n) : kReplacement;
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return fixed;
}

}  // namespace

const Json* Json::find(std::string_view key) const {
  const auto* members = object();
  if (members == nullptr) return nullptr;
  for (const auto& [name, member] : *members) {
    if (name == key) return &member;
  }
  return nullptr;
}

std::string text_of(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  return member != nullptr && member->string() != nullptr ? *member->string() : "";
}

Result<Json> parse_json(std::string& text) {
  thread_local sj::parser parser;
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  sj::document document;
  const simdjson::padded_string_view padded(text.data(), text.size(), text.capacity());
  if (const auto e = parser.iterate(padded).get(document)) return malformed(e);
  sj::value root;
  if (const auto e = document.get_value().get(root)) {
    return malformed(e == simdjson::SCALAR_DOCUMENT_AS_VALUE ? "it is not an object"
                                                             : simdjson::error_message(e));
  }
  auto json = walk(root, 1);
  if (json && document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return malformed("something follows its end");
  }
  return json;
}

char* JsonWriter::grow(size_t n) {
  constexpr size_t kUsual = 512;
  if (out_.size() - end_ <= n) out_.resize(std::max({kUsual, 2 * out_.size(), end_ + n + 1}));
  if (comma_) out_[end_++] = ',';
  return out_.data() + end_;
}

JsonWriter& JsonWriter::grown(const char* end) {
  end_ = static_cast<size_t>(end - out_.data());
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::open(char bracket) {
  char* at = grow(1);
  *at = bracket;
  grown(at + 1);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  comma_ = false;
  char* at = grow(1);
  *at = bracket;
  return grown(at + 1);
}

JsonWriter& JsonWriter::key(std::string_view name) {
  string(name);
  comma_ = false;
  char* at = grow(1);
  *at = ':';
  grown(at + 1);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  if (!is_plain_ascii(text)) return escaped(text);
  char* at = grow(text.size() + 2);
  *at++ = '"';
  at = std::copy(text.begin(), text.end(), at);
  *at++ = '"';
  return grown(at);
}

JsonWriter& JsonWriter::escaped(std::string_view text) {
  if (!is_utf8(text)) return string(with_replacements(text));
  std::string out = "\"";
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!needs_escape(text[i])) continue;
    out.append(text, plain, i - plain);
    append_escaped(out, text[i]);
    plain = i + 1;
  }
  out.append(text, plain);
  out.push_back('"');
  return raw(out);
}

JsonWriter& JsonWriter::integer(int64_t v) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, v).ptr;
  return raw({digits, static_cast<size_t>(end - digits)});
}

JsonWriter& JsonWriter::unsigned_integer(uint64_t v) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, v).ptr;
  return raw({digits, static_cast<size_t>(end - digits)});
}

JsonWriter& JsonWriter::real(double v) {
  if (std::isinf(v)) return raw(v > 0 ? "1e999" : "-1e999");
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits - 2, v).ptr;
  std::string_view text(digits, static_cast<size_t>(end - digits));
  raw(text);
  if (text.find_first_of(".e") != std::string_view::npos) return *this;
  comma_ = false;
  return raw(".0");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  char* at = grow(json.size());
  return grown(std::copy(json.begin(), json.end(), at));
}

}  // namespace entente
