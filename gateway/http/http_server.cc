#include "gateway/http/http_server.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "gateway/async/repeated_line.h"
#include "gateway/async/socket_calls.h"
#include "gateway/http/problem.h"
#include "gateway/transport/listen.h"
#include "topology/scalars.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kStoppingTick{2};
constexpr std::chrono::seconds kDrain{10};
constexpr std::chrono::milliseconds kHandshakePause{10};

// Coroutines that became ready together cross to the network thread in one post.
class IoLoop : public Loop {
 public:
  explicit IoLoop(asio::io_context& io) : io_(io) {}

  void resume(std::coroutine_handle<> coroutine) override {
    {
      const std::lock_guard lock(mutex_);
      ready_.push_back(coroutine);
      if (ready_.size() > 1) return;
    }
    asio::post(io_, [this] { drain(); });
  }

 private:
  void drain() {
    {
      const std::lock_guard lock(mutex_);
      running_.swap(ready_);
    }
    for (const auto coroutine : running_) coroutine.resume();
    running_.clear();
  }

  asio::io_context& io_;
  std::mutex mutex_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
};

void log_throw(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    spdlog::error("client_connection_failed reason=\"{}\"", e.what());
  }
}

}  // namespace

struct HttpServer::Impl {
  explicit Impl(const Limits& l)
      : limits(l), io(1), loop(io), acceptor(io), ticker(io), tasks(log_throw) {}

  Result<void> listen(const Endpoint& endpoint);
  Task<void> accept_all();
  Task<void> serve(Transport transport, std::string received,
                   std::shared_ptr<const HttpService> with);
  Task<bool> open(HttpConnection& connection, std::string from);
  bool room_for_handshake();
  void take(tcp::socket socket);
  void welcome(Transport transport, std::string received, const OpenService& open_service);
  void turn_away(Transport& transport);
  void tick();
  void close_late(HttpConnection::Clock::time_point now);
  void begin_stop();

  const Limits limits;
  std::shared_ptr<const HttpService> service;
  asio::io_context io;
  IoLoop loop;
  tcp::acceptor acceptor;
  asio::steady_timer ticker;
  TaskGroup tasks;
  std::set<HttpConnection*> connections;
  TlsStart tls;
  std::string plainly;  // what who speaks no TLS is told
  struct Handshake {
    HttpConnection* connection;
    HttpConnection::Clock::time_point since;
  };
  std::list<Handshake> handshakes;  // oldest first
  // One of them, while it is under way.
  struct UnderWay {
    std::list<Handshake>& all;
    std::list<Handshake>::iterator here;
    ~UnderWay() { all.erase(here); }
  };
  RepeatedLine refusals;
  std::atomic<size_t> connection_count{0};
  bool stopping = false;
  HttpConnection::Clock::time_point give_up = HttpConnection::Clock::time_point::max();
  uint16_t port = 0;
  std::thread thread;
};

Result<void> HttpServer::Impl::listen(const Endpoint& endpoint) {
  auto listening = listen_on(io, endpoint, "clients");
  if (!listening) return tl::unexpected(listening.error());
  acceptor = std::move(*listening);
  boost::system::error_code error;
  port = acceptor.local_endpoint(error).port();
  plainly = "this port speaks HTTPS: ask https://" + format_endpoint({endpoint.host, port, true});
  return {};
}

Task<void> HttpServer::Impl::accept_all() {
  while (!stopping) {
    while (!room_for_handshake()) {
      Pause pause(io.get_executor(), kHandshakePause);
      co_await pause;
      if (stopping) co_return;
    }
    tcp::socket socket(io);
    SocketAccept call(acceptor, socket);
    const auto error = co_await call;
    if (stopping) co_return;
    if (error) {  // out of file descriptors, most likely: some will be closed
      spdlog::warn("accept_failed reason=\"{}\"", error.message());
      Pause pause(io.get_executor(), std::chrono::milliseconds(100));
      co_await pause;
    } else {
      take(std::move(socket));
    }
  }
}

bool HttpServer::Impl::room_for_handshake() {
  if (handshakes.size() < kHandshakes) return true;
  const auto& oldest = handshakes.front();
  if (HttpConnection::Clock::now() - oldest.since > kHandshakeGrace) oldest.connection->close();
  return false;
}

void HttpServer::Impl::take(tcp::socket socket) {
  Transport transport(std::move(socket));
  if (tls) {
    auto session = tls();
    if (!session) return;
    transport.secure(std::move(*session));
  }
  welcome(std::move(transport), "", [this] { return service; });
}

void HttpServer::Impl::welcome(Transport transport, std::string received,
                               const OpenService& open_service) {
  if (stopping) return;
  if (connections.size() >= limits.connections) return turn_away(transport);
  tasks.spawn(serve(std::move(transport), std::move(received), open_service()));
}

// With TLS it would take a handshake to say so.
void HttpServer::Impl::turn_away(Transport& transport) {
  if (transport.tls() && !transport.tls()->established()) return;
  const auto refusal = problem(503, "busy", "this gateway has as many clients as it may have");
  const std::string full =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
      "Retry-After: 1\r\nConnection: close\r\nContent-Length: " +
      std::to_string(refusal.body.size()) + "\r\n\r\n" + refusal.body;
  boost::system::error_code ignored;
  transport.socket().non_blocking(true, ignored);
  transport.write_now(full, ignored);
}

Task<bool> HttpServer::Impl::open(HttpConnection& connection, std::string from) {
  bool opened = false;
  {
    handshakes.push_back({&connection, HttpConnection::Clock::now()});
    const UnderWay under_way{handshakes, std::prev(handshakes.end())};
    Task<bool> opening = connection.open(plainly);
    opened = co_await opening;
  }
  if (opened || stopping) co_return opened;
  const std::string reason =
      connection.failure().empty() ? "it took too long" : connection.failure();
  const auto now = HttpConnection::Clock::now().time_since_epoch();
  const auto count = refusals.due(reason, std::chrono::duration_cast<RepeatedLine::Instant>(now));
  if (count) {
    spdlog::warn("tls_refused port=clients from={} count={} reason=\"{}\"", from, *count, reason);
  }
  co_return false;
}

Task<void> HttpServer::Impl::serve(Transport transport, std::string received,
                                   std::shared_ptr<const HttpService> with) {
  const bool fresh = transport.tls() && !transport.tls()->established();
  const std::string from = fresh ? transport.from() : "";
  HttpConnection connection(std::move(transport), std::move(received), limits, *with, stopping);
  connections.insert(&connection);
  connection_count = connections.size();
  std::exception_ptr thrown;
  try {
    bool opened = true;
    if (fresh) {
      Task<bool> opening = open(connection, from);
      opened = co_await opening;
    }
    if (opened) {
      Task<void> serving = connection.serve();
      co_await serving;
    }
  } catch (...) {
    thrown = std::current_exception();
  }
  connections.erase(&connection);
  connection_count = connections.size();
  if (thrown) std::rethrow_exception(thrown);
}

// Closes who is late, and while stopping who has nothing to wait for; then ends once nobody is
// left.
void HttpServer::Impl::tick() {
  const auto now = HttpConnection::Clock::now();
  close_late(now);
  service->tick();
  if (stopping && tasks.running() == 0) return;
  ticker.expires_after(stopping ? kStoppingTick : kTick);
  ticker.async_wait([this](boost::system::error_code) { tick(); });
}

void HttpServer::Impl::close_late(HttpConnection::Clock::time_point now) {
  for (auto* connection : connections) {
    const bool finished = stopping && connection->idle();
    if (connection->deadline() <= now || give_up <= now || finished) connection->close();
  }
}

void HttpServer::Impl::begin_stop() {
  stopping = true;
  give_up = HttpConnection::Clock::now() + kDrain;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  service->stop();
  ticker.cancel();
}

HttpServer::HttpServer(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpServer::~HttpServer() { stop(); }

Loop& HttpServer::loop() { return impl_->loop; }
asio::any_io_executor HttpServer::executor() { return impl_->io.get_executor(); }
uint16_t HttpServer::port() const { return impl_->port; }
size_t HttpServer::connections() const { return impl_->connection_count; }

Result<void> HttpServer::start(const Endpoint& endpoint, HttpService service, TlsStart tls) {
  auto& s = *impl_;
  s.tls = std::move(tls);
  s.service = std::make_shared<const HttpService>(std::move(service));
  if (auto listening = s.listen(endpoint); !listening) return listening;
  s.thread = std::thread([&s] {
    s.tasks.spawn(s.accept_all());
    s.tick();
    s.io.run();
  });
  return {};
}

void HttpServer::adopt(Transport transport, std::string received, OpenService open) {
  auto& s = *impl_;
  Transport ours = std::move(transport).moved_to(s.io);
  if (!ours.socket().is_open()) return;
  asio::post(s.io, [&s, ours = std::move(ours), received = std::move(received),
                    open = std::move(open)]() mutable {
    s.welcome(std::move(ours), std::move(received), open);
  });
}

void HttpServer::stop() {
  auto& s = *impl_;
  if (!s.thread.joinable()) return;
  asio::post(s.io, [&s] { s.begin_stop(); });
  s.thread.join();
}

}  // namespace entente
