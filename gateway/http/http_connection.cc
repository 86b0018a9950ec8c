#include "gateway/http/http_connection.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "gateway/transport/transport_calls.h"

namespace entente {
namespace {

using State = RequestParser::State;

constexpr size_t kFirstBuffer = 4 << 10;
constexpr size_t kLingerBytes = 1 << 20;
constexpr std::chrono::seconds kLingerTime{2};
// Larger bodies are not copied behind their head.
constexpr size_t kCopiedBody = 64 << 10;

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

// `Date`, made anew once a second. The network thread's.
const std::string& http_date() {
  static thread_local std::time_t made_at = 0;
  static thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == made_at) return text;
  std::tm utc{};
  gmtime_r(&now, &utc);
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  made_at = now;
  return text = date;
}

enum class Framing { kLength, kChunks, kUntilClosed };

void append_head(std::string& out, const Response& response, const HttpService& service,
                 Framing framing, bool keep_alive) {
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += reason(response.status);
  out += "\r\nDate: ";
  out += http_date();
  if (response.status != 204) {
    out += "\r\nContent-Type: ";
    out += response.content_type;
    if (framing == Framing::kLength) {
      out += "\r\nContent-Length: ";
      out += std::to_string(response.body.size());
    } else if (framing == Framing::kChunks) {
      out += "\r\nTransfer-Encoding: chunked";
    }
  }
  for (const auto& [name, value] : response.headers) {
    out += "\r\n";
    out += name;
    out += ": ";
    out += value;
  }
  service.append_headers(response, out);
  if (!keep_alive) out += "\r\nConnection: close";
  out += "\r\n\r\n";
}

}  // namespace

HttpConnection::HttpConnection(Transport transport, std::string received, const Limits& limits,
                               const HttpService& service, const bool& stopping)
    : transport_(std::move(transport)),
      limits_(limits),
      service_(service),
      stopping_(stopping),
      parser_(limits),
      in_(std::move(received)),
      end_(in_.size()) {
  in_.resize(std::max(in_.size(), kFirstBuffer));
  boost::system::error_code ignored;
  transport_.socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  transport_.socket().non_blocking(true, ignored);
}

bool HttpConnection::idle() const {
  if (web_socket_) return !web_socket_->busy();
  return stream_ ? stream_->waits_for_client() : idle_;
}

void HttpConnection::close() {
  if (web_socket_) return web_socket_->cut();
  transport_.close();
}

Task<bool> HttpConnection::open(const std::string& plainly) {
  if (!transport_.tls() || transport_.tls()->established()) co_return true;
  allow(limits_.header_timeout);
  TransportHandshake call(transport_);
  const auto error = co_await call;
  if (!error) co_return true;
  if (transport_.tls()->spoke_plainly()) transport_.answer_plainly(plainly);
  Task<void> lingering = linger();
  co_await lingering;
  co_return false;
}

Task<void> HttpConnection::serve() {
  for (;;) {
    Task<bool> reading = read_request();
    if (!co_await reading) co_return;
    deadline_ = Clock::time_point::max();  // the handler has deadlines of its own
    if (parser_.state() == State::kFailed) {
      Task<bool> refusing = answer(parser_.refusal(), false, false);
      if (co_await refusing) {
        Task<void> lingering = linger();
        co_await lingering;
      }
      co_return;
    }
    const bool client_stays = parser_.keep_alive();
    Request request = parser_.take();
    const bool head_only = request.method == Method::kHead;
    const bool chunked = request.takes_chunks;
    auto offer = request.web_socket;
    Task<Response> handling = service_.handle(std::move(request));
    Response response = co_await handling;
    if (response.upgrade && offer) {
      Task<void> upgraded = go_on(std::move(*offer), std::move(response));
      co_await upgraded;
      co_return;
    }
    const bool keep_alive = client_stays && !stopping_;
    if (response.stream && !head_only) {
      Task<bool> streaming = stream_answer(std::move(response), chunked, keep_alive);
      if (!co_await streaming) break;
      parser_.reset();
      continue;
    }
    Task<bool> answering = answer(std::move(response), head_only, keep_alive);
    if (!co_await answering || !keep_alive) break;
    parser_.reset();
  }
  close();
}

Task<bool> HttpConnection::read_request() {
  idle_ = begin_ == end_;
  allow(idle_ ? limits_.idle_timeout : limits_.header_timeout);
  bool continued = false;
  for (;;) {
    const State before = parser_.state();
    begin_ += parser_.feed({in_.data() + begin_, end_ - begin_});
    const State now = parser_.state();
    if (now == State::kDone || now == State::kFailed) co_return true;
    if (before == State::kHead && now == State::kBody) allow(limits_.body_timeout);
    if (now == State::kBody && parser_.expects_continue() && !continued && begin_ == end_) {
      continued = true;
      Task<bool> inviting = send_continue();
      if (!co_await inviting) co_return false;
    }
    Task<bool> reading = read_more();
    if (!co_await reading) co_return false;
    if (idle_) allow(limits_.header_timeout);
    idle_ = false;
  }
}

Task<bool> HttpConnection::read_more() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == in_.size() && begin_ > 0) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // The parser refuses a head past its limit, so that this stops growing.
  if (end_ == in_.size()) {
    if (in_.size() > limits_.header_bytes + kCopiedBody) co_return false;
    in_.resize(in_.size() * 2);
  }
  TransportRead call(transport_, in_.data() + end_, in_.size() - end_);
  const auto outcome = co_await call;
  if (outcome.error) co_return false;
  end_ += outcome.bytes;
  co_return true;
}

Task<bool> HttpConnection::send_continue() {
  TransportWrite call(transport_, "HTTP/1.1 100 Continue\r\n\r\n");
  const auto error = co_await call;
  co_return !error;
}

Task<bool> HttpConnection::answer(Response response, bool head_only, bool keep_alive) {
  allow(limits_.write_timeout);
  out_.clear();
  const auto framing = response.stream ? Framing::kChunks : Framing::kLength;
  append_head(out_, response, service_, framing, keep_alive);
  const bool has_body = !head_only && response.status != 204;
  const bool together = response.body.size() <= kCopiedBody;
  if (has_body && together) out_ += response.body;
  TransportWrite head(transport_, out_);
  auto error = co_await head;
  if (!error && has_body && !together) {
    TransportWrite body(transport_, response.body);
    error = co_await body;
  }
  co_return !error;
}

Task<bool> HttpConnection::stream_answer(Response response, bool chunked, bool keep_alive) {
  out_.clear();
  append_head(out_, response, service_, chunked ? Framing::kChunks : Framing::kUntilClosed,
              keep_alive);
  allow(limits_.write_timeout);
  TransportWrite head(transport_, out_);
  if (co_await head) co_return false;
  stream_.emplace(transport_, deadline_, limits_.write_timeout, chunked);
  Task<void> streaming = response.stream(*stream_);
  co_await streaming;
  Task<bool> ending = stream_->end();
  const bool whole = co_await ending;
  stream_.reset();
  co_return whole&& keep_alive && !stopping_;
}

// A client that sent frames before it was answered has a connection that nobody can make sense of.
Task<void> HttpConnection::go_on(WebSocketOffer offer, Response response) {
  if (begin_ == end_ && !stopping_) {
    web_socket_ = std::make_unique<WebSocket>(std::move(transport_), limits_.body_bytes,
                                              limits_.idle_timeout);
    Task<bool> accepting = web_socket_->accept(offer, response);
    if (co_await accepting) {
      Task<void> living = response.upgrade(*web_socket_);
      co_await living;
    }
  }
  close();
}

Task<void> HttpConnection::linger() {
  transport_.shutdown_send();
  allow(kLingerTime);
  size_t swallowed = 0;
  while (swallowed < kLingerBytes) {
    SocketSwallow call(transport_, in_.data(), in_.size());
    const size_t bytes = co_await call;
    if (bytes == 0) break;
    swallowed += bytes;
  }
  close();
}

}  // namespace entente
