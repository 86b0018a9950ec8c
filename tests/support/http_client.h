#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/connection.h"

namespace entente::testing {

struct HttpResponse {
  int status = 0;                              // 0: no answer (refused, cut, or timed out)
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// A blocking HTTP/1.1 client on one keep-alive connection to 127.0.0.1, for tests and load: it
// speaks plainly, so that it cannot hide what the server does. One thread at a time.
class HttpClient {
 public:
  explicit HttpClient(int port) : port_(port) {}
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `headers`: whole lines, each ending in \r\n.
  HttpResponse request(std::string_view method, std::string_view target, std::string_view body = "",
                       std::string_view headers = "");
  // Sends these bytes as they are and reads one response.
  HttpResponse raw(std::string_view bytes);
  void close();

 private:
  HttpResponse read_response();

  int port_;
  std::unique_ptr<Connection> connection_;
  std::string buffer_;
};

}  // namespace entente::testing
