#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <coroutine>
#include <string_view>

namespace entente {

// Socket operations as things to await, for coroutines that live on the io_context's one thread.
// None has a deadline of its own: whoever owns the socket closes it when one passes.

// Reads what is there, at least a byte.
class SocketRead {
 public:
  struct Outcome {
    boost::system::error_code error;
    size_t bytes = 0;
  };

  SocketRead(boost::asio::ip::tcp::socket& socket, char* data, size_t size)
      : socket_(socket), buffer_(data, size) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    socket_.async_read_some(buffer_, [this, waiting](boost::system::error_code e, size_t n) {
      outcome_ = {e, n};
      waiting.resume();
    });
  }
  Outcome await_resume() const { return outcome_; }

 private:
  boost::asio::ip::tcp::socket& socket_;
  boost::asio::mutable_buffer buffer_;
  Outcome outcome_;
};

// Writes all of it; does not wait at all when the socket takes it at once. REQUIRES: the socket is
// in non-blocking mode.
class SocketWrite {
 public:
  SocketWrite(boost::asio::ip::tcp::socket& socket, std::string_view bytes)
      : socket_(socket), left_(bytes) {}

  bool await_ready() {
    const size_t n = socket_.write_some(boost::asio::buffer(left_.data(), left_.size()), error_);
    if (error_ == boost::asio::error::would_block) error_.clear();
    left_.remove_prefix(n);
    return error_ || left_.empty();
  }
  void await_suspend(std::coroutine_handle<> waiting) {
    boost::asio::async_write(socket_, boost::asio::buffer(left_.data(), left_.size()),
                             [this, waiting](boost::system::error_code e, size_t) {
                               error_ = e;
                               waiting.resume();
                             });
  }
  boost::system::error_code await_resume() const { return error_; }

 private:
  boost::asio::ip::tcp::socket& socket_;
  std::string_view left_;
  boost::system::error_code error_;
};

// Takes the next connection into `socket`.
class SocketAccept {
 public:
  SocketAccept(boost::asio::ip::tcp::acceptor& acceptor, boost::asio::ip::tcp::socket& socket)
      : acceptor_(acceptor), socket_(socket) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    acceptor_.async_accept(socket_, [this, waiting](boost::system::error_code e) {
      error_ = e;
      waiting.resume();
    });
  }
  boost::system::error_code await_resume() const { return error_; }

 private:
  boost::asio::ip::tcp::acceptor& acceptor_;
  boost::asio::ip::tcp::socket& socket_;
  boost::system::error_code error_;
};

class Pause {
 public:
  Pause(const boost::asio::any_io_executor& executor, std::chrono::milliseconds length)
      : timer_(executor, length) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    timer_.async_wait([waiting](boost::system::error_code) { waiting.resume(); });
  }
  void await_resume() const noexcept {}

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace entente
