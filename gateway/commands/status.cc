#include "gateway/commands/status.h"

#include <simdjson.h>

#include <cmath>
#include <ostream>
#include <sstream>
#include <utility>
#include <vector>

#include "gateway/commands/http_call.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
namespace dom = simdjson::dom;

constexpr auto kTimeout = 5s;
constexpr size_t kColumns = 100;

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

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

// "via a", and what the topology names if that is somebody else.
std::string route_of(const dom::element& object, const char* now_key) {
  const std::string now = text_of(object, now_key), preferred = text_of(object, "preferred");
  if (now == preferred) return or_dash(now);
  return or_dash(now) + (preferred.empty() ? "" : " (not " + preferred + ")");
}

using Rows = std::vector<std::vector<std::string>>;

std::vector<std::string> row_of(const dom::element& dc) {
  if (flag_of(dc, "self")) return {text_of(dc, "dc"), "this one"};
  return {text_of(dc, "dc"),
          text_of(dc, "link"),
          route_of(dc, "route"),
          measure_of(dc, "lag_seconds", 1000, " s"),
          count_of(dc, "behind"),
          count_of(dc, "unacknowledged"),
          measure_of(dc, "round_trip_ms", 10, " ms")};
}

std::vector<std::string> origin_row(const dom::element& origin) {
  return {or_dash(text_of(origin, "dc")), text_of(origin, "origin").substr(0, 8),
          route_of(origin, "upstream"),   count_of(origin, "applied"),
          count_of(origin, "behind"),     measure_of(origin, "lag_seconds", 1000, " s"),
          count_of(origin, "held"),       count_of(origin, "held_bytes")};
}

std::vector<std::string> link_row(const dom::element& link) {
  return {text_of(link, "peer"),
          text_of(link, "state"),
          measure_of(link, "round_trip_ms", 10, " ms"),
          measure_of(link, "clock_offset_ms", 1, " ms"),
          measure_of(link, "received_bytes_per_second", 1, ""),
          measure_of(link, "received_changes_per_second", 10, ""),
          measure_of(link, "sent_bytes_per_second", 1, ""),
          measure_of(link, "sent_changes_per_second", 10, ""),
          count_of(link, "held"),
          count_of(link, "held_bytes")};
}

template <class RowOf>
std::string table_of(const dom::element& root, const char* key, Rows rows, RowOf row_of_item) {
  dom::array items;
  if (root[key].get(items)) return "";
  for (const auto item : items) rows.push_back(row_of_item(item));
  return aligned(rows);
}

std::string origins_table(const dom::element& root) {
  return "\n" + table_of(root, "origins",
                         {{"ORIGIN", "LIFE", "ROUTE", "APPLIED", "BEHIND", "LAG", "HELD", "BYTES"}},
                         origin_row);
}

std::string links_table(const dom::element& root) {
  const Rows head{{"LINK", "STATE", "ROUND TRIP", "CLOCK", "IN B/S", "IN TX/S", "OUT B/S",
                   "OUT TX/S", "HELD", "BYTES"}};
  return "\n" + table_of(root, "links", head, link_row);
}

// Breaks a sentence at its spaces.
std::string wrapped(const std::string& text) {
  std::string out, line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line = "  " + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  return out + line + "\n";
}

// A line for every link that is not as it should be, then what the gateway says is worth knowing.
std::string notes_of(const dom::element& root, const dom::array& datacenters) {
  std::string out;
  for (const auto dc : datacenters) {
    const std::string reason = text_of(dc, "reason");
    if (!reason.empty()) out += wrapped(printable(text_of(dc, "dc") + ": " + reason));
  }
  dom::array notes;
  if (root["notes"].get(notes)) return out.empty() ? "" : "\n" + out;
  for (const auto note : notes) {
    std::string_view text;
    if (!note.get(text)) out += wrapped(printable(text));
  }
  return out.empty() ? "" : "\n" + out;
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

Result<StatusPicture> picture_status(std::string_view json, const StatusParts& parts) {
  dom::parser parser;
  dom::element root;
  dom::array datacenters;
  if (parser.parse(json.data(), json.size()).get(root) || !root.is_object() ||
      root["datacenters"].get(datacenters)) {
    return fail(Code::kInvalid, "the answer is not the status of a gateway");
  }
  Rows rows{{"DATACENTER", "LINK", "ROUTE", "LAG", "BEHIND", "UNACKNOWLEDGED", "ROUND TRIP"}};
  for (const auto dc : datacenters) rows.push_back(row_of(dc));
  std::string text = wrapped(printable(text_of(root, "verdict"))) + "\n" + aligned(rows);
  if (parts.origins) text += origins_table(root);
  if (parts.links) text += links_table(root);
  text += notes_of(root, datacenters);
  return StatusPicture{flag_of(root, "healthy"), std::move(text)};
}

namespace {

// Why a gateway that wants a token does not answer.
std::string refusal_in(const HttpAnswer& answer) {
  if (answer.status != 401 && answer.status != 403 && answer.status != 429) return "";
  dom::parser parser;
  dom::element root;
  return parser.parse(answer.body).get(root) ? "" : text_of(root, "detail");
}

}  // namespace

int status(const std::string& url, OutputFormat format, const StatusParts& parts, std::ostream& out,
           std::ostream& err) {
  const auto endpoint = parse_url(url);
  if (!endpoint) {
    err << "entente: " << printable(url) << ": " << printable(endpoint.error().text) << "\n";
    return kUsage;
  }
  const auto answer = http_get(*endpoint, "/v1/status", kTimeout);
  if (!answer)
    return unreachable("cannot reach " + url + ": " + answer.error().text, format, out, err);
  if (const auto refusal = refusal_in(*answer); !refusal.empty()) {
    return unreachable(url + " answered: " + refusal, format, out, err);
  }
  if (answer->status != 200) {
    return unreachable(url + "/v1/status answered " + std::to_string(answer->status) +
                           ": is this where a gateway serves its clients?",
                       format, out, err);
  }
  const auto picture = picture_status(answer->body, parts);
  if (!picture) return unreachable(url + ": " + picture.error().text, format, out, err);
  out << (format == OutputFormat::kJson ? answer->body + "\n" : picture->text);
  return picture->healthy ? kFine : kDegraded;
}

}  // namespace entente
