#include "gateway/commands/sql_connection.h"

#include "gateway/commands/http_call.h"
#include "topology/scalars.h"

namespace entente {
namespace {

using namespace std::chrono_literals;

constexpr auto kTimeout = 60s;

const Json::Array& array_of(const Json* json) {
  static const Json::Array kNone;
  return json != nullptr && json->array() != nullptr ? *json->array() : kNone;
}

Error not_a_gateway(unsigned status) {
  return {Code::kMismatch, "the answer (HTTP " + std::to_string(status) + ") is not a gateway's",
          ""};
}

Error told(const Json& error) {
  return {Code::kSql, text_of(error, "message"), text_of(error, "code")};
}

SqlConnection::Answer answer_of(const Json& result) {
  SqlConnection::Answer answer;
  for (const auto& column : array_of(result.find("cols"))) {
    answer.columns.push_back(text_of(column, "name"));
  }
  for (const auto& row : array_of(result.find("rows"))) answer.rows.push_back(array_of(&row));
  const Json* changed = result.find("affected_row_count");
  if (changed != nullptr && changed->integer() != nullptr) answer.changed = *changed->integer();
  return answer;
}

}  // namespace

Result<SqlConnection> SqlConnection::to(const std::string& url) {
  auto endpoint = parse_url(url);
  if (!endpoint) return tl::unexpected(endpoint.error());
  return SqlConnection(std::move(*endpoint));
}

void SqlConnection::move_to(const Endpoint& endpoint) {
  if (baton_) {  // it is closed by itself if this does not arrive
    (void)http_post(endpoint_, "/v3/pipeline",
                    R"({"baton":")" + *baton_ + R"(","requests":[{"type":"close"}]})", kTimeout);
  }
  baton_.reset();
  in_transaction_ = false;
  endpoint_ = endpoint;
}

Result<SqlConnection::Answer> SqlConnection::execute(const std::string& sql) {
  JsonWriter body;
  body.begin_object().key("baton");
  baton_ ? body.string(*baton_) : body.null();
  body.key("requests").begin_array();
  body.begin_object().member("type", "execute").key("stmt").begin_object().member("sql", sql);
  body.end_object().end_object();
  body.begin_object().member("type", "get_autocommit").end_object().end_array().end_object();
  auto reply = http_post(endpoint_, "/v3/pipeline", body.take(), kTimeout, session_);
  baton_.reset();
  in_transaction_ = false;
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->session.empty()) session_ = reply->session;
  const auto json = parse_json(reply->body);
  if (!json) return tl::unexpected(not_a_gateway(reply->status));
  if (reply->status != 200) {
    const auto detail = text_of(*json, "detail");
    if (!detail.empty()) return fail(Code::kSql, detail, text_of(*json, "code"));
    return tl::unexpected(told(*json));
  }
  const auto& results = array_of(json->find("results"));
  if (results.size() != 2) return tl::unexpected(not_a_gateway(reply->status));
  if (const auto baton = text_of(*json, "baton"); !baton.empty()) baton_ = baton;
  const Json* autocommit = results[1].find("response");
  autocommit = autocommit != nullptr ? autocommit->find("is_autocommit") : nullptr;
  in_transaction_ =
      autocommit != nullptr && autocommit->boolean() != nullptr && !*autocommit->boolean();
  if (const Json* error = results[0].find("error")) return tl::unexpected(told(*error));
  const Json* response = results[0].find("response");
  const Json* result = response != nullptr ? response->find("result") : nullptr;
  if (result == nullptr) return tl::unexpected(not_a_gateway(reply->status));
  return answer_of(*result);
}

Result<std::vector<std::pair<std::string, std::string>>> SqlConnection::datacenters() {
  auto reply = http_get(endpoint_, "/v1/topology", kTimeout);
  if (!reply) return tl::unexpected(reply.error());
  const auto json = parse_json(reply->body);
  const Json* clients = json ? json->find("clients") : nullptr;
  if (clients == nullptr || clients->object() == nullptr) {
    return tl::unexpected(not_a_gateway(reply->status));
  }
  const auto here = text_of(*json, "dc");
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [dc, address] : *clients->object()) {
    const std::pair entry(dc, address.string() != nullptr ? *address.string() : "");
    out.insert(dc == here ? out.begin() : out.end(), entry);
  }
  return out;
}

}  // namespace entente
