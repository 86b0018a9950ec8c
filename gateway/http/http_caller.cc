#include "gateway/http/http_caller.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "topology/scalars.h"

namespace entente {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

http::request<http::string_body> request_of(HttpQuestion question, const Endpoint& server) {
  const auto verb = question.json.empty() ? http::verb::get : http::verb::post;
  http::request<http::string_body> request(verb, question.path, 11, std::move(question.json));
  request.set(http::field::host, format_endpoint(server));
  for (const auto& [name, value] : question.headers) request.set(name, value);
  if (verb == http::verb::get) return request;
  request.set(http::field::content_type, "application/json");
  request.prepare_payload();
  return request;
}

}  // namespace

struct HttpCaller::Impl : std::enable_shared_from_this<HttpCaller::Impl> {
  Impl(const asio::any_io_executor& executor, Destination destination, size_t bytes)
      : server(std::move(destination)),
        answer_bytes(bytes),
        resolver(executor),
        transport(tcp::socket(executor)),
        deadline(executor) {}

  void ask(HttpQuestion question, Patience given, Done whom);
  void resolve();
  void connect(const tcp::resolver::results_type& places);
  void secure();
  void write();
  void read();
  void answer();
  void wait_until(Clock::time_point when);
  void finish(Result<HttpAnswer> outcome);
  void close();

  // Goes on with `next` unless the question was given up or the operation failed.
  template <class Next>
  auto then(Next next) {
    return [self = shared_from_this(), next](error_code error, auto&&... result) {
      if (!self->done) return;
      if (error) return self->lose(error);
      next(*self, result...);
    };
  }

  void lose(error_code error) {
    const bool heard = sent && !(transport.tls() && transport.tls()->refused());
    const bool hung_up = heard && error != asio::error::timed_out;
    const auto code = heard ? Code::kTimeout : Code::kNotReached;
    finish(fail(code, transport.failure_or(error), hung_up ? kHungUp : ""));
  }

  const Destination server;
  const size_t answer_bytes;
  tcp::resolver resolver;
  Transport transport;
  asio::steady_timer deadline;
  boost::beast::flat_buffer buffer;
  http::request<http::string_body> request;
  std::optional<http::response_parser<http::string_body>> parser;
  Clock::time_point give_up;
  Done done;  // none: nothing is asked
  bool opened = false, closed = false;
  bool sent = false;  // all of the question, to the last byte
};

void HttpCaller::Impl::ask(HttpQuestion question, Patience given, Done whom) {
  done = std::move(whom);
  request = request_of(std::move(question), server.at);
  sent = false;
  const auto now = Clock::now();
  give_up = now + given.answer;
  if (closed) return lose(asio::error::not_connected);
  if (std::exchange(opened, true)) {
    wait_until(give_up);
    return write();
  }
  wait_until(now + std::min(given.connect, given.answer));
  resolve();
}

void HttpCaller::Impl::resolve() {
  resolver.async_resolve(
      server.at.host, std::to_string(server.at.port),
      then([](Impl& self, const tcp::resolver::results_type& places) { self.connect(places); }));
}

void HttpCaller::Impl::connect(const tcp::resolver::results_type& places) {
  asio::async_connect(transport.socket(), places, then([](Impl& self, const auto&) {
                        error_code ignored;
                        self.transport.socket().set_option(tcp::no_delay(true), ignored);
                        self.secure();
                      }));
}

// Reached is a server once it has shown who it is.
void HttpCaller::Impl::secure() {
  const auto reached = [](Impl& self) {
    self.wait_until(self.give_up);
    self.write();
  };
  if (!server.tls) return reached(*this);
  auto session = server.tls();
  if (!session) return finish(fail(Code::kNotReached, session.error().text));
  transport.secure(std::move(*session));
  transport.async_handshake(then(reached));
}

void HttpCaller::Impl::write() {
  http::async_write(transport, request, then([](Impl& self, size_t) {
                      self.sent = true;
                      self.read();
                    }));
}

void HttpCaller::Impl::read() {
  parser.emplace();
  parser->body_limit(answer_bytes);
  http::async_read(transport, buffer, *parser, then([](Impl& self, size_t) { self.answer(); }));
}

void HttpCaller::Impl::answer() {
  auto& message = parser->get();
  const std::string session(message["Entente-Session"]);
  if (!parser->keep_alive()) close();
  finish(HttpAnswer{message.result_int(), std::move(message.body()), session});
}

void HttpCaller::Impl::wait_until(Clock::time_point when) {
  deadline.expires_at(when);
  deadline.async_wait([self = shared_from_this(), when](error_code error) {
    if (!error && self->done && self->deadline.expiry() == when) {
      self->lose(asio::error::timed_out);
    }
  });
}

void HttpCaller::Impl::finish(Result<HttpAnswer> outcome) {
  if (!outcome) close();
  deadline.cancel();
  const Done whom = std::exchange(done, nullptr);
  whom(std::move(outcome));
}

void HttpCaller::Impl::close() {
  closed = true;
  resolver.cancel();
  transport.close();
}

HttpCaller::HttpCaller(const asio::any_io_executor& executor, Destination server,
                       size_t answer_bytes)
    : impl_(std::make_shared<Impl>(executor, std::move(server), answer_bytes)) {}

HttpCaller::~HttpCaller() {
  impl_->done = nullptr;
  impl_->deadline.cancel();
  impl_->close();
}

void HttpCaller::ask(HttpQuestion question, Patience patience, Done done) {
  impl_->ask(std::move(question), patience, std::move(done));
}

Result<HttpAnswer> ask_server(const Destination& server, HttpQuestion question,
                              HttpCaller::Patience patience, size_t answer_bytes) {
  question.headers.emplace_back("Connection", "close");
  asio::io_context io(1);
  HttpCaller caller(io.get_executor(), server, answer_bytes);
  Result<HttpAnswer> answer;
  caller.ask(std::move(question), patience, [&](Result<HttpAnswer> outcome) {
    answer = std::move(outcome);
    io.stop();
  });
  io.run();
  return answer;
}

}  // namespace entente
