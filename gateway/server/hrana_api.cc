#include "gateway/server/hrana_api.h"

#include <sys/random.h>

#include "gateway/server/base64.h"
#include "gateway/server/problem.h"
#include "gateway/server/sql_text.h"

namespace entente {
namespace {

constexpr std::chrono::seconds kExpiredRemembered{300};
constexpr size_t kExpiredMax = 10'000;
constexpr size_t kRequestsMax = 10'000;

// Exactly these types: libSQL's client compares the whole header before it reads the message.
Response json_error(int status, const Error& error) {
  JsonWriter out;
  write_hrana_error(out, error);
  Response response;
  response.status = status;
  response.body = out.take();
  return response;
}

Response protocol_error(const Error& error) {
  Response response;
  response.status = 400;
  response.content_type = "text/plain";
  response.body = error.text;
  return response;
}

Result<std::string> random_baton() {
  std::string bytes(16, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(Code::kBusy, "the system has no random numbers to give");
  }
  std::string baton;
  append_base64(baton, bytes, false);
  return baton;
}

tl::unexpected<Error> malformed(std::string text) {
  return fail(Code::kInvalid, std::move(text), "HRANA_PROTO_ERROR");
}

// ---- One request of a pipeline -----------------------------------------------------------------

// The members of a response after its "type", as JSON: `"result":{…}`; empty if it has none.
using Answer = Result<std::string>;

Task<Answer> run_execute(HranaStream& stream, const Json& request) {
  const Json* json = request.find("stmt");
  if (json == nullptr) co_return malformed("execute needs \"stmt\"");
  auto statement = statement_from_json(*json, stream.texts());
  if (!statement) co_return tl::unexpected(statement.error());
  Task<Result<StatementResult>> running = stream.execute(std::move(*statement));
  const auto outcome = co_await running;
  if (!outcome) co_return tl::unexpected(outcome.error());
  auto result = hrana_result(*outcome);
  if (!result) co_return tl::unexpected(result.error());
  co_return "\"result\":" + *result;
}

Task<Answer> run_batch(HranaStream& stream, const Json& request) {
  const Json* json = request.find("batch");
  if (json == nullptr) co_return malformed("batch needs \"batch\"");
  auto steps = batch_from_json(*json, stream.texts());
  if (!steps) co_return tl::unexpected(steps.error());
  Task<StepResults> running = stream.batch(std::move(*steps));
  const auto results = co_await running;
  co_return "\"result\":" + hrana_batch_result(results);
}

Task<Answer> run_sequence(HranaStream& stream, const Json& request) {
  auto sql = sql_from_json(request, stream.texts());
  if (!sql) co_return tl::unexpected(sql.error());
  Task<Result<void>> running = stream.sequence(std::move(*sql));
  const auto done = co_await running;
  if (!done) co_return tl::unexpected(done.error());
  co_return std::string();
}

std::string render(const HranaStream::Description& description) {
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

Task<Answer> run_describe(HranaStream& stream, const Json& request) {
  auto sql = sql_from_json(request, stream.texts());
  if (!sql) co_return tl::unexpected(sql.error());
  Task<Result<HranaStream::Description>> running = stream.describe(std::move(*sql));
  const auto description = co_await running;
  if (!description) co_return tl::unexpected(description.error());
  co_return "\"result\":" + render(*description);
}

Answer store_text(HranaStream& stream, const Json& request) {
  const Json* id = request.find("sql_id");
  const Json* sql = request.find("sql");
  if (id == nullptr || id->integer() == nullptr || sql == nullptr || sql->string() == nullptr) {
    return malformed("store_sql needs \"sql_id\" and \"sql\"");
  }
  const auto stored = stream.texts().store(*id->integer(), *sql->string());
  if (!stored) return tl::unexpected(stored.error());
  return std::string();
}

Answer close_text(HranaStream& stream, const Json& request) {
  const Json* id = request.find("sql_id");
  if (id == nullptr || id->integer() == nullptr) return malformed("close_sql needs \"sql_id\"");
  stream.texts().close(*id->integer());
  return std::string();
}

Task<Answer> run(HranaStream& stream, const std::string& type, const Json& request) {
  if (type == "execute") co_return co_await run_execute(stream, request);
  if (type == "batch") co_return co_await run_batch(stream, request);
  if (type == "sequence") co_return co_await run_sequence(stream, request);
  if (type == "describe") co_return co_await run_describe(stream, request);
  if (type == "store_sql") co_return store_text(stream, request);
  if (type == "close_sql") co_return close_text(stream, request);
  if (type == "get_autocommit") {
    co_return std::string("\"is_autocommit\":") + (stream.autocommit() ? "true" : "false");
  }
  if (type != "close") co_return malformed("there is no request of type \"" + type + "\"");
  stream.close();
  co_return std::string();
}

void write_answer(JsonWriter& out, const std::string& type, const Answer& answer) {
  out.begin_object();
  if (answer) {
    const std::string members = answer->empty() ? "" : "," + *answer;
    out.member("type", "ok").key("response").raw("{\"type\":\"" + type + "\"" + members + "}");
  } else {
    out.member("type", "error").key("error");
    write_hrana_error(out, answer.error());
  }
  out.end_object();
}

Task<Response> text(int status, std::string body) {
  Response response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  co_return response;
}

}  // namespace

// ---- Streams -----------------------------------------------------------------------------------

Result<std::unique_ptr<HranaStream>> HranaApi::stream_for(const Json& body) {
  const Json* baton = body.find("baton");
  if (baton == nullptr || baton->is_null()) {
    if (counts_.streams >= site_.config.limits.streams) {
      return fail(Code::kBusy, "too many SQL streams are open; try again in a second",
                  "TOO_MANY_STREAMS");
    }
    return std::make_unique<HranaStream>(site_, counts_);
  }
  if (baton->string() == nullptr) return malformed("\"baton\" must be a text or null");
  if (const auto at = resting_.find(*baton->string()); at != resting_.end()) {
    auto stream = std::move(at->second.stream);
    resting_.erase(at);
    return stream;
  }
  if (expired_.contains(*baton->string())) {
    return fail(
        Code::kTimeout,
        "the stream was idle for too long and is closed; what was open in it is rolled back",
        "STREAM_EXPIRED");
  }
  return malformed("this baton was used already or never given");
}

Result<std::string> HranaApi::rest(std::unique_ptr<HranaStream> stream) {
  auto baton = random_baton();
  if (!baton) return baton;
  resting_[*baton] = {std::move(stream), Clock::now() + site_.config.limits.stream_timeout};
  return baton;
}

void HranaApi::remember_expired(std::string baton, Clock::time_point now) {
  if (expired_.size() < kExpiredMax) expired_.emplace(std::move(baton), now + kExpiredRemembered);
}

void HranaApi::expire() {
  const auto now = Clock::now();
  for (auto at = resting_.begin(); at != resting_.end();) {
    if (at->second.expires > now) {
      ++at;
      continue;
    }
    remember_expired(at->first, now);
    at = resting_.erase(at);
  }
  std::erase_if(expired_, [&](const auto& marker) { return marker.second <= now; });
}

// ---- Endpoints ---------------------------------------------------------------------------------

Task<Response> HranaApi::pipeline(RoutedRequest routed) {
  const auto body = parse_json(routed.request.body);
  if (!body) co_return protocol_error(body.error());
  const Json* requests = body->find("requests");
  if (requests == nullptr || requests->array() == nullptr ||
      requests->array()->size() > kRequestsMax) {
    co_return protocol_error({Code::kInvalid, "a pipeline needs \"requests\", at most 10000", ""});
  }
  auto opened = stream_for(*body);
  if (!opened && opened.error().tag == "HRANA_PROTO_ERROR")
    co_return protocol_error(opened.error());
  if (!opened) co_return json_error(opened.error().code == Code::kBusy ? 503 : 400, opened.error());
  auto stream = std::move(*opened);
  JsonWriter results;
  results.begin_array();
  bool closed = false;
  for (const auto& request : *requests->array()) {
    const Json* type_json = request.find("type");
    const std::string type =
        type_json != nullptr && type_json->string() != nullptr ? *type_json->string() : "";
    Answer answer = malformed("the stream was closed by an earlier request");
    if (!closed) {
      Task<Answer> running = run(*stream, type, request);
      answer = co_await running;
    }
    closed = closed || (type == "close");
    write_answer(results, type, answer);
  }
  results.end_array();
  Response response;
  if (!stream->seen().empty()) response.session = session_token(stream->seen());
  JsonWriter out;
  out.begin_object().key("baton");
  if (closed) {
    out.null();
  } else {
    const auto baton = rest(std::move(stream));
    if (!baton) co_return json_error(503, baton.error());
    out.string(*baton);
  }
  response.body = out.key("base_url").null().key("results").raw(results.take()).end_object().take();
  co_return response;
}

void HranaApi::add_to(Router& router) {
  router.add(Method::kPost, "/v2/pipeline", "sql",
             [this](RoutedRequest r) { return pipeline(std::move(r)); });
  router.add(Method::kGet, "/v2", "sql",
             [](RoutedRequest) { return text(200, "Hrana 2: POST /v2/pipeline\n"); });
}

}  // namespace entente
