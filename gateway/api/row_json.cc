#include "gateway/api/row_json.h"

#include <algorithm>

#include <charconv>
#include <ctime>

#include "gateway/encoding/base64.h"

namespace entente {
namespace {

constexpr int64_t kExactInJavaScript = 1ll << 53;

tl::unexpected<Error> bad_value(std::string_view what, const std::string& why) {
  return fail(Code::kInvalid, std::string(what) + ": " + why, "value");
}

Result<Value> blob_from_json(const Json& json, std::string_view what) {
  const Json* text = json.find("base64");
  if (text == nullptr || text->string() == nullptr || json.object()->size() != 1) {
    return bad_value(what,
                     "an object here must be {\"base64\": \"…\"}, a blob; send other JSON as text");
  }
  auto bytes = parse_base64(*text->string());
  if (!bytes) return bad_value(what, bytes.error().text);
  return Blob{std::move(*bytes)};
}

}  // namespace

Result<Value> value_from_json(const Json& json, std::string_view what) {
  if (json.is_null()) return Null{};
  if (const auto* i = json.integer()) return *i;
  if (const auto* d = json.real()) return *d;
  if (const auto* s = json.string()) return *s;
  if (json.object() != nullptr) return blob_from_json(json, what);
  if (json.boolean() != nullptr) {
    return bad_value(what, "SQL has no booleans; send 1 or 0");
  }
  return bad_value(what, "an array is no SQL value; send it as text");
}

Result<Row> row_from_json(const Json& json) {
  if (json.object() == nullptr) {
    return fail(Code::kInvalid, "\"row\" must be an object of columns and their values", "value");
  }
  if (json.object()->size() > kRowColumnsMax) {
    return fail(Code::kInvalid,
                "\"row\" names more than " + std::to_string(kRowColumnsMax) + " columns", "value");
  }
  Row row;
  for (const auto& [name, member] : *json.object()) {
    auto value = value_from_json(member, "column " + name);
    if (!value) return tl::unexpected(value.error());
    row.emplace(name, std::move(*value));
  }
  return row;
}

Result<std::vector<Value>> key_from_json(const Json& json) {
  std::vector<Value> parts;
  const Json::Array single{json};
  for (const auto& part : json.array() != nullptr ? *json.array() : single) {
    auto value = value_from_json(part, "key");
    if (!value) return tl::unexpected(value.error());
    parts.push_back(std::move(*value));
  }
  return parts;
}

Result<void> only_members(const Json& json, std::span<const std::string_view> names) {
  if (json.object() == nullptr) return {};
  for (const auto& [name, value] : *json.object()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return fail(Code::kInvalid, "there is no member \"" + name + "\" here", "unknown_member");
    }
  }
  return {};
}

Result<std::optional<RowContext>> context_from_json(const Json& body) {
  const Json* token = body.find("context");
  if (token == nullptr || token->is_null()) return std::nullopt;
  if (token->string() == nullptr) {
    return fail(Code::kInvalid, "\"context\" must be the text that a read gave", "context");
  }
  auto context = parse_context_token(*token->string());
  if (!context) return tl::unexpected(context.error());
  return std::optional(std::move(*context));
}

Result<Dot> dot_from_json(const Json& pick) {
  if (pick.string() == nullptr) {
    return fail(Code::kInvalid, "\"pick\" must be the \"dot\" of one of the row's values", "dot");
  }
  return parse_dot(*pick.string());
}

void write_value(JsonWriter& out, const Value& v, BigIntegers big) {
  if (const auto* i = std::get_if<int64_t>(&v)) {
    const bool exact = *i >= -kExactInJavaScript && *i <= kExactInJavaScript;
    if (exact || big == BigIntegers::kNumber) {
      out.integer(*i);
    } else {
      out.string(std::to_string(*i));
    }
  } else if (const auto* d = std::get_if<double>(&v)) {
    out.real(*d);
  } else if (const auto* text = std::get_if<std::string>(&v)) {
    out.string(*text);
  } else if (const auto* blob = std::get_if<Blob>(&v)) {
    std::string encoded;
    append_base64(encoded, blob->bytes, true);
    out.begin_object().member("base64", encoded).end_object();
  } else {
    out.null();
  }
}

void write_key_parts(JsonWriter& out, const Key& key, BigIntegers big) {
  out.begin_array();
  const auto parts = key_parts(key);
  for (size_t i = 0; parts && i < parts->size(); ++i) write_value(out, (*parts)[i], big);
  out.end_array();
}

void write_row(JsonWriter& out, const Row& row, BigIntegers big) {
  out.begin_object();
  for (const auto& [name, value] : row) {
    out.key(name);
    write_value(out, value, big);
  }
  out.end_object();
}

void write_version(JsonWriter& out, const RowVersion& version, BigIntegers big) {
  if (version.row) {
    out.key("row");
    write_row(out, *version.row, big);
  } else {
    out.key("deleted").boolean(true);
  }
  out.member("dc", version.dc).member("hlc", to_string(version.version.hlc));
  out.member("dot", to_string(version.version.dot));
}

void write_stamp(JsonWriter& out, const Committed& committed) {
  if (committed.dot) {
    out.member("dot", to_string(*committed.dot)).member("hlc", to_string(committed.hlc));
  } else {
    out.key("dot").null().key("hlc").null();
  }
}

std::string to_string(Hlc hlc) {
  return std::to_string(hlc.unix_ms()) + "." + std::to_string(hlc.counter());
}

std::string iso_time(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string ms = std::to_string(1000 + unix_ms % 1000).substr(1);
  return std::string(text, n) + "." + ms + "Z";
}

Result<Dot> parse_dot(std::string_view text) {
  Dot dot;
  const auto bad = fail(Code::kInvalid, "a dot is 32 hex digits, a colon and a number", "dot");
  if (text.size() < 34 || text[32] != ':') return bad;
  for (size_t i = 0; i < 16; ++i) {
    const char* const at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, dot.origin.id[i], 16);
    if (error != std::errc{} || end != at + 2) return bad;
  }
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + 33, last, dot.seq);
  if (error != std::errc{} || end != last || dot.seq == 0) return bad;
  return dot;
}

}  // namespace entente
