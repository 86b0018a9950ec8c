#include "tests/support/http_client.h"

#include <algorithm>
#include <cctype>

namespace entente::testing {

void HttpClient::close() {
  connection_.reset();
  buffer_.clear();
}

HttpResponse HttpClient::request(std::string_view method, std::string_view target,
                                 std::string_view body, std::string_view headers) {
  std::string bytes;
  bytes.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
  bytes.append(headers);
  if (!body.empty() || method != "GET") {
    bytes.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  bytes.append("\r\n").append(body);
  return raw(bytes);
}

HttpResponse HttpClient::raw(std::string_view bytes) {
  if (!connection_) connection_ = std::make_unique<Connection>(port_);
  if (!connection_->send(bytes)) {
    close();
    return {};
  }
  HttpResponse response = read_response();
  const auto connection = response.headers.find("connection");
  const bool closing = connection != response.headers.end() && connection->second == "close";
  if (response.status == 0 || closing) close();
  return response;
}

HttpResponse HttpClient::read_response() {
  HttpResponse response;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!connection_->receive(buffer_)) return {};
  }
  const std::string head = buffer_.substr(0, end);
  buffer_.erase(0, end + 4);
  if (head.size() < 12) return {};
  response.status = std::stoi(head.substr(9, 3));
  for (size_t at = head.find("\r\n"); at != std::string::npos;) {
    const size_t next = head.find("\r\n", at + 2);
    const std::string line = head.substr(at + 2, next == std::string::npos ? next : next - at - 2);
    const size_t colon = line.find(": ");
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (colon != std::string::npos) response.headers[name] = line.substr(colon + 2);
    at = next;
  }
  const auto length = response.headers.find("content-length");
  const size_t size = length == response.headers.end() ? 0 : std::stoul(length->second);
  while (buffer_.size() < size) {
    if (!connection_->receive(buffer_)) return {};
  }
  response.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return response;
}

}  // namespace entente::testing
