#include "tests/support/feed_client.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace entente::testing {

FeedClient::FeedClient(int port, std::string_view target, std::string_view headers,
                       std::string_view version, int received)
    : connection_(port, received) {
  std::string request = "GET /v1/changes";
  request.append(target).append(" HTTP/").append(version).append("\r\n");
  request.append(headers).append("\r\n");
  if (!connection_.send(request)) return;
  size_t end = 0;
  while ((end = bytes_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return;
  }
  head_ = bytes_.substr(0, end + 4);
  bytes_.erase(0, end + 4);
  status_ = std::atoi(head_.c_str() + 9);
  chunked_ = head_.find("Transfer-Encoding: chunked") != std::string::npos;
}

bool FeedClient::fill() { return connection_.receive(bytes_); }

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
