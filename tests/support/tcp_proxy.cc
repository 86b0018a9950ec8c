#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace entente::testing {
namespace {

constexpr int kLookMs = 20;
constexpr size_t kQueuedMax = 256 * 1024;  // of one way: what a router keeps
constexpr size_t kPiece = 64 * 1024, kSlowPiece = 2 * 1024;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Counts `bytes` more; where among them a count of `every` ends, if it does.
std::optional<size_t> count(uint64_t every, uint64_t& since, size_t bytes) {
  if (every == 0 || since + bytes < every) {
    since = every == 0 ? 0 : since + bytes;
    return std::nullopt;
  }
  const size_t at = every > since ? static_cast<size_t>(every - since) - 1 : 0;
  since = 0;
  return at;
}

}  // namespace

TcpProxy::TcpProxy(int target_port) : target_port_(target_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  ::listen(listener_, 16);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
  for (const auto& connection : connections_) {
    ::close(connection->ways[0].from);
    ::close(connection->ways[0].to);
  }
  ::close(listener_);
}

void TcpProxy::set_up(bool up) {
  up_ = up;
  if (!up) cut_all();
}

void TcpProxy::block(Way way, bool blocked) { blocked_[index(way)] = blocked; }

void TcpProxy::heal() {
  up_ = true;
  delay_ms_ = 0;
  bytes_per_second_ = 0;
  for (const size_t way : {0, 1}) {
    blocked_[way] = false;
    cut_every_[way] = flip_every_[way] = 0;
  }
}

void TcpProxy::cut_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) {
    connection->over = true;
    ::shutdown(connection->ways[0].from, SHUT_RDWR);
    ::shutdown(connection->ways[0].to, SHUT_RDWR);
  }
}

bool TcpProxy::may_receive(const Connection& connection, size_t way) const {
  const Stream& stream = connection.ways[way];
  return !blocked_[way] && !stream.ended && stream.queued < kQueuedMax;
}

bool TcpProxy::may_send(const Connection& connection, size_t way, Clock::time_point now) const {
  const Stream& stream = connection.ways[way];
  return !blocked_[way] && !stream.pieces.empty() && stream.pieces.front().due <= now;
}

// Does to the bytes what is to be done to them; false when the connection is cut after them.
bool TcpProxy::spoil(size_t way, std::string& bytes) {
  if (const auto at = count(flip_every_[way], since_flip_[way], bytes.size())) {
    bytes[*at] = static_cast<char>(bytes[*at] ^ (1 << flips_++ % 8));
  }
  const auto at = count(cut_every_[way], since_cut_[way], bytes.size());
  if (!at) return true;
  bytes.resize(*at);
  ++cuts_;
  return false;
}

// False when the connection is over.
bool TcpProxy::receive(Stream& stream, size_t way) {
  const uint64_t rate = bytes_per_second_;
  std::string bytes(rate == 0 ? kPiece : kSlowPiece, 0);
  const ssize_t n = ::recv(stream.from, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN;
  stream.ended = n == 0;
  if (stream.ended) return true;
  bytes.resize(static_cast<size_t>(n));
  const bool whole = spoil(way, bytes);
  auto due = Clock::now() + std::chrono::milliseconds(delay_ms_);
  if (!stream.pieces.empty()) due = std::max(due, stream.pieces.back().due);
  if (rate > 0) due += std::chrono::microseconds(bytes.size() * 1'000'000 / rate);
  stream.ended = !whole;
  stream.queued += bytes.size();
  stream.pieces.push_back({due, std::move(bytes)});
  return true;
}

// False when the connection is over.
bool TcpProxy::deliver(Stream& stream) {
  const auto now = Clock::now();
  while (!stream.pieces.empty() && stream.pieces.front().due <= now) {
    std::string& bytes = stream.pieces.front().bytes;
    const ssize_t n = ::send(stream.to, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN;
    bytes_ += static_cast<uint64_t>(n);
    stream.queued -= static_cast<size_t>(n);
    if (static_cast<size_t>(n) == bytes.size()) {
      stream.pieces.pop_front();
    } else {
      bytes.erase(0, static_cast<size_t>(n));
    }
  }
  return true;
}

void TcpProxy::move(Connection& connection) {
  for (const size_t way : {0, 1}) {
    Stream& stream = connection.ways[way];
    if (connection.over || blocked_[way]) continue;
    if (may_receive(connection, way)) connection.over = !receive(stream, way);
    if (!connection.over) connection.over = !deliver(stream);
    if (stream.ended && stream.pieces.empty()) connection.over = true;
  }
}

// How long nothing can be done but what poll() tells of.
int TcpProxy::next_due_ms() const {
  int ms = kLookMs;
  for (const auto& connection : connections_) {
    for (const size_t way : {0, 1}) {
      const auto& pieces = connection->ways[way].pieces;
      if (blocked_[way] || pieces.empty()) continue;
      const auto left = pieces.front().due - Clock::now();
      if (left.count() <= 0) continue;  // it waits for the receiver
      ms = std::min(ms, static_cast<int>(left / std::chrono::milliseconds(1)) + 1);
    }
  }
  return ms;
}

void TcpProxy::accept() {
  const int a = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  const int b = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in target = loopback(target_port_);
  if (!up_ || ::connect(b, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
    ::close(a);
    ::close(b);
    return;
  }
  no_delay(a);
  no_delay(b);
  auto connection = std::make_unique<Connection>();
  connection->ways[0].from = connection->ways[1].to = a;
  connection->ways[0].to = connection->ways[1].from = b;
  connections_.push_back(std::move(connection));
}

void TcpProxy::run() {
  while (!stop_) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    int patience = kLookMs;
    {
      const std::lock_guard lock(mutex_);
      const auto now = Clock::now();
      for (const auto& connection : connections_) {
        for (const size_t way : {0, 1}) {  // poll() looks past what is negative
          const int events = (may_receive(*connection, way) ? POLLIN : 0) |
                             (may_send(*connection, 1 - way, now) ? POLLOUT : 0);
          polled.push_back(
              {events == 0 ? -1 : connection->ways[way].from, static_cast<short>(events), 0});
        }
      }
      patience = next_due_ms();
    }
    ::poll(polled.data(), polled.size(), patience);
    const std::lock_guard lock(mutex_);
    for (const auto& connection : connections_) move(*connection);
    std::erase_if(connections_, [](const auto& connection) {
      if (!connection->over) return false;
      ::close(connection->ways[0].from);
      ::close(connection->ways[0].to);
      return true;
    });
    if (polled[0].revents != 0) accept();
  }
}

}  // namespace entente::testing
