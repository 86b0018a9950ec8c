// The merges that users' values go through at every gateway.

#include "conflict/merge.h"

#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

Value value_of(Choices& choices) {
  if (choices.flag()) return value_at(choices.byte());
  const size_t size = choices.byte() | static_cast<size_t>(choices.below(4)) << 8;
  return std::string(choices.take(size));
}

void check_three_way(const Value& base, const Value& a, const Value& b) {
  for (const bool markers : {false, true}) {
    MUST(identical(merge_text(&base, a, a, markers), a));
    MUST(identical(merge_text(&base, base, a, markers), a));
    MUST(identical(merge_text(&base, a, base, markers), a));
    merge_text(&base, a, b, markers);
    merge_text(nullptr, a, b, markers);
  }
  MUST(identical(merge_json(&base, a, a), a));
  MUST(identical(merge_json(&base, base, a), a));
  MUST(identical(merge_json(&base, a, base), a));
  const Value merged = merge_json(&base, a, b);
  MUST(identical(merge_json(&merged, merged, merged), merged));
  merge_json(nullptr, a, b);
}

void check_sets(const Value& v) {
  const auto elements = set_elements(v);
  if (!elements) return;
  const Value whole = set_value(*elements);
  const auto again = set_elements(whole);
  MUST(again && *again == *elements);
}

void run(std::string_view bytes) {
  Choices choices(bytes);
  const Value base = value_of(choices), a = value_of(choices), b = value_of(choices);
  check_three_way(base, a, b);
  for (const Value& v : {base, a, b}) check_sets(v);
  const std::vector<Value> forwards = {base, a, b}, backwards = {b, a, base};
  MUST(identical(merge_min(forwards), merge_min(backwards)));
  MUST(identical(merge_max(forwards), merge_max(backwards)));
  const auto is_blob = [](const Value& v) { return std::holds_alternative<Blob>(v); };
  const Value joined = merge_concat(forwards, "/");
  if (!is_blob(base) && !is_blob(a) && !is_blob(b)) {
    MUST(identical(joined, merge_concat(backwards, "/")));
  }
}

std::string seed(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) {
    out += {'\0', static_cast<char>(text.size()), '\0'};
    out += text;
  }
  return out;
}

std::vector<std::string> seeds() {
  return {
      seed({R"({"a":1,"b":{"c":[1,2]}})", R"({"a":2,"b":{"c":[1,2]}})", R"({"b":{"d":1.50}})"}),
      seed({"one\ntwo\nthree\n", "one\n2\nthree\n", "one\ntwo\nthree\nfour"}),
      seed({"[1,2,\"x\"]", "[1,\"x\",{\"a\":null}]", "[18446744073709551615,-0.0,1e400]"}),
      seed({"", "B/C", "A"}),
      std::string("\1\5\1\x17\1\x1d", 6),
  };
}

const Registration registered({"merge", run, seeds});

}  // namespace
}  // namespace entente::fuzz
