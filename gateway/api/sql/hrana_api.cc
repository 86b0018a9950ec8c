#include "gateway/api/sql/hrana_api.h"

#include <sys/random.h>

#include <boost/beast/http/rfc7230.hpp>

#include "gateway/api/refused.h"
#include "gateway/api/sql/legacy_sql_api.h"
#include "gateway/encoding/base64.h"

namespace entente {
namespace {

constexpr std::chrono::seconds kExpiredRemembered{300};
constexpr size_t kExpiredMax = 10'000;
constexpr size_t kRequestsMax = 10'000;
constexpr std::string_view kSocketTarget = "WebSocket /";

// Exactly these types: libSQL's client compares the whole header before it reads the message.
Response json_error(int status, const Error& error) {
  JsonWriter out;
  write_hrana_error(out, error);
  Response response;
  response.status = status;
  response.body = out.take();
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response protocol_error(const Error& error) { return text_response(400, error.text); }

Result<std::string> random_baton() {
  std::string bytes(16, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(Code::kBusy, "the system has no random numbers to give");
  }
  std::string baton;
  append_base64(baton, bytes, false);
  return baton;
}

SqlCaller caller_of(const RoutedRequest& routed) { return {routed.client, routed.request.from}; }

void write_answer(JsonWriter& out, const std::string& type, const HranaAnswer& answer) {
  out.begin_object();
  if (answer) {
    out.member("type", "ok").key("response").begin_object().member("type", type);
    if (!answer->empty()) out.raw(*answer);
    out.end_object();
  } else {
    out.member("type", "error").key("error");
    write_hrana_error(out, answer.error());
  }
  out.end_object();
}

// The best of those a client offers; "" if it offers none, which is how Hrana 1 began.
Result<std::string> subprotocol_of(const std::optional<std::string>& offered) {
  if (!offered) return std::string();
  boost::beast::http::token_list names(*offered);
  for (const auto* known : {"hrana3", "hrana2", "hrana1"}) {
    if (names.exists(known)) return std::string(known);
  }
  return hrana_malformed("the subprotocols that this gateway speaks are hrana3, hrana2 and hrana1");
}

}  // namespace

// ---- Streams -----------------------------------------------------------------------------------

Result<std::unique_ptr<HranaApi::Conversation>> HranaApi::open(SqlCaller caller) {
  if (auto admitted = admit_stream(site_, counts_); !admitted) {
    return tl::unexpected(admitted.error());
  }
  return std::make_unique<Conversation>(site_, counts_, std::move(caller));
}

Result<std::unique_ptr<HranaApi::Conversation>> HranaApi::conversation_of(const Json& body,
                                                                          SqlCaller caller) {
  const Json* json = body.find("baton");
  if (json == nullptr || json->is_null()) return open(std::move(caller));
  const std::string* baton = json->string();
  if (baton == nullptr) return hrana_malformed("\"baton\" must be a text or null");
  const auto at = resting_.find(*baton);
  if (at != resting_.end() &&
      at->second.conversation->stream.client().owner == caller.client->owner) {
    auto conversation = std::move(at->second.conversation);
    resting_.erase(at);
    conversation->stream.act_for(std::move(caller));
    return conversation;
  }
  const auto expired = expired_.find(*baton);
  if (expired == expired_.end()) {
    return hrana_malformed("this baton was used already or never given");
  }
  if (!expired->second.lost_nothing) {
    return fail(
        Code::kTimeout,
        "the stream was idle for too long and is closed; what was open in it is rolled back",
        "STREAM_EXPIRED");
  }
  expired_.erase(expired);
  return open(std::move(caller));
}

Result<std::string> HranaApi::rest(std::unique_ptr<Conversation> conversation) {
  auto baton = random_baton();
  if (!baton) return baton;
  resting_[*baton] = {std::move(conversation), Clock::now() + site_.config.limits.stream_timeout};
  return '"' + *baton + '"';  // base64 needs no escapes
}

void HranaApi::remember_expired(std::string baton, bool lost_nothing, Clock::time_point now) {
  if (expired_.size() >= kExpiredMax) return;
  expired_.emplace(std::move(baton), Expired{now + kExpiredRemembered, lost_nothing});
}

void HranaApi::expire() {
  const auto now = Clock::now();
  for (auto at = resting_.begin(); at != resting_.end();) {
    const Conversation& idle = *at->second.conversation;
    if (at->second.expires > now && site_.access.holds(idle.stream.client())) {
      ++at;
      continue;
    }
    remember_expired(at->first, idle.stream.autocommit() && idle.texts.empty(), now);
    at = resting_.erase(at);
  }
  std::erase_if(expired_, [&](const auto& marker) { return marker.second.forgotten <= now; });
  for (auto* socket : sockets_) socket->expire();
}

// ---- Endpoints ---------------------------------------------------------------------------------

Response HranaApi::refusal(const Error& error) {
  if (error.tag == "HRANA_PROTO_ERROR") return protocol_error(error);
  return json_error(error.code == Code::kBusy ? 503 : 400, error);
}

Task<Response> HranaApi::pipeline(RoutedRequest routed) {
  const auto body = parse_json(routed.request.body);
  if (!body) co_return protocol_error(body.error());
  const Json* requests = body->find("requests");
  if (requests == nullptr || requests->array() == nullptr ||
      requests->array()->size() > kRequestsMax) {
    co_return protocol_error({Code::kInvalid, "a pipeline needs \"requests\", at most 10000", ""});
  }
  auto opened = conversation_of(*body, caller_of(routed));
  if (!opened) co_return refusal(opened.error());
  auto conversation = std::move(*opened);
  HranaStream& stream = conversation->stream;
  JsonWriter results;
  results.begin_array();
  bool closed = false;
  for (const auto& request : *requests->array()) {
    const std::string type = text_of(request, "type");
    HranaAnswer answer = hrana_malformed("the stream was closed by an earlier request");
    if (!closed) {
      auto job = read_hrana_job(type, request, conversation->texts);
      if (job) {
        Task<HranaAnswer> running = run_hrana_job(site_, stream, std::move(*job));
        answer = co_await running;
      } else {
        answer = tl::unexpected(job.error());
      }
    }
    closed = closed || (type == "close");
    write_answer(results, type, answer);
  }
  results.end_array();
  Response response;
  response.session = stream.session();
  const auto baton = closed ? HranaAnswer("null") : rest(std::move(conversation));
  if (!baton) co_return json_error(503, baton.error());
  const std::string list = results.take();
  response.body.reserve(list.size() + 64);
  ((response.body += "{\"baton\":") += *baton) += ",\"base_url\":null,\"results\":";
  (response.body += list) += "}";
  co_return response;
}

Task<Response> HranaApi::cursor(RoutedRequest routed) {
  const auto body = parse_json(routed.request.body);
  if (!body) co_return protocol_error(body.error());
  auto opened = conversation_of(*body, caller_of(routed));
  if (!opened) co_return refusal(opened.error());
  auto conversation = std::move(*opened);
  auto job = read_hrana_batch(*body, conversation->texts);
  if (!job) co_return refusal(job.error());
  Task<Result<std::vector<std::string>>> running =
      run_hrana_cursor(site_, conversation->stream, std::move(*job));
  const auto entries = co_await running;
  if (!entries) co_return refusal(entries.error());
  Response response;
  response.content_type = "text/plain";  // as sqld says; each line is a JSON document
  response.session = conversation->stream.session();
  const auto baton = rest(std::move(conversation));
  if (!baton) co_return json_error(503, baton.error());
  response.body = "{\"baton\":" + *baton + ",\"base_url\":null}\n";
  for (const auto& entry : *entries) response.body += entry + "\n";
  co_return response;
}

// One statement or batch and nothing after it.
Task<Response> HranaApi::alone(RoutedRequest routed, std::string type) {
  auto body = parse_json(routed.request.body);
  if (!body) co_return protocol_error(body.error());
  const auto opened = open(caller_of(routed));
  if (!opened) co_return refusal(opened.error());
  Conversation& conversation = **opened;
  auto job = read_hrana_job(type, *body, conversation.texts);
  if (!job) co_return refusal(job.error());
  Task<HranaAnswer> running = run_hrana_job(site_, conversation.stream, std::move(*job));
  const auto answer = co_await running;
  if (!answer) co_return refusal(answer.error());
  Response response;
  response.session = conversation.stream.session();
  response.body = "{" + *answer + "}";
  co_return response;
}

Task<Response> HranaApi::web_socket(RoutedRequest routed) {
  const auto chosen = subprotocol_of(routed.request.web_socket->subprotocols);
  if (!chosen) co_return protocol_error(chosen.error());
  SqlCaller caller = caller_of(routed);
  if (const auto& header = routed.request.authorization) {
    auto admission = site_.access.admit(header, caller.from, kSocketTarget);
    if (!admission) co_return refused_by_hrana(admission.error());
    caller.client = std::move(*admission);
  }
  Response response;
  response.status = 101;
  if (!chosen->empty()) response.headers.emplace_back("Sec-WebSocket-Protocol", *chosen);
  response.upgrade = [this, caller = std::move(caller)](WebSocket& socket) {
    return serve(socket, caller);
  };
  co_return response;
}

Task<void> HranaApi::serve(WebSocket& web_socket, SqlCaller caller) {
  HranaSocket socket(site_, counts_, web_socket, std::move(caller));
  sockets_.insert(&socket);
  Task<void> serving = socket.serve();
  co_await serving;  // throws nothing
  sockets_.erase(&socket);
}

void HranaApi::add_to(Router& router) {
  const auto pipelines = [this](RoutedRequest r) { return pipeline(std::move(r)); };
  router.add(Method::kPost, "/v2/pipeline", "sql", Right::kRead, pipelines);
  router.add(Method::kPost, "/v3/pipeline", "sql", Right::kRead, pipelines);
  router.add(Method::kPost, "/v3/cursor", "sql", Right::kRead,
             [this](RoutedRequest r) { return cursor(std::move(r)); });
  router.add(Method::kPost, "/v1/execute", "sql", Right::kRead,
             [this](RoutedRequest r) { return alone(std::move(r), "execute"); });
  router.add(Method::kPost, "/v1/batch", "sql", Right::kRead,
             [this](RoutedRequest r) { return alone(std::move(r), "batch"); });
  router.add(Method::kWebSocket, "/", "sql", Right::kOpen,
             [this](RoutedRequest r) { return web_socket(std::move(r)); });
  add_legacy_sql_api(router, site_, counts_);
  // What clients ask before they choose a version, and sqld's own two.
  const auto probe = [](RoutedRequest) -> Task<Response> {
    co_return text_response(200, "this is entente\n");
  };
  for (const auto* path : {"/v1", "/v2", "/v3", "/health", "/version"}) {
    router.add(Method::kGet, path, "sql", Right::kRead, probe);
  }
}

}  // namespace entente
