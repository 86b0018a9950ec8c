#include "gateway/commands/http_call.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
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

constexpr uint64_t kLongestBody = 16 << 20;

// A blocking connection with one deadline for everything. After the first error it is only good for
// being destroyed.
class Connection {
 public:
  explicit Connection(std::chrono::milliseconds timeout)
      : deadline_(std::chrono::steady_clock::now() + timeout) {}

  error_code connect(const Endpoint& endpoint) {
    tcp::resolver::results_type found;
    const auto unresolved = wait([&](auto done) {
      resolver_.async_resolve(
          endpoint.host, std::to_string(endpoint.port),
          [&found, done](error_code error, tcp::resolver::results_type results) {
            found = std::move(results);
            done(error);
          });
    });
    if (unresolved) return unresolved;
    return wait([&](auto done) {
      asio::async_connect(socket_, found,
                          [done](error_code error, const tcp::endpoint&) { done(error); });
    });
  }

  error_code send(const http::request<http::string_body>& request) {
    return wait([&](auto done) {
      http::async_write(socket_, request, [done](error_code error, size_t) { done(error); });
    });
  }

  error_code receive(http::response_parser<http::string_body>& parser) {
    return wait([&](auto done) {
      http::async_read(socket_, buffer_, parser, [done](error_code error, size_t) { done(error); });
    });
  }

 private:
  // Starts one operation and runs until it is done or the deadline has passed.
  template <class Start>
  error_code wait(Start start) {
    std::optional<error_code> outcome;
    start([&outcome](error_code error) { outcome = error; });
    io_.restart();
    io_.run_until(deadline_);
    return outcome.value_or(asio::error::timed_out);
  }

  asio::io_context io_;
  tcp::resolver resolver_{io_};
  tcp::socket socket_{io_};
  boost::beast::flat_buffer buffer_;
  std::chrono::steady_clock::time_point deadline_;
};

Result<HttpAnswer> call(const Endpoint& endpoint, http::request<http::string_body> request,
                        std::chrono::milliseconds timeout) {
  Connection connection(timeout);
  request.set(http::field::host, format_endpoint(endpoint));
  request.set(http::field::connection, "close");
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLongestBody);
  error_code error = connection.connect(endpoint);
  if (!error) error = connection.send(request);
  if (!error) error = connection.receive(parser);
  if (error) return fail(Code::kTimeout, error.message());
  const auto session = parser.get()["Entente-Session"];
  return HttpAnswer{parser.get().result_int(), std::move(parser.get().body()),
                    std::string(session)};
}

}  // namespace

Result<Endpoint> parse_url(std::string_view url) {
  constexpr std::string_view kHttp = "http://";
  if (!url.starts_with(kHttp)) {
    return fail(Code::kInvalid, "a gateway's URL looks like http://127.0.0.1:8080");
  }
  url.remove_prefix(kHttp.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  auto endpoint = parse_endpoint(url);
  if (endpoint && endpoint->port == 0) return fail(Code::kInvalid, "port 0 cannot be connected to");
  return endpoint;
}

Result<HttpAnswer> http_get(const Endpoint& endpoint, const std::string& path,
                            std::chrono::milliseconds timeout) {
  return call(endpoint, {http::verb::get, path, 11}, timeout);
}

Result<HttpAnswer> http_post(const Endpoint& endpoint, const std::string& path, std::string json,
                             std::chrono::milliseconds timeout, const std::string& session) {
  http::request<http::string_body> request(http::verb::post, path, 11, std::move(json));
  if (!session.empty()) request.set("Entente-Session", session);
  request.set(http::field::content_type, "application/json");
  request.prepare_payload();
  return call(endpoint, std::move(request), timeout);
}

}  // namespace entente
