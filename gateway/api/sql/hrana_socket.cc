#include "gateway/api/sql/hrana_socket.h"

#include <spdlog/spdlog.h>

namespace entente {
namespace {

void log_throw(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    spdlog::error("sql_request_failed reason=\"{}\"", e.what());
  }
}

Result<int64_t> number(const Json& json, std::string_view name) {
  const Json* member = json.find(name);
  if (member != nullptr && member->integer() != nullptr) return *member->integer();
  return hrana_malformed("\"" + std::string(name) + "\" must be an integer");
}

std::string ok_message(int64_t request_id, const std::string& type, const std::string& members) {
  return R"({"type":"response_ok","request_id":)" + std::to_string(request_id) +
         R"(,"response":{"type":")" + type + '"' + (members.empty() ? "" : "," + members) + "}}";
}

constexpr std::string_view kHelloTarget = "hello";

std::string hello_error(const Refusal& refusal) {
  JsonWriter out;
  out.begin_object().member("type", "hello_error").key("error").begin_object();
  out.member("message", refusal.text).member("code", refusal.meaning().code);
  return out.end_object().end_object().take();
}

std::string error_message(int64_t request_id, const Error& error) {
  JsonWriter out;
  out.begin_object().member("type", "response_error").key("request_id").integer(request_id);
  out.key("error");
  write_hrana_error(out, error);
  return out.end_object().take();
}

}  // namespace

// Awaited by serve() alone. Resumed through the loop: whoever makes room is still running.
struct HranaSocket::Room {
  HranaSocket& socket;
  size_t below;
  bool await_ready() const noexcept { return socket.outstanding_ < below; }
  void await_suspend(std::coroutine_handle<> waiting) {
    socket.room_wanted_below_ = below;
    socket.waits_for_room_ = waiting;
  }
  void await_resume() const noexcept {}
};

HranaSocket::HranaSocket(const Site& site, HranaStream::Counts& counts, WebSocket& socket,
                         SqlCaller caller)
    : site_(site),
      counts_(counts),
      socket_(socket),
      caller_(std::move(caller)),
      tasks_(log_throw) {}
HranaSocket::~HranaSocket() = default;

// ---- The connection ----------------------------------------------------------------------------

Task<void> HranaSocket::serve() {
  Task<void> listening = listen();
  try {
    co_await listening;
  } catch (...) {
    log_throw(std::current_exception());
  }
  gone_ = true;
  socket_.cut();
  cursors_.clear();
  streams_.clear();  // rolls back; those that run do it when their request ends
  Room room{*this, 1};
  co_await room;
}

Task<void> HranaSocket::listen() {
  for (;;) {
    Task<std::optional<std::string>> receiving = socket_.receive();
    auto text = co_await receiving;
    if (!text) co_return;
    Task<Obedience> taking = take(std::move(*text));
    const auto obeyed = co_await taking;
    if (!obeyed) {
      Task<void> closing = goodbye(obeyed.error());
      co_await closing;
      co_return;
    }
    Room room{*this, site_.config.limits.body_bytes};
    co_await room;
  }
}

Task<void> HranaSocket::goodbye(Violation violation) {
  if (std::exchange(closing_, true)) co_return;
  Task<void> closing = socket_.close(violation.code, violation.text);
  co_await closing;
}

// What is open is rolled back before the client has heard of it. Whoever reads finds the connection
// closed.
Task<void> HranaSocket::end_with_token() {
  gone_ = true;
  cursors_.clear();
  streams_.clear();
  Task<void> closing = goodbye({WebSocket::Close::kPolicy, "the token has expired or was revoked"});
  co_await closing;
  socket_.cut();
  answered(kRequestOverhead);
}

void HranaSocket::expire() {
  if (greeted_ && !closing_ && !gone_ && !site_.access.holds(*caller_.client)) {
    outstanding_ += kRequestOverhead;
    return tasks_.spawn(end_with_token());
  }
  for (const auto& [id, stream] : streams_) {
    if (!stream->running) stream->sql.expire();
  }
}

void HranaSocket::answered(size_t bytes) {
  outstanding_ -= bytes;
  socket_.set_busy(outstanding_ > 0);
  if (outstanding_ >= room_wanted_below_) return;
  room_wanted_below_ = 0;
  site_.loop.resume(std::exchange(waits_for_room_, nullptr));
}

Task<HranaSocket::Obedience> HranaSocket::take(std::string text) {
  message_bytes_ = text.size();
  const auto message = parse_json(text);
  if (!message) {
    co_return tl::unexpected(Violation{WebSocket::Close::kBadText, message.error().text});
  }
  const auto type = text_of(*message, "type");
  if (type == "hello") {
    Task<Obedience> greeting = take_hello(*message);
    co_return co_await greeting;
  }
  if (type != "request") {
    co_return tl::unexpected(Violation{WebSocket::Close::kPolicy, "there is no such message"});
  }
  if (!greeted_) {
    co_return tl::unexpected(Violation{WebSocket::Close::kPolicy, "a hello comes first"});
  }
  Task<Obedience> taking = take_request(*message);
  co_return co_await taking;
}

Access::Admission HranaSocket::admit(const Json& message) const {
  const Json* jwt = message.find("jwt");
  const bool silent = jwt == nullptr || jwt->is_null();
  if (silent && caller_.client->may(Right::kRead)) return caller_.client;  // the header said it
  if (silent) return site_.access.admit(std::nullopt, caller_.from, kHelloTarget);
  const auto* token = jwt->string();
  return site_.access.admit_token(token == nullptr ? "" : *token, caller_.from, kHelloTarget);
}

// What it asked of streams that are open stays with whoever opened them.
Task<HranaSocket::Obedience> HranaSocket::take_hello(const Json& message) {
  auto admission = admit(message);
  const bool another = admission && greeted_ && (*admission)->owner != caller_.client->owner;
  if (another) {
    admission = tl::unexpected(
        Refusal{Refusal::Why::kForbidden, "the token is another client's than the connection's"});
  }
  if (!admission) {
    Task<bool> refusing = socket_.send(hello_error(admission.error()));
    co_await refusing;
    co_return tl::unexpected(Violation{WebSocket::Close::kPolicy, admission.error().text});
  }
  caller_.client = std::move(*admission);
  greeted_ = true;
  Task<bool> sending = socket_.send(R"({"type":"hello_ok"})");
  co_await sending;
  co_return Obedience{};
}

Task<HranaSocket::Obedience> HranaSocket::take_request(const Json& message) {
  const auto request_id = number(message, "request_id");
  const Json* request = message.find("request");
  if (!request_id || request == nullptr || request->object() == nullptr) {
    co_return tl::unexpected(
        Violation{WebSocket::Close::kPolicy, "a request needs \"request_id\" and \"request\""});
  }
  const auto type = text_of(*request, "type");
  const auto begun = begin(*request_id, type, *request);
  if (begun && !*begun) co_return Obedience{};
  HranaAnswer now = std::string();
  if (!begun) now = tl::unexpected(begun.error());
  Task<void> answering = answer(*request_id, type, std::move(now));
  co_await answering;
  co_return Obedience{};
}

Task<void> HranaSocket::answer(int64_t request_id, const std::string& type, HranaAnswer answer) {
  Task<bool> sending = socket_.send(answer ? ok_message(request_id, type, *answer)
                                           : error_message(request_id, answer.error()));
  co_await sending;
}

// ---- Requests: true, they are done; false, they wait for their turn ----------------------------

Result<bool> HranaSocket::begin(int64_t request_id, const std::string& type, const Json& request) {
  if (type == "open_stream") return open_stream(request);
  if (type == "close_stream") return close_stream(request_id, request);
  if (type == "open_cursor") return open_cursor(request_id, request);
  if (type == "fetch_cursor") return fetch_cursor(request_id, request);
  if (type == "close_cursor") return close_cursor(request_id, request);
  if (type == "close") return hrana_malformed("a stream is closed by close_stream");
  auto job = read_hrana_job(type, request, texts_);
  if (!job) return tl::unexpected(job.error());
  if (std::holds_alternative<HranaJob::Nothing>(job->what)) return true;
  const auto stream = stream_of(request);
  if (!stream) return tl::unexpected(stream.error());
  enqueue(*stream, {request_id, type, 0, {}, std::move(*job)});
  return false;
}

Result<std::shared_ptr<HranaSocket::Stream>> HranaSocket::stream_of(const Json& request) const {
  const auto id = number(request, "stream_id");
  if (!id) return tl::unexpected(id.error());
  const auto at = streams_.find(*id);
  if (at != streams_.end()) return at->second;
  return fail(Code::kInvalid, "stream " + std::to_string(*id) + " is not open", "STREAM_NOT_FOUND");
}

Result<bool> HranaSocket::open_stream(const Json& request) {
  const auto id = number(request, "stream_id");
  if (!id) return tl::unexpected(id.error());
  if (streams_.contains(*id)) {
    return hrana_malformed("stream " + std::to_string(*id) + " is open already");
  }
  if (auto admitted = admit_stream(site_, counts_); !admitted) {
    return tl::unexpected(admitted.error());
  }
  streams_[*id] = std::make_shared<Stream>(site_, counts_, caller_);
  return true;
}

// After what was asked of the stream before; closing one that is not open is no mistake.
Result<bool> HranaSocket::close_stream(int64_t request_id, const Json& request) {
  const auto id = number(request, "stream_id");
  if (!id) return tl::unexpected(id.error());
  const auto at = streams_.find(*id);
  if (at == streams_.end()) return true;
  const auto stream = std::move(at->second);
  streams_.erase(at);
  std::erase_if(cursors_, [&](const auto& c) { return c.second.stream == stream; });
  enqueue(stream, {request_id, "close_stream", 0, {}, HranaJob{HranaJob::Close{}, std::nullopt}});
  return false;
}

Result<bool> HranaSocket::open_cursor(int64_t request_id, const Json& request) {
  const auto id = number(request, "cursor_id");
  if (!id) return tl::unexpected(id.error());
  const auto stream = stream_of(request);
  if (!stream) return tl::unexpected(stream.error());
  if (cursors_.contains(*id)) {
    return hrana_malformed("cursor " + std::to_string(*id) + " is open already");
  }
  auto batch = read_hrana_batch(request, texts_);
  if (!batch) return tl::unexpected(batch.error());
  const auto cursor = std::make_shared<Cursor>();
  cursors_[*id] = {*stream, cursor};
  enqueue(*stream, {request_id, "open_cursor", 0, {}, OpenCursor{std::move(*batch), cursor}});
  return false;
}

Result<bool> HranaSocket::fetch_cursor(int64_t request_id, const Json& request) {
  const auto id = number(request, "cursor_id");
  if (!id) return tl::unexpected(id.error());
  const auto max_count = number(request, "max_count");
  if (!max_count) return tl::unexpected(max_count.error());
  if (*max_count < 1) return hrana_malformed("\"max_count\" must be at least 1");
  const auto at = cursors_.find(*id);
  if (at == cursors_.end()) {
    return fail(Code::kInvalid, "cursor " + std::to_string(*id) + " is not open",
                "CURSOR_NOT_FOUND");
  }
  enqueue(at->second.stream, {request_id,
                              "fetch_cursor",
                              0,
                              {},
                              FetchCursor{at->second.cursor, static_cast<size_t>(*max_count)}});
  return false;
}

Result<bool> HranaSocket::close_cursor(int64_t request_id, const Json& request) {
  const auto id = number(request, "cursor_id");
  if (!id) return tl::unexpected(id.error());
  const auto at = cursors_.find(*id);
  if (at == cursors_.end()) return true;
  const auto stream = at->second.stream;
  cursors_.erase(at);
  enqueue(stream, {request_id, "close_cursor", 0, {}, Finish{}});
  return false;
}

// ---- Streams -----------------------------------------------------------------------------------

void HranaSocket::enqueue(const std::shared_ptr<Stream>& stream, Queued queued) {
  queued.bytes = message_bytes_ + kRequestOverhead;
  queued.client = caller_.client;
  outstanding_ += queued.bytes;
  socket_.set_busy(true);
  stream->queue.push_back(std::move(queued));
  if (std::exchange(stream->running, true)) return;
  tasks_.spawn(run(stream));
}

Task<void> HranaSocket::run(std::shared_ptr<Stream> stream) {
  while (!stream->queue.empty()) {
    Queued queued = std::move(stream->queue.front());
    stream->queue.pop_front();
    const auto request_id = queued.request_id;
    const auto type = queued.type;
    const auto bytes = queued.bytes;
    if (!gone_) {
      HranaAnswer outcome =
          fail(Code::kSql, "the gateway failed to answer this request", "INTERNAL");
      try {
        stream->sql.act_for({queued.client, caller_.from});
        Task<HranaAnswer> running = run_one(stream->sql, std::move(queued));
        outcome = co_await running;
      } catch (const std::exception& e) {
        spdlog::error("sql_request_failed reason=\"{}\"", e.what());
      }
      Task<void> answering = answer(request_id, type, std::move(outcome));
      co_await answering;
    }
    answered(bytes);
  }
  stream->running = false;
}

std::string HranaSocket::fetch(Cursor& cursor, size_t max_count) {
  std::string out = "\"entries\":[";
  for (size_t i = 0; i < max_count && !cursor.entries.empty(); ++i) {
    out += (i == 0 ? "" : ",") + cursor.entries.front();
    cursor.entries.pop_front();
  }
  return out + "],\"done\":" + (cursor.entries.empty() ? "true" : "false");
}

Task<HranaAnswer> HranaSocket::run_one(HranaStream& sql, Queued queued) {
  if (auto* job = std::get_if<HranaJob>(&queued.work)) {
    Task<HranaAnswer> running = run_hrana_job(site_, sql, std::move(*job));
    co_return co_await running;
  }
  if (auto* open = std::get_if<OpenCursor>(&queued.work)) {
    Task<Result<std::vector<std::string>>> running =
        run_hrana_cursor(site_, sql, std::move(open->batch));
    auto entries = co_await running;
    if (!entries) co_return tl::unexpected(entries.error());
    open->cursor->entries.assign(std::make_move_iterator(entries->begin()),
                                 std::make_move_iterator(entries->end()));
  } else if (auto* fetch = std::get_if<FetchCursor>(&queued.work)) {
    co_return this->fetch(*fetch->cursor, fetch->max_count);
  }
  co_return std::string();
}

}  // namespace entente
