#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conflict/result.h"

namespace entente {

// A JSON document in memory. Integers and doubles are exact: what is written like an integer is
// one, and must fit in 64 bits; everything else with digits is a double.
struct Json {
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // in the document's order
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value;

  bool is_null() const { return value.index() == 0; }
  const bool* boolean() const { return std::get_if<bool>(&value); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value); }
  const double* real() const { return std::get_if<double>(&value); }
  const std::string* string() const { return std::get_if<std::string>(&value); }
  const Array* array() const { return std::get_if<Array>(&value); }
  const Object* object() const { return std::get_if<Object>(&value); }
  // A member of an object; null if there is none or this is no object.
  const Json* find(std::string_view key) const;
};
struct Json::Member {
  std::string name;
  Json value;
};

// A member that is a text; "" if there is none.
std::string text_of(const Json& json, std::string_view key);

inline constexpr int kJsonDepthMax = 64;

// Strict: one document, valid UTF-8, no duplicate keys, no more than kJsonDepthMax levels. The text
// is copied if it has no spare capacity for simdjson's padding.
Result<Json> parse_json(std::string& text);

// Appends a document to a string; puts the commas.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  // Bytes that are not UTF-8 come out as U+FFFD.
  JsonWriter& string(std::string_view text);
  JsonWriter& integer(int64_t v);
  JsonWriter& unsigned_integer(uint64_t v);
  // The shortest digits that read back as v, with `.0` if they look like an integer's; infinities
  // as 1e999 and -1e999.
  JsonWriter& real(double v);
  JsonWriter& boolean(bool v) { return raw(v ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  // A value that is JSON already.
  JsonWriter& raw(std::string_view json);

  JsonWriter& member(std::string_view name, std::string_view text) {
    return key(name).string(text);
  }
  std::string take() {
    out_.resize(std::exchange(end_, 0));
    return std::exchange(out_, {});
  }
  // Moves what there is of the document to the end of `out`; the rest goes on behind it.
  void flush_to(std::string& out) {
    out.append(out_, 0, end_);
    end_ = 0;
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& escaped(std::string_view text);
  // Where the next `n` bytes go, after a comma if one is due; grown() takes them in.
  char* grow(size_t n);
  JsonWriter& grown(const char* end);

  std::string out_;     // the document, and room for more
  size_t end_ = 0;      // of the document
  bool comma_ = false;  // the next value follows another
};

}  // namespace entente
