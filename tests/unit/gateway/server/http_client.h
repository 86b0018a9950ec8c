#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entente::test {

// A client that says exactly what it is told, byte for byte, and reads what comes. Blocking, with a
// deadline of 10 s on every read.
class HttpClient {
 public:
  explicit HttpClient(uint16_t port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  struct Reply {
    int status = 0;  // 0: the server closed the connection instead
    std::string head;
    std::string body;
    // The value of a header; "" if it is not there.
    std::string header(std::string_view name) const;
  };

  void send(std::string_view bytes);
  // Reads one answer; to a HEAD request it has no body.
  Reply receive(bool to_head = false);
  // `headers`: whole lines, each with its CRLF.
  Reply ask(std::string_view method, std::string_view target, std::string_view body = "",
            std::string_view headers = "");
  // True once the server has closed, with nothing more to read.
  bool closed();

 protected:
  bool read_some();
  std::string in_;

 private:
  int fd_ = -1;
};

}  // namespace entente::test
