#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/api/sql/hrana_stream.h"
#include "gateway/api/sql/hrana_values.h"

namespace entente {

// One request of a stream, read and checked: it runs later, after those before it. Storing and
// closing a text is done as it is read, because later requests are read by those texts.
struct HranaJob {
  struct Execute {
    Statement statement;
  };
  struct Batch {
    std::vector<BatchStep> steps;
  };
  struct Sequence {
    std::string sql;
  };
  struct Describe {
    std::string sql;
  };
  struct GetAutocommit {};
  struct Close {};  // the stream's end
  struct Nothing {};

  std::variant<Nothing, Execute, Batch, Sequence, Describe, GetAutocommit, Close> what;
  // What the client has seen; see replication_index.h.
  std::optional<uint64_t> seen;
};

Result<HranaJob> read_hrana_job(const std::string& type, const Json& request, SqlTexts& texts);
// The batch of a cursor.
Result<HranaJob> read_hrana_batch(const Json& request, const SqlTexts& texts);

// What a request answers: the members that follow its "type", as JSON; "" if there are none.
using HranaAnswer = Result<std::string>;

Task<HranaAnswer> run_hrana_job(const Site& site, HranaStream& stream, HranaJob job);
// The same for a cursor's batch: its entries, one JSON text each.
Task<Result<std::vector<std::string>>> run_hrana_cursor(const Site& site, HranaStream& stream,
                                                        HranaJob job);

}  // namespace entente
