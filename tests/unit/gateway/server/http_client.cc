#include "tests/unit/gateway/server/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

namespace entente::test {

HttpClient::HttpClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) std::abort();
}

HttpClient::~HttpClient() { ::close(fd_); }

std::string HttpClient::Reply::header(std::string_view name) const {
  const auto line = "\r\n" + std::string(name) + ": ";
  const size_t at = head.find(line);
  if (at == std::string::npos) return "";
  const size_t from = at + line.size();
  return head.substr(from, head.find("\r\n", from) - from);
}

void HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the server closed: receive() will tell
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

bool HttpClient::read_some() {
  char buffer[16384];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n > 0) in_.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

HttpClient::Reply HttpClient::receive(bool to_head) {
  size_t end = 0;
  while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_some()) return {};
  }
  Reply reply;
  reply.head = in_.substr(0, end + 4);
  reply.status = std::atoi(reply.head.c_str() + 9);
  in_.erase(0, end + 4);
  const size_t length =
      to_head ? 0 : std::strtoul(reply.header("Content-Length").c_str(), nullptr, 10);
  while (in_.size() < length) {
    if (!read_some()) return {};
  }
  reply.body = in_.substr(0, length);
  in_.erase(0, length);
  return reply;
}

HttpClient::Reply HttpClient::ask(std::string_view method, std::string_view target,
                                  std::string_view body, std::string_view headers) {
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  request += headers;
  request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  request += body;
  send(request);
  return receive(method == "HEAD");
}

bool HttpClient::closed() {
  while (read_some()) {
  }
  return in_.empty();
}

}  // namespace entente::test
