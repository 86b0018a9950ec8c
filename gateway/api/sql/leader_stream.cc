#include "gateway/api/sql/leader_stream.h"

#include <algorithm>

#include "conflict/context.h"
#include "gateway/api/introduction.h"

namespace entente {
namespace {

Error away(const std::string& leader, const std::string& why) {
  return {Code::kBusy,
          "schema changes are made in datacenter " + leader +
              ", the schema leader, which cannot be reached (" + why +
              "): nothing was changed. Reads and writes of data go on here; send this again when " +
              leader + " is back",
          "schema_leader"};
}

Error rolled_back(const std::string& leader, const std::string& why) {
  return {Code::kBusy,
          "the transaction was rolled back: it changes the schema, so that it ran in datacenter " +
              leader + ", the schema leader, which was lost (" + why +
              "). Reads and writes of data go on here; roll back, and begin again when " + leader +
              " is back",
          "schema_leader"};
}

Error unknown(const std::string& leader, const std::string& why) {
  return {Code::kTimeout,
          "datacenter " + leader + ", the schema leader, was lost (" + why +
              ") before it answered: what was sent may or may not have been committed; look before "
              "you send it again",
          "outcome_unknown"};
}

Error refused(const std::string& leader, Error error) {
  error.text = leader + ", the schema leader, refuses: " + error.text;
  if (error.tag.empty()) error.tag = "schema_leader";
  return error;
}

bool commits(std::string_view sql) { return control_of(sql) == SqlControl::kCommit; }

}  // namespace

LeaderStream::LeaderStream(const Site& site, bool enforce_foreign_keys)
    : site_(site),
      enforce_foreign_keys_(enforce_foreign_keys),
      caller_(site.executor, to_gateway(site.config, *site.config.find(site.config.schema_leader)),
              2 * site.config.limits.result_bytes) {}

// ---- What a client asks ------------------------------------------------------------------------

Task<Result<StatementResult>> LeaderStream::execute(Statement statement) {
  const auto control = control_of(statement.sql);
  const bool may_commit = autocommit_ || control == SqlControl::kCommit;
  Task<Result<Json>> asking = ask(hrana_execute_request(statement), may_commit);
  const auto response = co_await asking;
  if (lost_) co_return execute_lost(control);
  if (!response) co_return tl::unexpected(response.error());
  co_return read_hrana_result(*response);
}

Task<StepResults> LeaderStream::batch(std::vector<BatchStep> steps) {
  const bool may_commit = may_commit_any(texts_of(steps));
  Task<Result<Json>> asking = ask(hrana_batch_request(steps), may_commit);
  const auto response = co_await asking;
  auto results = response ? read_hrana_batch_result(*response) : tl::unexpected(response.error());
  if (results && results->size() == steps.size()) co_return std::move(*results);
  const Error why = results ? unknown(name(), "its answer is malformed") : results.error();
  StepResults failed(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto& condition = steps[i].condition;
    if (condition && !holds(*condition, failed, autocommit_)) continue;
    const auto control = control_of(steps[i].statement.sql);
    failed[i] = tl::unexpected(why);
    if (lost_) failed[i] = execute_lost(control);
    const bool switches =
        control == SqlControl::kForeignKeysOn || control == SqlControl::kForeignKeysOff;
    if (switches) failed[i] = StatementResult{};
  }
  co_return failed;
}

Task<Result<void>> LeaderStream::sequence(std::string sql) {
  const auto statements = split_statements(sql);
  const bool may_commit = may_commit_any(statements);
  Task<Result<Json>> asking = ask(hrana_sequence_request(sql), may_commit);
  const auto response = co_await asking;
  if (!response) co_return tl::unexpected(response.error());
  co_return Result<void>{};
}

// Outside a transaction everything may, unless it begins one and leaves it open.
bool LeaderStream::may_commit_any(std::span<const std::string_view> statements) const {
  const bool begins = !statements.empty() && control_of(statements.front()) == SqlControl::kBegin;
  return (autocommit_ && !begins) || std::any_of(statements.begin(), statements.end(), commits);
}

// The transaction is gone, its client has yet to end it.
Result<StatementResult> LeaderStream::execute_lost(SqlControl control) {
  const bool ends = control == SqlControl::kCommit || control == SqlControl::kRollback;
  autocommit_ = autocommit_ || ends;
  if (control == SqlControl::kRollback) return StatementResult{};
  return tl::unexpected(*lost_);
}

// ---- The leader --------------------------------------------------------------------------------

Task<Result<Json>> LeaderStream::ask(std::string request, bool may_commit) {
  if (lost_) co_return tl::unexpected(*lost_);
  if (!baton_ && !enforce_foreign_keys_) {
    request = hrana_sequence_request("PRAGMA foreign_keys=OFF") + "," + request;
  }
  Task<Result<HttpAnswer>> sending = send(hrana_pipeline(baton_, request));
  auto answer = co_await sending;
  if (!answer) co_return tl::unexpected(lose(answer.error(), may_commit));
  const auto seen = parse_session_token(answer->session);
  auto read = read_pipeline_answer(std::move(*answer));
  if (!read) co_return tl::unexpected(lose(read.error(), may_commit));
  baton_ = std::move(read->baton);
  autocommit_ = read->autocommit;
  seen_ = seen.value_or(VersionVector{});
  co_return std::move(read->response);
}

Task<Result<HttpAnswer>> LeaderStream::send(std::string body) {
  HttpQuestion question{"/v3/pipeline", std::move(body), {}};
  question.headers.emplace_back("Entente-Gateway", introduction_of(site_.config, site_.dc));
  const auto seen = baton_ ? "" : session_token(site_.store.applied());
  if (!seen.empty()) question.headers.emplace_back("Entente-Session", seen);
  const auto& limits = site_.config.limits;
  const HttpCaller::Patience patience{limits.link_timeout, limits.schema_timeout};
  std::function<void(HttpCaller::Done)> start = [&](HttpCaller::Done done) {
    caller_.ask(std::move(question), patience, std::move(done));
  };
  CallbackCall<Result<HttpAnswer>> call(site_.loop, std::move(start));
  co_return co_await call;
}

// `why`: kNotReached, kTimeout (see HttpCaller), or the leader's refusal; it keeps no stream then.
Error LeaderStream::lose(Error why, bool may_commit) {
  const bool unanswered = why.code == Code::kTimeout;
  if (unanswered && may_commit) {
    autocommit_ = true;
    return unknown(name(), why.text);
  }
  if (!autocommit_) return lost_.emplace(rolled_back(name(), why.text));
  const bool away_from_us = unanswered || why.code == Code::kNotReached;
  return away_from_us ? away(name(), why.text) : refused(name(), std::move(why));
}

}  // namespace entente
