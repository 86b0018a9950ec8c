#include "gateway/commands/handler_check.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "gateway/encoding/base64.h"
#include "gateway/handlers/handler_laws.h"
#include "gateway/handlers/load_handlers.h"

namespace entente {
namespace {

using Json = nlohmann::ordered_json;

HandlerSource source_of(const HandlerCheckOptions& options) {
  HandlerSource out;
  out.path = options.file;
  if (std::filesystem::path(options.file).extension() == ".lua") {
    out.kind = HandlerSource::Kind::kLua;
    out.instructions = options.instructions;
    out.memory = options.memory;
  } else {
    out.kind = HandlerSource::Kind::kPlugin;
    out.config = options.config;
    out.memory = 256ull << 20;
  }
  return out;
}

Json json_of(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* blob = std::get_if<Blob>(&value)) {
    std::string base64;
    append_base64(base64, blob->bytes, true);
    return {{"base64", base64}};
  }
  return nullptr;
}

template <class Columns>
Json json_of_columns(const Columns& columns) {
  Json out = Json::object();
  for (const auto& [column, value] : columns) out[column] = json_of(value);
  return out;
}

Json json_of(const OwnedConflict::Sibling& sibling) {
  Json out{
      {"dc", sibling.dc},
      {"hlc", std::to_string(sibling.hlc.unix_ms()) + "." + std::to_string(sibling.hlc.counter())}};
  if (sibling.row) {
    out["row"] = json_of_columns(*sibling.row);
  } else {
    out["deleted"] = true;
  }
  return out;
}

Json json_of(const OwnedConflict& conflict) {
  Json out{{"kind", conflict.kind}, {"table", conflict.table}};
  if (!conflict.group.empty()) out["column"] = conflict.group;
  out["key"] = json_of_columns(conflict.key);
  if (conflict.base) out["base"] = json_of_columns(*conflict.base);
  out["siblings"] = Json::array();
  for (const auto& sibling : conflict.siblings) out["siblings"].push_back(json_of(sibling));
  return out;
}

// Picks are counted from 1, as in Lua.
Json json_of(const Result<Decision>& answer) {
  if (!answer) return {{"failed", answer.error().text}};
  switch (answer->kind) {
    case Decision::Kind::kRow:
      return {{"row", json_of_columns(answer->row)}};
    case Decision::Kind::kPick:
      return {{"pick", answer->pick + 1}};
    case Decision::Kind::kDelete:
      return {{"delete", true}};
    case Decision::Kind::kKeep:
      return {{"keep", true}};
    case Decision::Kind::kHold:
      return {{"hold", true}};
  }
  return nullptr;
}

std::string_view name_of(Law law) {
  switch (law) {
    case Law::kAnswers:
      return "answers";
    case Law::kSameTwice:
      return "same_twice";
    case Law::kSameAfresh:
      return "same_afresh";
    case Law::kSameReordered:
      return "same_reordered";
  }
  return "";
}

std::string_view sentence_of(Law law) {
  switch (law) {
    case Law::kAnswers:
      return "It fails on a conflict";
    case Law::kSameTwice:
      return "It answers the same conflict differently the second time";
    case Law::kSameAfresh:
      return "A fresh instance answers differently: it keeps something from call to call, or asks "
             "something other than the conflict";
    case Law::kSameReordered:
      return "Note: it answers differently when the siblings come in another order. Gateways sort "
             "them, oldest first, so that it still decides alike everywhere";
  }
  return "";
}

Json json_of(const CounterExample& broken) {
  Json out{{"law", name_of(broken.law)},
           {"conflict", json_of(broken.conflict)},
           {"answer", json_of(broken.answer)}};
  if (broken.other) out["other_conflict"] = json_of(*broken.other);
  if (broken.other_answer) out["other_answer"] = json_of(*broken.other_answer);
  return out;
}

// Text of the handler's that is not UTF-8 does not stop the report.
std::string text_of(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

bool is_fine(const LawReport& report) {
  for (const auto& broken : report.broken) {
    if (broken.law != Law::kSameReordered) return false;
  }
  return report.declined < report.conflicts;
}

std::string verdict(const std::string& file, const LawReport& report) {
  const std::string asked = std::to_string(report.conflicts) + " conflicts";
  if (report.declined == report.conflicts) {
    return file + " declined all " + asked +
           ": nothing was checked. Name the columns of its table with --columns.";
  }
  const std::string declined =
      report.declined == 0 ? "" : ", of which it declined " + std::to_string(report.declined);
  return file + (is_fine(report) ? " is fine: " : " is not fine to deploy: ") + asked + declined +
         ".";
}

void print_text(const std::string& file, const LawReport& report, std::ostream& out) {
  out << printable(verdict(file, report)) << "\n";
  for (const auto& broken : report.broken) {
    out << "\n" << sentence_of(broken.law) << ":\n";
    out << "  conflict " << text_of(json_of(broken.conflict), -1) << "\n";
    out << "  answer   " << text_of(json_of(broken.answer), -1) << "\n";
    if (broken.other) out << "  conflict " << text_of(json_of(*broken.other), -1) << "\n";
    if (broken.other_answer) {
      out << "  answer   " << text_of(json_of(*broken.other_answer), -1) << "\n";
    }
  }
}

void print_json(const std::string& file, const std::string& version, const LawReport& report,
                std::ostream& out) {
  Json json{{"file", file},
            {"version", version},
            {"fine", is_fine(report)},
            {"conflicts", report.conflicts},
            {"declined", report.declined},
            {"broken", Json::array()}};
  for (const auto& broken : report.broken) json["broken"].push_back(json_of(broken));
  out << text_of(json, 2) << "\n";
}

int cannot(const std::string& why, OutputFormat format, std::ostream& out, std::ostream& err) {
  if (format == OutputFormat::kJson) {
    out << text_of(Json{{"fine", false}, {"problem", why}}, 2) << "\n";
  } else {
    err << "entente: " << printable(why) << "\n";
  }
  return kUsage;
}

}  // namespace

int handler_check(const HandlerCheckOptions& options, OutputFormat format, std::ostream& out,
                  std::ostream& err) {
  const auto columns = parse_columns(options.columns);
  if (!columns) return cannot("--columns: " + columns.error().text, format, out, err);
  const auto one = make_bare_handler(source_of(options), options.host);
  if (!one) return cannot(one.error().text, format, out, err);
  const auto other = make_bare_handler(source_of(options), options.host);
  if (!other) return cannot(other.error().text, format, out, err);
  const auto report =
      check_laws(**one, **other, ConflictMaker(*columns, options.seed), options.runs);
  if (format == OutputFormat::kJson) {
    print_json(options.file, (*one)->version(), report, out);
  } else {
    print_text(options.file, report, out);
  }
  return is_fine(report) ? kFine : kDegraded;
}

}  // namespace entente
