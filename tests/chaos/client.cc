#include "tests/chaos/client.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "gateway/api/row_json.h"
#include "gateway/encoding/json.h"

namespace entente::chaos {
namespace {

using namespace std::chrono_literals;

constexpr auto kBack = 15s;  // a killed or stopped gateway is there again by then
constexpr auto kPoll = 20ms;

std::string row_path(const std::string& table, const std::string& key) {
  return "/v1/tables/" + table + "/rows/" + key;
}

std::string session_header(const std::string& session) {
  return session.empty() ? "" : "Entente-Session: " + session + "\r\n";
}

std::string row_body(const std::string& value, const std::string& context) {
  JsonWriter out;
  out.begin_object().key("row").begin_object().member("v", value).end_object();
  if (!context.empty()) out.member("context", context);
  return out.end_object().take();
}

std::string query_body(const std::string& statement) {
  JsonWriter out;
  out.begin_object().key("requests").begin_array().begin_object().member("type", "execute");
  out.key("stmt").begin_object().member("sql", statement).end_object().end_object();
  out.begin_object().member("type", "close").end_object();
  return out.end_array().end_object().take();
}

// The result of the only statement; null if it failed.
const Json* result_of(const Json& answer) {
  const Json* results = answer.find("results");
  if (results == nullptr || results->array() == nullptr || results->array()->empty()) {
    return nullptr;
  }
  const Json* response = results->array()->front().find("response");
  return response == nullptr ? nullptr : response->find("result");
}

Hlc parse_hlc(const std::string& text) {
  const size_t point = text.find('.');
  if (point == std::string::npos) return {};
  return Hlc::at(std::stoull(text), static_cast<uint16_t>(std::stoul(text.substr(point + 1))));
}

std::optional<std::string> value_of(const Json& row) {
  const Json* v = row.find("v");
  if (v == nullptr) return std::nullopt;
  if (v->integer() != nullptr) return std::to_string(*v->integer());
  return v->string() == nullptr ? std::nullopt : std::optional(*v->string());
}

// A write has not seen itself.
RowContext without(RowContext context, const Dot& own) {
  std::erase(context.also, own);
  if (context.seen.at(own.origin) >= own.seq) context.seen.set(own.origin, own.seq - 1);
  return context;
}

}  // namespace

Client::Client(std::string name, std::string dc, int port)
    : name_(std::move(name)), dc_(std::move(dc)), http_(port) {}

const testing::HttpResponse& Client::ask(std::string_view method, const std::string& target,
                                         const std::string& body, const std::string& headers) {
  last_ = http_.request(method, target, body, headers);
  const auto session = last_.headers.find("entente-session");
  session_ = session == last_.headers.end() ? "" : session->second;
  if (last_.status == 0) wait_until_back();
  return last_;
}

void Client::wait_until_back() {
  const auto deadline = std::chrono::steady_clock::now() + kBack;
  while (std::chrono::steady_clock::now() < deadline &&
         http_.request("GET", "/readyz").status != 200) {
    std::this_thread::sleep_for(kPoll);
  }
}

Write Client::written(std::string key, std::optional<std::string> value,
                      const std::string& context) {
  Write write;
  write.client = name_;
  write.dc = dc_;
  write.key = std::move(key);
  write.value = std::move(value);
  if (!context.empty()) write.seen = parse_context_token(context).value_or(RowContext{});
  if (last_.status == 0) return write;
  write.outcome = Outcome::kRefused;
  write.refusal = std::to_string(last_.status) + " " + last_.body;
  if (last_.status != 200) return write;
  const auto answer = parse_json(last_.body);
  const auto dot = answer ? parse_dot(text_of(*answer, "dot")) : Result<Dot>(Dot{});
  if (!dot || dot->seq == 0) return write;  // it changed nothing
  write.outcome = Outcome::kAcknowledged;
  write.version = {parse_hlc(text_of(*answer, "hlc")), *dot};
  if (!context.empty()) return write;
  if (const auto seen = parse_context_token(text_of(*answer, "context"))) {
    write.seen = without(*seen, *dot);
  } else if (const auto applied = parse_session_token(session_)) {
    write.seen = without({*applied, {}}, *dot);
  }
  return write;
}

Write Client::put(const std::string& table, const std::string& key, const std::string& value,
                  const std::string& context, const std::string& session) {
  ask("PUT", row_path(table, key), row_body(value, context), session_header(session));
  return written(key, value, context);
}

Write Client::erase(const std::string& table, const std::string& key, const std::string& context) {
  ask("DELETE", row_path(table, key) + (context.empty() ? "" : "?context=" + context), "");
  return written(key, std::nullopt, context);
}

Write Client::resolve(const std::string& table, const std::string& key, const std::string& value,
                      const std::string& context) {
  ask("POST", row_path(table, key) + "/resolve", row_body(value, context));
  return written(key, value, context);
}

Write Client::increment(const std::string& table, const std::string& key, int64_t by) {
  ask("POST", row_path(table, key) + "/increment", "{\"v\":" + std::to_string(by) + "}");
  return written(key, std::to_string(by), "");
}

Write Client::transaction(const std::string& table, const std::string& key,
                          const std::vector<std::string>& rows,
                          const std::optional<std::string>& value) {
  JsonWriter out;
  out.begin_object().key("writes").begin_array();
  for (const auto& row : rows) {
    out.begin_object().member("op", value ? "put" : "delete").member("table", table);
    out.member("key", row);
    if (value) out.key("row").begin_object().member("v", *value).end_object();
    out.end_object();
  }
  ask("POST", "/v1/transactions", out.end_array().end_object().take());
  return written(key, value, "");
}

Write Client::execute(const std::string& statement, const std::string& key,
                      const std::string& value) {
  ask("POST", "/v2/pipeline", query_body(statement));
  Write write = written(key, value, "");
  const auto answer = parse_json(last_.body);
  const Json* result = answer ? result_of(*answer) : nullptr;
  const Json* rows = result == nullptr ? nullptr : result->find("affected_row_count");
  if (rows != nullptr && rows->integer() != nullptr && *rows->integer() == 1) {
    write.outcome = Outcome::kAcknowledged;
  }
  return write;
}

Shown Client::get(const std::string& table, const std::string& key, const std::string& session) {
  ask("GET", row_path(table, key) + "?siblings=all", "", session_header(session));
  Shown shown;
  shown.status = last_.status;
  const auto answer = parse_json(last_.body);
  if ((last_.status != 200 && last_.status != 404) || !answer) return shown;
  shown.context = text_of(*answer, "context");
  shown.session = session_;
  shown.answered = !shown.context.empty();
  if (const Json* row = answer->find("row")) shown.value = value_of(*row);
  const Json* values = answer->find("values");
  if (values == nullptr || values->array() == nullptr) return shown;
  for (const auto& value : *values->array()) {
    const Json* row = value.find("row");
    if (row != nullptr) shown.values.insert(value_of(*row).value_or(""));
  }
  return shown;
}

std::optional<Rows> Client::select(const std::string& query) {
  ask("POST", "/v2/pipeline", query_body(query));
  const auto answer = parse_json(last_.body);
  const Json* result = answer ? result_of(*answer) : nullptr;
  const Json* rows = result == nullptr ? nullptr : result->find("rows");
  if (rows == nullptr || rows->array() == nullptr) return std::nullopt;
  Rows out;
  for (const auto& row : *rows->array()) {
    if (row.array() == nullptr || row.array()->size() != 2) return std::nullopt;
    out[text_of(row.array()->front(), "value")] = text_of(row.array()->back(), "value");
  }
  return out;
}

std::map<Dot, std::optional<std::string>> Client::losers(const std::string& table) {
  std::map<Dot, std::optional<std::string>> out;
  const auto take = [&out](const Json& value) {
    const Json* row = value.find("row");
    const auto dot = parse_dot(text_of(value, "dot"));
    if (dot) out[*dot] = row == nullptr ? std::nullopt : value_of(*row);
  };
  std::string cursor;
  do {
    ask("GET",
        "/v1/conflicts?limit=1000&table=" + table + (cursor.empty() ? "" : "&since=" + cursor), "");
    const auto page = parse_json(last_.body);
    const Json* entries = page ? page->find("conflicts") : nullptr;
    if (entries == nullptr || entries->array() == nullptr) return out;
    for (const auto& entry : *entries->array()) {
      for (const auto& loser : *entry.find("losers")->array()) take(loser);
      if (text_of(entry, "kind") == "unique") take(*entry.find("winner"));
    }
    cursor = text_of(*page, "next");
  } while (!cursor.empty());
  return out;
}

std::string Client::body_of(const std::string& path) { return ask("GET", path, "").body; }

}  // namespace entente::chaos
