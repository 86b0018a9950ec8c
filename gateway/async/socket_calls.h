#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <coroutine>

namespace entente {

// Socket operations as things to await, for coroutines that live on the io_context's one thread.
// None has a deadline of its own: whoever owns the socket closes it when one passes.

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
