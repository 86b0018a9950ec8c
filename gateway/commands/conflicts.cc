#include "gateway/commands/conflicts.h"

#include <charconv>
#include <ctime>
#include <functional>
#include <ostream>
#include <set>

#include "gateway/commands/http_call.h"
#include "gateway/encoding/json.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using Rows = std::vector<std::vector<std::string>>;

constexpr auto kTimeout = 10s;

// ---- The gateway's answer ----------------------------------------------------------------------

struct Where {
  std::string url;
  OutputFormat format;
  std::ostream& out;
  std::ostream& err;
};

int refused(const Where& where, const std::string& why, int code = kDegraded) {
  if (where.format == OutputFormat::kJson) {
    where.out << "{\"error\": " << json_text(why) << "}\n";
  } else {
    where.err << "entente: " << printable(why) << "\n";
  }
  return code;
}

// What a problem document says, or what a stranger might be.
std::string reason_of(const std::string& url, HttpAnswer answer) {
  const auto problem = parse_json(answer.body);
  const Json* detail = problem ? problem->find("detail") : nullptr;
  if (detail != nullptr && detail->string() != nullptr) return *detail->string();
  return url + " answered " + std::to_string(answer.status) +
         ": is this where a gateway serves its clients?";
}

using Call = std::function<Result<HttpAnswer>(const Endpoint&)>;
using Show = std::function<Result<int>(const Json&)>;

// Calls, and shows what came: as it is for programs, with `show` for people.
int ask(const Where& where, const Call& call, const Show& show) {
  const auto endpoint = parse_url(where.url);
  if (!endpoint) {
    where.err << "entente: " << printable(where.url) << ": " << printable(endpoint.error().text)
              << "\n";
    return kUsage;
  }
  auto answer = call(*endpoint);
  if (!answer) return refused(where, "cannot reach " + where.url + ": " + answer.error().text);
  if (answer->status != 200) return refused(where, reason_of(where.url, std::move(*answer)));
  std::string text = answer->body;
  const auto json = parse_json(text);
  const auto code = json ? show(*json) : tl::unexpected(json.error());
  if (!code) return refused(where, where.url + ": the answer is not a gateway's");
  if (where.format == OutputFormat::kJson) where.out << answer->body << "\n";
  return *code;
}

// ---- Its pieces as text ------------------------------------------------------------------------

std::string number_of(const Json& object, std::string_view key) {
  const Json* member = object.find(key);
  return member != nullptr && member->integer() != nullptr ? std::to_string(*member->integer())
                                                           : "";
}

// A value as SQL would print it; a blob as its base64.
std::string value_text(const Json& value) {
  if (value.is_null()) return "NULL";
  if (const auto* text = value.string()) return *text;
  if (const auto* number = value.integer()) return std::to_string(*number);
  if (value.real() != nullptr) {
    JsonWriter out;
    return out.real(*value.real()).take();
  }
  return text_of(value, "base64");
}

std::string key_text(const Json& conflict) {
  const Json* key = conflict.find("key");
  std::string out;
  for (size_t i = 0; key != nullptr && key->array() != nullptr && i < key->array()->size(); ++i) {
    out += (i > 0 ? ", " : "") + value_text((*key->array())[i]);
  }
  return out;
}

// `<Unix ms>.<counter>` as a time.
std::string time_text(const std::string& hlc) {
  uint64_t ms = 0;
  const auto [end, error] = std::from_chars(hlc.data(), hlc.data() + hlc.size(), ms);
  if (error != std::errc{} || end == hlc.data() + hlc.size()) return hlc;
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return hlc;
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
  return std::string(text, n) + "." + std::to_string(1000 + ms % 1000).substr(1);
}

bool is_open(const Json& conflict) { return text_of(conflict, "state") == "open"; }

std::vector<const Json*> values_of(const Json& conflict) {
  std::vector<const Json*> out;
  if (const Json* winner = conflict.find("winner")) out.push_back(winner);
  const Json* losers = conflict.find("losers");
  for (size_t i = 0; losers != nullptr && losers->array() != nullptr && i < losers->array()->size();
       ++i) {
    out.push_back(&(*losers->array())[i]);
  }
  return out;
}

// ---- Pictures ----------------------------------------------------------------------------------

std::vector<std::string> list_row(const Json& conflict) {
  const auto column = text_of(conflict, "column");
  return {number_of(conflict, "id"),
          text_of(conflict, "state"),
          text_of(conflict, "table"),
          key_text(conflict),
          column.empty() ? "(row)" : column,
          text_of(conflict, "kind"),
          is_open(conflict) ? text_of(conflict, "note") : text_of(conflict, "decided_by"),
          text_of(conflict, "detected_at")};
}

Result<std::string> picture_list(const Json& answer) {
  const Json* conflicts = answer.find("conflicts");
  if (conflicts == nullptr || conflicts->array() == nullptr) {
    return fail(Code::kInvalid, "no list of conflicts");
  }
  if (conflicts->array()->empty()) return std::string("No conflicts.\n");
  Rows rows{{"ID", "STATE", "TABLE", "KEY", "COLUMN", "KIND", "DECIDED BY", "DETECTED"}};
  for (const auto& conflict : *conflicts->array()) rows.push_back(list_row(conflict));
  std::string out = aligned(rows);
  const auto next = text_of(answer, "next");
  if (!next.empty()) out += "\nMore follow: --since " + printable(next) + "\n";
  return out;
}

std::string headline(const Json& conflict) {
  const auto column = text_of(conflict, "column"), note = text_of(conflict, "note");
  const std::string what = "Conflict " + number_of(conflict, "id") + " is " +
                           text_of(conflict, "state") + ": " + text_of(conflict, "kind") + " of " +
                           text_of(conflict, "table") + " " + key_text(conflict) +
                           (column.empty() ? "" : ", column " + column);
  const std::string who =
      "Policy " + text_of(conflict, "policy") +
      (is_open(conflict) ? "" : ", decided by " + text_of(conflict, "decided_by")) +
      "; detected in " + text_of(conflict, "detected_in") + " at " +
      text_of(conflict, "detected_at");
  return printable(what) + ".\n" + printable(who) + ".\n" +
         (note.empty() ? "" : "Note: " + printable(note) + ".\n");
}

// Every column that any of the values has.
std::set<std::string> columns_of(const std::vector<const Json*>& values) {
  std::set<std::string> out;
  for (const Json* value : values) {
    const Json* row = value->find("row");
    if (row == nullptr || row->object() == nullptr) continue;
    for (const auto& [name, cell] : *row->object()) out.insert(name);
  }
  return out;
}

std::string cell_text(const Json& value, const std::string& column) {
  const Json* row = value.find("row");
  if (row == nullptr) return "(deleted)";
  const Json* cell = row->find(column);
  return cell == nullptr ? "" : value_text(*cell);
}

Result<std::string> picture_one(const Json& conflict) {
  const auto values = values_of(conflict);
  if (values.empty()) return fail(Code::kInvalid, "no conflict");
  const auto columns = columns_of(values);
  Rows rows{{""}, {"dc"}, {"written"}, {"dot"}};
  const bool open = is_open(conflict);
  for (size_t i = 0; i < values.size(); ++i) {
    rows[0].emplace_back(open ? (i == 0 ? "SHOWN" : "WAITS") : (i == 0 ? "WON" : "LOST"));
    rows[1].push_back(text_of(*values[i], "dc"));
    rows[2].push_back(time_text(text_of(*values[i], "hlc")));
    rows[3].push_back(text_of(*values[i], "dot"));
  }
  for (const auto& column : columns) {
    auto& row = rows.emplace_back(std::vector<std::string>{column});
    for (const Json* value : values) row.push_back(cell_text(*value, column));
  }
  if (columns.empty()) {
    auto& row = rows.emplace_back(std::vector<std::string>{"row"});
    for (const Json* value : values) row.push_back(value->find("row") ? "(kept)" : "(deleted)");
  }
  return headline(conflict) + "\n" + aligned(rows);
}

std::string escaped(const std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::string path_of(uint64_t id) { return "/v1/conflicts/" + std::to_string(id); }

// The request's body; an error for a row that is no JSON object.
Result<std::string> body_of(const ConflictChoice& choice) {
  JsonWriter out;
  out.begin_object();
  if (choice.pick) out.member("pick", *choice.pick);
  if (choice.erase) out.key("delete").boolean(true);
  if (choice.row) {
    std::string text = *choice.row;
    const auto row = parse_json(text);
    if (!row) return tl::unexpected(row.error());
    if (row->object() == nullptr) return fail(Code::kInvalid, "it must be a JSON object");
    out.key("row").raw(*choice.row);
  }
  return out.end_object().take();
}

}  // namespace

int list_conflicts(const std::string& url, const ConflictFilter& filter, OutputFormat format,
                   std::ostream& out, std::ostream& err) {
  std::string path = "/v1/conflicts?state=" + escaped(filter.state) +
                     "&limit=" + std::to_string(filter.limit) +
                     "&since=" + std::to_string(filter.since);
  if (!filter.table.empty()) path += "&table=" + escaped(filter.table);
  return ask(
      {url, format, out, err}, [&](const Endpoint& e) { return http_get(e, path, kTimeout); },
      [&](const Json& answer) -> Result<int> {
        const auto picture = picture_list(answer);
        if (!picture) return tl::unexpected(picture.error());
        if (format == OutputFormat::kTable) out << *picture;
        return kFine;
      });
}

int show_conflict(const std::string& url, uint64_t id, OutputFormat format, std::ostream& out,
                  std::ostream& err) {
  return ask(
      {url, format, out, err},
      [&](const Endpoint& e) { return http_get(e, path_of(id), kTimeout); },
      [&](const Json& answer) -> Result<int> {
        const auto picture = picture_one(answer);
        if (!picture) return tl::unexpected(picture.error());
        if (format == OutputFormat::kTable) out << *picture;
        return kFine;
      });
}

int resolve_conflict(const std::string& url, uint64_t id, const ConflictChoice& choice,
                     OutputFormat format, std::ostream& out, std::ostream& err) {
  const auto body = body_of(choice);
  if (!body) {
    err << "entente: --row: " << printable(body.error().text) << "\n";
    return kUsage;
  }
  return ask(
      {url, format, out, err},
      [&](const Endpoint& e) { return http_post(e, path_of(id) + "/resolve", *body, kTimeout); },
      [&](const Json& answer) -> Result<int> {
        const bool open = text_of(answer, "conflict") == "open";
        if (answer.find("conflict") == nullptr) return fail(Code::kInvalid, "no answer to a write");
        if (format == OutputFormat::kTable) {
          out << "Conflict " << id << (open ? ": the row has another that is open" : " is resolved")
              << ", by write " << printable(text_of(answer, "dot")) << ".\n";
        }
        return open ? kDegraded : kFine;
      });
}

}  // namespace entente
