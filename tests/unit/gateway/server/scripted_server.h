#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace entente::test {

// An HTTP server on a port of its own that says what it is told, request after request, and then
// closes each connection unanswered. kSilence: it reads the request and waits until the client
// goes.
class ScriptedServer {
 public:
  static constexpr const char* kSilence = "";

  explicit ScriptedServer(std::vector<std::string> answers)
      : answers_(std::move(answers)), thread_([this] { run(); }) {}
  ~ScriptedServer() {
    stopping_ = true;
    boost::system::error_code ignored;
    boost::asio::ip::tcp::socket(io_).connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  // Head and body of each, so far.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;

  void run() {
    while (!stopping_) {
      Socket socket(io_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      while (!error && !stopping_ && serve(socket)) {
      }
    }
  }

  bool serve(Socket& socket) {
    std::string in;
    boost::system::error_code error;
    const size_t head =
        boost::asio::read_until(socket, boost::asio::dynamic_buffer(in), "\r\n\r\n", error);
    if (error) return false;
    const size_t length = std::stoul(in.substr(in.find("Content-Length: ") + 16));
    if (in.size() < head + length) {
      boost::asio::read(socket, boost::asio::dynamic_buffer(in),
                        boost::asio::transfer_exactly(head + length - in.size()), error);
    }
    size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(in);
      number = requests_.size() - 1;
    }
    if (number >= answers_.size()) return false;
    if (answers_[number] == kSilence) {
      char byte = 0;
      boost::asio::read(socket, boost::asio::buffer(&byte, 1), error);
      return false;
    }
    boost::asio::write(socket, boost::asio::buffer(answers_[number]), error);
    return !error;
  }

  const std::vector<std::string> answers_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::thread thread_;
};

// An answer as HTTP.
inline std::string http_answer(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace entente::test
