#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/api/site.h"
#include "gateway/api/sql/hrana_client.h"
#include "gateway/api/sql/sql_text.h"
#include "gateway/http/http_caller.h"

namespace entente {

// A client's stream where it goes on at the schema leader: from the first schema statement until no
// transaction is open any more. Hrana by HTTP, over one connection to the leader's `peers` address;
// when that goes, the leader rolls back what is open.
//
// Threads:   the loop's; one call at a time.
// Deadlines: limits.link_timeout to connect, limits.schema_timeout for each answer.
// Bounds:    answers of twice limits.result_bytes.
// Errors:    the leader's own, as it says them; `schema_leader`: it is away, and nothing of the
//            statement happened; `outcome_unknown`: it went away after it may have committed. A
//            transaction that the leader took with it stays open here, as one that timed out does:
//            every statement is refused until its client ends it.
class LeaderStream {
 public:
  // `enforce_foreign_keys`: its client has not said otherwise.
  LeaderStream(const Site& site, bool enforce_foreign_keys);

  Task<Result<StatementResult>> execute(Statement statement);
  Task<StepResults> batch(std::vector<BatchStep> steps);
  // Stops at the first statement that fails.
  Task<Result<void>> sequence(std::string sql);

  // Its client may not go on there: it is as if the leader were lost.
  void forbid(Error why) { lost_.emplace(std::move(why)); }

  bool autocommit() const { return autocommit_; }
  // The leader is away, and the transaction with it.
  bool lost() const { return lost_.has_value(); }
  // What the leader's answers contain, commits included.
  const VersionVector& seen() const { return seen_; }

 private:
  bool may_commit_any(std::span<const std::string_view> statements) const;
  Task<Result<Json>> ask(std::string request, bool may_commit);
  Task<Result<HttpAnswer>> send(std::string body);
  Error lose(Error why, bool may_commit);
  Result<StatementResult> execute_lost(SqlControl control);
  std::string name() const { return site_.config.schema_leader; }

  const Site& site_;
  const bool enforce_foreign_keys_;
  HttpCaller caller_;
  std::optional<std::string> baton_;
  VersionVector seen_;
  bool autocommit_ = true;
  std::optional<Error> lost_;
};

}  // namespace entente
