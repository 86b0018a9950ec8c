#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace entente::testing {
namespace {

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
  cut_all();
  ::close(listener_);
}

void TcpProxy::set_up(bool up) {
  up_ = up;
  if (!up) cut_all();
}

void TcpProxy::block(Way way, bool blocked) { blocked_[static_cast<int>(way)] = blocked; }

void TcpProxy::cut_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [a, b] : pairs_) {
    ::shutdown(a, SHUT_RDWR);
    ::shutdown(b, SHUT_RDWR);
  }
}

// Moves what is there; false when the connection is over.
bool TcpProxy::shovel(int from, int to) {
  char bytes[64 * 1024];
  const ssize_t n = ::recv(from, bytes, sizeof bytes, 0);
  for (ssize_t done = 0; done < n;) {
    const ssize_t sent = ::send(to, bytes + done, static_cast<size_t>(n - done), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += sent;
  }
  if (n > 0) bytes_ += static_cast<uint64_t>(n);
  return n > 0;
}

void TcpProxy::run() {
  while (!stop_) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    std::vector<std::pair<int, int>> pairs;
    {
      const std::lock_guard lock(mutex_);
      pairs = pairs_;
    }
    for (const auto& [a, b] : pairs) {  // poll() looks past what is negative
      polled.push_back({blocked_[0] ? -1 : a, POLLIN, 0});
      polled.push_back({blocked_[1] ? -1 : b, POLLIN, 0});
    }
    if (::poll(polled.data(), polled.size(), 20) <= 0) continue;
    std::vector<int> over;
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto [a, b] = pairs[i];
      const bool from_a = polled[1 + 2 * i].revents != 0, from_b = polled[2 + 2 * i].revents != 0;
      const bool fine = (!from_a || shovel(a, b)) && (!from_b || shovel(b, a));
      if (!fine) over.push_back(a);
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(pairs_, [&](const auto& pair) {
      if (std::find(over.begin(), over.end(), pair.first) == over.end()) return false;
      ::close(pair.first);
      ::close(pair.second);
      return true;
    });
    if (polled[0].revents == 0) continue;
    const int a = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int b = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in target = loopback(target_port_);
    if (!up_ || ::connect(b, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
      ::close(a);
      ::close(b);
      continue;
    }
    no_delay(a);
    no_delay(b);
    pairs_.emplace_back(a, b);
  }
}

}  // namespace entente::testing
