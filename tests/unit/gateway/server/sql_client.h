#pragma once

#include <string>
#include <vector>

#include "gateway/api/sql/hrana_client.h"
#include "tests/unit/gateway/server/http_client.h"

namespace entente::test {

// One SQL stream with a gateway, by Hrana over HTTP.
class SqlClient {
 public:
  explicit SqlClient(uint16_t port) : http_(port) {}

  Result<StatementResult> run(const std::string& sql) {
    Statement statement;
    statement.sql = sql;
    auto response = ask(hrana_execute_request(statement));
    if (!response) return tl::unexpected(response.error());
    return read_hrana_result(*response);
  }

  Result<StepResults> batch(const std::vector<BatchStep>& steps) {
    auto response = ask(hrana_batch_request(steps));
    if (!response) return tl::unexpected(response.error());
    return read_hrana_batch_result(*response);
  }

  Result<Json> script(const std::string& sql) { return ask(hrana_sequence_request(sql)); }

  void close() { (void)ask(R"({"type":"close"})"); }

  bool autocommit() const { return autocommit_; }
  // Entente-Session of the last answer.
  const std::string& session() const { return session_; }

 private:
  Result<Json> ask(const std::string& request) {
    auto reply = http_.ask("POST", "/v3/pipeline", hrana_pipeline(baton_, request));
    session_ = reply.header("Entente-Session");
    auto answer = read_pipeline_answer({static_cast<unsigned>(reply.status), reply.body, session_});
    if (!answer) return tl::unexpected(answer.error());
    baton_ = answer->baton;
    autocommit_ = answer->autocommit;
    return std::move(answer->response);
  }

  HttpClient http_;
  std::optional<std::string> baton_;
  std::string session_;
  bool autocommit_ = true;
};

}  // namespace entente::test
