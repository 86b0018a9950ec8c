#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "conflict/result.h"
#include "gateway/http/http_connection.h"
#include "gateway/transport/destination.h"
#include "topology/config.h"

namespace entente {

// Listens, and keeps connections within limits.connections and their deadlines.
//
// Bounds:  kHandshakes of TLS under way; the next are accepted later, and the oldest of those that
//          have been at it for kHandshakeGrace gives its place to them.
//
// Threads: one, which is also the Loop of everything that answers requests.
class HttpServer {
 public:
  static constexpr size_t kHandshakes = 64;
  static constexpr std::chrono::seconds kHandshakeGrace{1};

  explicit HttpServer(const Limits& limits);
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  Loop& loop();
  boost::asio::any_io_executor executor();  // the loop's
  // `tls`: how it takes connections; none: plain.
  Result<void> start(const Endpoint& endpoint, HttpService service, TlsStart tls = {});
  // From any thread: serves one connection that somebody else accepted, and has read `received`
  // from. `open` makes its service, on the network thread; it is let go with the connection. Of it,
  // `tick` and `stop` are not called.
  using OpenService = std::function<std::shared_ptr<const HttpService>()>;
  void adopt(Transport transport, std::string received, OpenService open);
  // Stops accepting, lets requests in flight finish for up to 10 s, then closes. Idempotent.
  void stop();
  uint16_t port() const;
  size_t connections() const;  // from any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
