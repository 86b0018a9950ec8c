#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/api/sql/hrana_values.h"
#include "gateway/http/http_caller.h"

namespace entente {

// The client's half of Hrana by HTTP: what hrana_values.h reads it writes, and the reverse.

// Requests of a stream.
std::string hrana_execute_request(const Statement& statement);
std::string hrana_batch_request(const std::vector<BatchStep>& steps);
std::string hrana_sequence_request(std::string_view sql);

// The body of a pipeline that makes a request, or several with commas between them, and asks
// whether a transaction is open after it.
std::string hrana_pipeline(const std::optional<std::string>& baton, std::string_view requests);

struct PipelineAnswer {
  std::optional<std::string> baton;  // with which the stream goes on
  bool autocommit = true;            // afterwards
  Result<Json> response;             // what the last request answered
};
// kTimeout: the server failed, or is none of Hrana, and nobody knows what it did; other errors are
// its refusal of the pipeline, before it did anything.
Result<PipelineAnswer> read_pipeline_answer(HttpAnswer answer);

// The rows, rowids and step errors of a response's "result".
Result<StatementResult> read_hrana_result(const Json& response);
Result<StepResults> read_hrana_batch_result(const Json& response);

}  // namespace entente
