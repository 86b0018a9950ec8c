#include "gateway/commands/verify.h"

#include <ostream>
#include <thread>

#include "gateway/commands/http_call.h"
#include "gateway/encoding/json.h"

namespace entente {
namespace {

using namespace std::chrono_literals;

constexpr auto kTimeout = 10s;
constexpr std::chrono::milliseconds kFirstPause{20}, kLongestPause{1'000};

int64_t count_of(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  return member != nullptr && member->integer() != nullptr ? *member->integer() : 0;
}

bool flag_of(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  return member != nullptr && member->boolean() != nullptr && *member->boolean();
}

std::span<const Json> list_of(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  if (member == nullptr || member->array() == nullptr) return {};
  return *member->array();
}

std::string value_text(const Json& value) {
  if (value.is_null()) return "NULL";
  if (const auto* text = value.string()) return *text;
  if (const auto* number = value.integer()) return std::to_string(*number);
  if (value.real() != nullptr) return JsonWriter().real(*value.real()).take();
  return "base64 " + text_of(value, "base64");
}

std::string row_text(const Json& value) {
  const Json* row = value.find("row");
  if (flag_of(value, "left_out")) return "(too large to show)";
  if (row == nullptr || row->object() == nullptr) return "(no row)";
  std::string out;
  for (const auto& [name, cell] : *row->object()) {
    out += (out.empty() ? "" : ", ") + name + "=" + value_text(cell);
  }
  return out;
}

std::string key_text(const Json& difference) {
  std::string out;
  for (const auto& part : list_of(difference, "key")) {
    out += (out.empty() ? "" : ", ") + value_text(part);
  }
  return out;
}

std::vector<std::string> row_of(const Json& difference, bool repair) {
  std::vector<std::string> row{text_of(difference, "table"), key_text(difference),
                               text_of(difference, "kind")};
  for (const auto& value : list_of(difference, "values")) {
    row.push_back(text_of(value, "dc") + ": " + row_text(value));
  }
  if (repair) {
    row.push_back(flag_of(difference, "repaired") ? "repaired" : text_of(difference, "note"));
  }
  for (auto& cell : row) cell = printable(cell);
  return row;
}

std::string rows_text(int64_t rows) {
  return std::to_string(rows) + (rows == 1 ? " row" : " rows");
}

// One sentence, and one more for each thing that stands in its way.
std::string verdict(const Json& report, bool all_compared) {
  const auto different = count_of(report, "different"), busy = count_of(report, "busy");
  std::string out = rows_text(count_of(report, "rows")) + " compared: " +
                    (different > 0  ? std::to_string(different) + " differ"
                     : all_compared ? "the datacenters are equal"
                                    : "no difference found") +
                    ".\n";
  if (flag_of(report, "repair") && different > 0) {
    out += std::to_string(count_of(report, "repaired")) + " of them are repaired.\n";
  }
  if (busy > 0) {
    out += rows_text(busy) + " changed whenever they were looked at: nothing is said of them.\n";
  }
  for (const auto& dc : list_of(report, "datacenters")) {
    if (flag_of(dc, "compared")) continue;
    out += printable(text_of(dc, "dc") + " was not compared: " + text_of(dc, "reason")) + ".\n";
  }
  return out;
}

class Run {
 public:
  Run(const VerifyOptions& options, Endpoint endpoint)
      : options_(options), endpoint_(std::move(endpoint)) {}

  // The last answer of the gateway, when it is done.
  Result<std::string> finish() {
    auto answer = http_post(endpoint_, "/v1/verify", body(), kTimeout);
    for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      if (!answer)
        return fail(Code::kNotReached, "cannot reach " + options_.url + ": " + answer.error().text);
      if (answer->status / 100 != 2) return tl::unexpected(refusal(*answer));
      const auto picture = picture_verification(answer->body);
      if (!picture) return tl::unexpected(picture.error());
      if (!picture->running) return std::move(answer->body);
      std::this_thread::sleep_for(pause);
      answer = http_get(endpoint_, "/v1/verify", kTimeout);
    }
  }

 private:
  std::string body() const {
    JsonWriter out;
    out.begin_object().key("repair").boolean(options_.repair).member("from", options_.from);
    return out.end_object().take();
  }
  Error refusal(HttpAnswer answer) const {
    const auto json = parse_json(answer.body);
    const auto why = json ? text_of(*json, "detail") : "";
    return {Code::kRefused,
            why.empty() ? options_.url + " answered " + std::to_string(answer.status) +
                              ": is this where a gateway serves its clients?"
                        : why,
            ""};
  }

  const VerifyOptions& options_;
  const Endpoint endpoint_;
};

int refused(const std::string& why, OutputFormat format, std::ostream& out, std::ostream& err) {
  if (format == OutputFormat::kJson) {
    out << "{\"error\": " << json_text(why) << "}\n";
  } else {
    err << "entente: " << printable(why) << "\n";
  }
  return kDegraded;
}

}  // namespace

Result<VerifyPicture> picture_verification(std::string json) {
  const auto report = parse_json(json);
  if (!report || text_of(*report, "state").empty()) {
    return fail(Code::kInvalid, "the answer is not a gateway's");
  }
  VerifyPicture picture;
  picture.running = text_of(*report, "state") == "running";
  bool all_compared = true;
  for (const auto& dc : list_of(*report, "datacenters")) all_compared &= flag_of(dc, "compared");
  const auto left = count_of(*report, "different") - count_of(*report, "repaired");
  picture.equal = all_compared && left == 0;
  picture.text = verdict(*report, all_compared);
  const auto differences = list_of(*report, "differences");
  if (differences.empty()) return picture;
  const bool repair = flag_of(*report, "repair");
  std::vector<std::vector<std::string>> rows{{"TABLE", "KEY", "KIND", "HERE", "THERE"}};
  if (repair) rows[0].emplace_back("REPAIR");
  for (const auto& difference : differences) rows.push_back(row_of(difference, repair));
  picture.text += "\n" + aligned(rows);
  return picture;
}

int verify(const VerifyOptions& options, OutputFormat format, std::ostream& out,
           std::ostream& err) {
  auto endpoint = parse_url(options.url);
  if (!endpoint) {
    err << "entente: " << printable(options.url) << ": " << printable(endpoint.error().text)
        << "\n";
    return kUsage;
  }
  const auto report = Run(options, std::move(*endpoint)).finish();
  if (!report) return refused(report.error().text, format, out, err);
  const auto picture = picture_verification(*report);
  if (!picture) return refused(picture.error().text, format, out, err);
  out << (format == OutputFormat::kJson ? *report + "\n" : picture->text);
  return picture->equal ? kFine : kDegraded;
}

}  // namespace entente
