#include "gateway/commands/status.h"

#include <simdjson.h>

#include <cmath>
#include <ostream>

#include "gateway/commands/http_call.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
namespace dom = simdjson::dom;

constexpr auto kTimeout = 5s;

std::string text_of(const dom::element& object, const char* key) {
  std::string_view text;
  return object[key].get(text) ? "" : std::string(text);
}

bool flag_of(const dom::element& object, const char* key) {
  bool flag = false;
  return !object[key].get(flag) && flag;
}

std::string count_of(const dom::element& object, const char* key) {
  uint64_t count = 0;
  return object[key].get(count) ? "-" : std::to_string(count);
}

std::string rounded(double value, double steps) {
  std::string text = std::to_string(std::round(value * steps) / steps);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string measure_of(const dom::element& object, const char* key, double steps,
                       std::string_view unit) {
  double value = 0;
  if (object[key].get(value)) return "-";
  return rounded(value, steps) + std::string(unit);
}

std::vector<std::string> row_of(const dom::element& dc) {
  if (flag_of(dc, "self")) return {text_of(dc, "dc"), "this one"};
  return {text_of(dc, "dc"),
          text_of(dc, "link"),
          measure_of(dc, "lag_seconds", 1000, " s"),
          count_of(dc, "behind"),
          count_of(dc, "unacknowledged"),
          measure_of(dc, "round_trip_ms", 10, " ms"),
          text_of(dc, "reason")};
}

int unreachable(const std::string& why, OutputFormat format, std::ostream& out, std::ostream& err) {
  if (format == OutputFormat::kJson) {
    out << "{\"verdict\": " << json_text(why) << ", \"healthy\": false}\n";
  } else {
    err << "entente: " << printable(why) << "\n";
  }
  return kDegraded;
}

}  // namespace

Result<StatusPicture> picture_status(std::string_view json) {
  dom::parser parser;
  dom::element root;
  dom::array datacenters;
  if (parser.parse(json.data(), json.size()).get(root) || !root.is_object() ||
      root["datacenters"].get(datacenters)) {
    return fail(Code::kInvalid, "the answer is not the status of a gateway");
  }
  std::vector<std::vector<std::string>> rows{
      {"DATACENTER", "LINK", "LAG", "BEHIND", "UNACKNOWLEDGED", "ROUND TRIP", "REASON"}};
  for (const auto dc : datacenters) rows.push_back(row_of(dc));
  return StatusPicture{flag_of(root, "healthy"),
                       printable(text_of(root, "verdict")) + "\n\n" + aligned(rows)};
}

int status(const std::string& url, OutputFormat format, std::ostream& out, std::ostream& err) {
  const auto endpoint = parse_url(url);
  if (!endpoint) {
    err << "entente: " << printable(url) << ": " << printable(endpoint.error().text) << "\n";
    return kUsage;
  }
  const auto answer = http_get(*endpoint, "/v1/status", kTimeout);
  if (!answer)
    return unreachable("cannot reach " + url + ": " + answer.error().text, format, out, err);
  if (answer->status != 200) {
    return unreachable(url + "/v1/status answered " + std::to_string(answer->status) +
                           ": is this where a gateway serves its clients?",
                       format, out, err);
  }
  const auto picture = picture_status(answer->body);
  if (!picture) return unreachable(url + ": " + picture.error().text, format, out, err);
  out << (format == OutputFormat::kJson ? answer->body + "\n" : picture->text);
  return picture->healthy ? kFine : kDegraded;
}

}  // namespace entente
