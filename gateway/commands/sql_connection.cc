#include "gateway/commands/sql_connection.h"

#include "gateway/api/sql/hrana_client.h"
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
  Statement statement;
  statement.sql = sql;
  auto reply =
      http_post(endpoint_, "/v3/pipeline", hrana_pipeline(baton_, hrana_execute_request(statement)),
                kTimeout, session_);
  baton_.reset();
  in_transaction_ = false;
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->session.empty()) session_ = reply->session;
  auto answer = read_pipeline_answer(std::move(*reply));
  if (!answer) return tl::unexpected(answer.error());
  baton_ = std::move(answer->baton);
  in_transaction_ = !answer->autocommit;
  if (!answer->response) return tl::unexpected(answer->response.error());
  const Json* result = answer->response->find("result");
  if (result == nullptr) return fail(Code::kMismatch, "the answer holds no result");
  return answer_of(*result);
}

Result<std::vector<std::pair<std::string, std::string>>> SqlConnection::datacenters() {
  auto reply = http_get(endpoint_, "/v1/topology", kTimeout);
  if (!reply) return tl::unexpected(reply.error());
  const auto json = parse_json(reply->body);
  const Json* clients = json ? json->find("clients") : nullptr;
  if (clients == nullptr || clients->object() == nullptr) {
    return fail(Code::kMismatch, "the answer is not a gateway's");
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
