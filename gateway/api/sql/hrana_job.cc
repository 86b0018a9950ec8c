#include "gateway/api/sql/hrana_job.h"

#include "gateway/api/sql/replication_index.h"

namespace entente {
namespace {

// ---- Reading -----------------------------------------------------------------------------------

Result<int64_t> text_id(const Json& request, const std::string& type) {
  const Json* id = request.find("sql_id");
  if (id != nullptr && id->integer() != nullptr) return *id->integer();
  return hrana_malformed(type + " needs \"sql_id\"");
}

Result<HranaJob> read_execute(const Json& request, const SqlTexts& texts) {
  const Json* json = request.find("stmt");
  if (json == nullptr) return hrana_malformed("execute needs \"stmt\"");
  auto statement = statement_from_json(*json, texts);
  if (!statement) return tl::unexpected(statement.error());
  return HranaJob{HranaJob::Execute{std::move(*statement)}, seen_by_client(*json)};
}

template <class Script>
Result<HranaJob> read_script(const Json& request, const SqlTexts& texts) {
  auto sql = sql_from_json(request, texts);
  if (!sql) return tl::unexpected(sql.error());
  return HranaJob{Script{std::move(*sql)}, seen_by_client(request)};
}

Result<HranaJob> store_text(const Json& request, SqlTexts& texts) {
  const auto id = text_id(request, "store_sql");
  if (!id) return tl::unexpected(id.error());
  const Json* sql = request.find("sql");
  if (sql == nullptr || sql->string() == nullptr) {
    return hrana_malformed("store_sql needs \"sql\"");
  }
  const auto stored = texts.store(*id, *sql->string());
  if (!stored) return tl::unexpected(stored.error());
  return HranaJob{};
}

Result<HranaJob> close_text(const Json& request, SqlTexts& texts) {
  const auto id = text_id(request, "close_sql");
  if (!id) return tl::unexpected(id.error());
  texts.close(*id);
  return HranaJob{};
}

// ---- Running -----------------------------------------------------------------------------------

// A stream inside a transaction sees what that began with, and must not keep others waiting.
Task<Result<void>> catch_up(const Site& site, const HranaStream& stream, const HranaJob& job) {
  if (!job.seen || !stream.autocommit()) co_return Result<void>{};
  Task<Result<void>> waiting = wait_for_index(site, *job.seen);
  co_return co_await waiting;
}

std::string index_of(const Site& site, const HranaStream& stream) {
  return std::to_string(replication_index(site, stream.seen()));
}

Task<HranaAnswer> run_execute(const Site& site, HranaStream& stream, Statement statement) {
  auto outcome = stream.execute_at_once(statement);
  if (!outcome) {
    Task<Result<StatementResult>> running = stream.execute(std::move(statement));
    outcome = co_await running;
  }
  if (!*outcome) co_return tl::unexpected(outcome->error());
  auto result = hrana_result(**outcome, index_of(site, stream));
  if (!result) co_return tl::unexpected(result.error());
  co_return "\"result\":" + *result;
}

Task<HranaAnswer> run_batch(const Site& site, HranaStream& stream, std::vector<BatchStep> steps) {
  Task<StepResults> running = stream.batch(std::move(steps));
  const auto results = co_await running;
  co_return "\"result\":" + hrana_batch_result(results, index_of(site, stream));
}

Task<HranaAnswer> run_sequence(HranaStream& stream, std::string sql) {
  Task<Result<void>> running = stream.sequence(std::move(sql));
  const auto done = co_await running;
  if (!done) co_return tl::unexpected(done.error());
  co_return std::string();
}

std::string render(const StatementDescription& description) {
  JsonWriter out;
  out.begin_object().key("params").begin_array();
  for (const auto& name : description.parameters) {
    out.begin_object().key("name");
    name ? out.string(*name) : out.null();
    out.end_object();
  }
  out.end_array().key("cols");
  write_hrana_columns(out, description.columns);
  out.key("is_explain").boolean(description.is_explain);
  out.key("is_readonly").boolean(description.is_readonly).end_object();
  return out.take();
}

Task<HranaAnswer> run_describe(HranaStream& stream, std::string sql) {
  Task<Result<StatementDescription>> running = stream.describe(std::move(sql));
  const auto description = co_await running;
  if (!description) co_return tl::unexpected(description.error());
  co_return "\"result\":" + render(*description);
}

}  // namespace

Result<HranaJob> read_hrana_batch(const Json& request, const SqlTexts& texts) {
  const Json* json = request.find("batch");
  if (json == nullptr) return hrana_malformed("a batch needs \"batch\"");
  auto steps = batch_from_json(*json, texts);
  if (!steps) return tl::unexpected(steps.error());
  return HranaJob{HranaJob::Batch{std::move(*steps)}, seen_by_client(*json)};
}

Result<HranaJob> read_hrana_job(const std::string& type, const Json& request, SqlTexts& texts) {
  if (type == "execute") return read_execute(request, texts);
  if (type == "batch") return read_hrana_batch(request, texts);
  if (type == "sequence") return read_script<HranaJob::Sequence>(request, texts);
  if (type == "describe") return read_script<HranaJob::Describe>(request, texts);
  if (type == "store_sql") return store_text(request, texts);
  if (type == "close_sql") return close_text(request, texts);
  if (type == "get_autocommit") return HranaJob{HranaJob::GetAutocommit{}, std::nullopt};
  if (type == "close") return HranaJob{HranaJob::Close{}, std::nullopt};
  return hrana_malformed("there is no request of type \"" + type + "\"");
}

Task<HranaAnswer> run_hrana_job(const Site& site, HranaStream& stream, HranaJob job) {
  if (job.seen) {
    Task<Result<void>> waiting = catch_up(site, stream, job);
    const auto caught_up = co_await waiting;
    if (!caught_up) co_return tl::unexpected(caught_up.error());
  }
  if (auto* execute = std::get_if<HranaJob::Execute>(&job.what)) {
    Task<HranaAnswer> running = run_execute(site, stream, std::move(execute->statement));
    co_return co_await running;
  }
  if (auto* batch = std::get_if<HranaJob::Batch>(&job.what)) {
    Task<HranaAnswer> running = run_batch(site, stream, std::move(batch->steps));
    co_return co_await running;
  }
  if (auto* sequence = std::get_if<HranaJob::Sequence>(&job.what)) {
    Task<HranaAnswer> running = run_sequence(stream, std::move(sequence->sql));
    co_return co_await running;
  }
  if (auto* describe = std::get_if<HranaJob::Describe>(&job.what)) {
    Task<HranaAnswer> running = run_describe(stream, std::move(describe->sql));
    co_return co_await running;
  }
  if (std::holds_alternative<HranaJob::GetAutocommit>(job.what)) {
    co_return std::string("\"is_autocommit\":") + (stream.autocommit() ? "true" : "false");
  }
  if (std::holds_alternative<HranaJob::Close>(job.what)) stream.close();
  co_return std::string();
}

Task<Result<std::vector<std::string>>> run_hrana_cursor(const Site& site, HranaStream& stream,
                                                        HranaJob job) {
  Task<Result<void>> waiting = catch_up(site, stream, job);
  const auto caught_up = co_await waiting;
  if (!caught_up) co_return tl::unexpected(caught_up.error());
  Task<StepResults> running = stream.batch(std::move(std::get<HranaJob::Batch>(job.what).steps));
  const auto results = co_await running;
  co_return hrana_cursor_entries(results);
}

}  // namespace entente
