// JSON as clients and gateways send it, and the parts of the row API that are made of it.

#include "gateway/api/conflicts/conflict_resolution.h"
#include "gateway/api/row_json.h"
#include "gateway/encoding/base64.h"
#include "gateway/membership/topology_news_item.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

void write(JsonWriter& out, const Json& json) {
  if (const auto* b = json.boolean()) {
    out.boolean(*b);
  } else if (const auto* i = json.integer()) {
    out.integer(*i);
  } else if (const auto* d = json.real()) {
    out.real(*d);
  } else if (const auto* s = json.string()) {
    out.string(*s);
  } else if (const auto* array = json.array()) {
    out.begin_array();
    for (const auto& element : *array) write(out, element);
    out.end_array();
  } else if (const auto* object = json.object()) {
    out.begin_object();
    for (const auto& [name, member] : *object) out.key(name), write(out, member);
    out.end_object();
  } else {
    out.null();
  }
}

std::string written(const Json& json) {
  JsonWriter out;
  write(out, json);
  return out.take();
}

// A value that came as JSON goes out as JSON that reads back as the same value.
void check_values(const Json& json) {
  if (const auto row = row_from_json(json)) {
    JsonWriter out;
    write_row(out, *row, BigIntegers::kNumber);
    std::string text = out.take();
    const auto again = parse_json(text);
    MUST(again);
    const auto same = row_from_json(*again);
    MUST(same && identical(*same, *row));
  }
  if (const auto parts = key_from_json(json)) MUST(json.array() != nullptr || parts->size() == 1);
  if (const auto context = context_from_json(json)) MUST(!*context || json.find("context"));
  if (const auto dot = dot_from_json(json)) MUST(dot->seq > 0);
}

void run(std::string_view bytes) {
  std::string text(bytes);
  if (const auto json = parse_json(text)) {
    MUST(text == bytes);
    std::string once = written(*json);
    const auto again = parse_json(once);
    MUST(again && written(*again) == once);
    check_values(*json);
  }
  text = bytes;
  if (const auto choice = parse_choice(text)) {
    MUST(choice->pick.has_value() + choice->row.has_value() + choice->erase == 1);
  }
  text = bytes;
  if (const auto news = parse_topology_news(text)) {
    std::string once = write_topology_news(*news);
    const auto again = parse_topology_news(once);
    MUST(again && again->epoch == news->epoch && again->yaml == news->yaml);
    MUST(again->incarnation == news->incarnation && again->sealed == news->sealed);
  }
  if (const auto blob = parse_base64(bytes)) {
    std::string once;
    append_base64(once, *blob, true);
    const auto again = parse_base64(once);
    MUST(again && *again == *blob);
  }
}

std::vector<std::string> seeds() {
  const RowContext context{sample_vector(), {{origin_of(1), 6}}};
  const std::string dot = to_string(Dot{origin_of(7), 42});
  return {
      write_topology_news({3, "f00d", "cluster: shop\n", origin_of(4), VersionVector()}),
      R"({"pick": ")" + dot + R"("})",
      R"({"delete": true, "context": ")" + context_token(context) + "\"}",
  };
}

const Registration registered({"json", run, seeds});

}  // namespace
}  // namespace entente::fuzz
