#pragma once

#include <cstdint>
#include <memory>

#include "conflict/result.h"
#include "gateway/http/http_connection.h"
#include "topology/config.h"

namespace entente {

// Listens, and keeps connections within limits.connections and their deadlines.
//
// Threads: one, which is also the Loop of everything that answers requests.
class HttpServer {
 public:
  explicit HttpServer(const Limits& limits);
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  Loop& loop();
  boost::asio::any_io_executor executor();  // the loop's
  Result<void> start(const Endpoint& endpoint, HttpService service);
  // From any thread: serves one connection that somebody else accepted, and has read `received`
  // from. `open` makes its service, on the network thread; it is let go with the connection. Of it,
  // `tick` and `stop` are not called.
  using OpenService = std::function<std::shared_ptr<const HttpService>()>;
  void adopt(boost::asio::ip::tcp::socket socket, std::string received, OpenService open);
  // Stops accepting, lets requests in flight finish for up to 10 s, then closes. Idempotent.
  void stop();
  uint16_t port() const;
  size_t connections() const;  // from any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
