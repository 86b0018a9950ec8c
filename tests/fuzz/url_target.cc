// Paths and queries.

#include "gateway/encoding/url.h"
#include "tests/fuzz/target.h"
#include "topology/utf8.h"

namespace entente::fuzz {
namespace {

std::string encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    out += {'%', kHex[static_cast<uint8_t>(c) >> 4], kHex[c & 15]};
  }
  return out;
}

void run(std::string_view bytes) {
  if (const auto text = percent_decode(bytes)) {
    MUST(is_utf8(*text) && text->size() <= bytes.size());
    const auto again = percent_decode(encoded(*text));
    MUST(again && *again == *text);
    const auto parameter = query_parameter("a=b&key=" + encoded(*text), "key");
    MUST(parameter && *parameter && **parameter == *text);
  }
  std::string joined;
  for (const auto segment : path_segments(bytes)) (joined += "/") += segment;
  MUST(joined == bytes || joined == "/" + std::string(bytes) || bytes.size() < 2);
  if (const auto parts = key_segment_parts(bytes)) MUST(!parts->empty());
  for (const auto* name : {"siblings", "after", ""}) {
    const auto value = query_parameter(bytes, name);
    MUST(!value || !*value || is_utf8(**value));
  }
}

const Registration registered({"url", run});

}  // namespace
}  // namespace entente::fuzz
