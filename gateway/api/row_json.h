#pragma once

#include <string_view>

#include "adapters/database.h"
#include "gateway/encoding/json.h"

namespace entente {

// Rows and stamps as the row API spells them: NULL, integers, floats and text as JSON has them, a
// blob as {"base64": "…"}. JSON's booleans are no SQL values and are refused.

// How integers beyond 2^53, which JavaScript would round, come out.
enum class BigIntegers { kNumber, kText };

// More than SQLite lets a table have here: bodies of any size stay cheap to read.
inline constexpr size_t kRowColumnsMax = 2000;

Result<Value> value_from_json(const Json& json, std::string_view what);
Result<Row> row_from_json(const Json& json);
// A key in a JSON body: an array of parts, or the only part itself.
Result<std::vector<Value>> key_from_json(const Json& json);
// A member with another name is refused: a misspelt "context" must not become a blind write.
Result<void> only_members(const Json& json, std::span<const std::string_view> names);
// The context in a body's member; absent if there is no such member.
Result<std::optional<RowContext>> context_from_json(const Json& body);

// The member "pick": the dot of one of a row's values.
Result<Dot> dot_from_json(const Json& pick);

void write_value(JsonWriter& out, const Value& v, BigIntegers big);
// An array of the key's parts.
void write_key_parts(JsonWriter& out, const Key& key, BigIntegers big);
void write_row(JsonWriter& out, const Row& row, BigIntegers big);
// The members "row" or "deleted", "dc", "hlc", "dot" of an open object.
void write_version(JsonWriter& out, const RowVersion& version, BigIntegers big);

// The members "dot" and "hlc" of an open object; null for a transaction that changed nothing.
void write_stamp(JsonWriter& out, const Committed& committed);

// `<Unix milliseconds>.<counter>`.
std::string to_string(Hlc hlc);
// ISO 8601, UTC, milliseconds.
std::string iso_time(uint64_t unix_ms);
// `<32 hex digits>:<seq>`, what to_string(Dot) makes.
Result<Dot> parse_dot(std::string_view text);

}  // namespace entente
