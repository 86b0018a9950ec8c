#include "tests/support/feed_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace entente::testing {

FeedClient::FeedClient(int port, std::string_view target, std::string_view headers,
                       std::string_view version, int received)
    : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (received > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &received, sizeof received);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) return;
  std::string request = "GET /v1/changes";
  request.append(target).append(" HTTP/").append(version).append("\r\n");
  request.append(headers).append("\r\n");
  ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
  size_t end = 0;
  while ((end = bytes_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return;
  }
  head_ = bytes_.substr(0, end + 4);
  bytes_.erase(0, end + 4);
  status_ = std::atoi(head_.c_str() + 9);
  chunked_ = head_.find("Transfer-Encoding: chunked") != std::string::npos;
}

FeedClient::~FeedClient() { ::close(socket_); }

bool FeedClient::fill() {
  char buffer[65536];
  const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
  if (n > 0) bytes_.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

void FeedClient::take_chunks() {
  if (!chunked_) {
    text_ += bytes_;
    bytes_.clear();
    return;
  }
  size_t at = 0;
  for (;;) {
    const size_t data = bytes_.find("\r\n", at);
    if (data == std::string::npos) break;
    const size_t size = std::strtoul(bytes_.c_str() + at, nullptr, 16);
    if (bytes_.size() < data + 2 + size + 2) break;
    ended_ = size == 0;
    longest_piece_ = std::max(longest_piece_, size);
    text_.append(bytes_, data + 2, size);
    at = data + 2 + size + 2;
  }
  bytes_.erase(0, at);
}

std::optional<std::string> FeedClient::line() {
  size_t end = 0;
  while ((end = text_.find('\n')) == std::string::npos) {
    take_chunks();
    if (text_.find('\n') != std::string::npos) continue;
    if (ended_ || !fill()) return std::nullopt;
  }
  std::string line = text_.substr(0, end);
  text_.erase(0, end + 1);
  return line;
}

std::optional<std::string> FeedClient::transaction() {
  for (;;) {
    auto next = line();
    if (!next || next->find("\"dot\":") != std::string::npos) return next;
  }
}

std::string member(const std::string& line, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const size_t at = line.find(key);
  if (at == std::string::npos) return "";
  const size_t from = at + key.size();
  return line.substr(from, line.find('"', from) - from);
}

std::string cursor_now(int port) {
  FeedClient feed(port, "?until=now");
  std::string cursor;
  while (const auto line = feed.line()) cursor = member(*line, "cursor");
  return cursor;
}

bool log_forgets(int port, const std::string& after) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < deadline) {
    if (FeedClient(port, "?until=now&since=" + after).status() == 410) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

}  // namespace entente::testing
