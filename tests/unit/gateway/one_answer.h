#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <thread>

namespace entente::test {

// A server on loopback that gives one answer to one request.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer);
  ~OneAnswer();
  std::string url() const;
  // What was asked, head and body; call it once the answer has arrived.
  std::string request();

 private:
  void serve(const std::string& answer);

  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::string request_;
  std::thread thread_;
};

// An answer with this status line's end, as in "200 OK".
std::string http(const std::string& line, const std::string& body);

}  // namespace entente::test
