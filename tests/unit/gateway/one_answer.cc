#include "tests/unit/gateway/one_answer.h"

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

namespace entente::test {

namespace asio = boost::asio;
using asio::ip::tcp;

OneAnswer::OneAnswer(std::string answer)
    : acceptor_(io_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)),
      thread_([this, text = std::move(answer)] { serve(text); }) {}

OneAnswer::~OneAnswer() {
  if (thread_.joinable()) thread_.join();
}

std::string OneAnswer::url() const {
  return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
}

std::string OneAnswer::request() {
  if (thread_.joinable()) thread_.join();
  return request_;
}

void OneAnswer::serve(const std::string& answer) {
  constexpr std::string_view kLength = "Content-Length: ";
  tcp::socket socket(io_);
  boost::system::error_code ignored;
  acceptor_.accept(socket, ignored);
  const size_t head = asio::read_until(socket, asio::dynamic_buffer(request_), "\r\n\r\n", ignored);
  const size_t at = request_.find(kLength);
  if (at != std::string::npos) {
    const size_t whole = head + std::stoul(request_.substr(at + kLength.size()));
    if (request_.size() < whole) {
      asio::read(socket, asio::dynamic_buffer(request_),
                 asio::transfer_exactly(whole - request_.size()), ignored);
    }
  }
  asio::write(socket, asio::buffer(answer), ignored);
}

std::string http(const std::string& line, const std::string& body) {
  return "HTTP/1.1 " + line + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

}  // namespace entente::test
