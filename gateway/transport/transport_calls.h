#pragma once

#include <boost/asio/write.hpp>
#include <coroutine>
#include <string_view>

#include "gateway/transport/transport.h"

namespace entente {

// What one does with a Transport as things to await, for coroutines that live on the io_context's
// one thread. None has a deadline of its own: whoever owns it closes it when one passes.

// Reads what is there, at least a byte.
class TransportRead {
 public:
  struct Outcome {
    boost::system::error_code error;
    size_t bytes = 0;
  };

  TransportRead(Transport& transport, char* data, size_t size)
      : transport_(transport), buffer_(data, size) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    transport_.async_read_some(buffer_, [this, waiting](boost::system::error_code e, size_t n) {
      outcome_ = {e, n};
      waiting.resume();
    });
  }
  Outcome await_resume() const { return outcome_; }

 private:
  Transport& transport_;
  boost::asio::mutable_buffer buffer_;
  Outcome outcome_;
};

// Writes all of it; does not wait at all when the connection takes it at once. REQUIRES: the socket
// is in non-blocking mode.
class TransportWrite {
 public:
  TransportWrite(Transport& transport, std::string_view bytes)
      : transport_(transport), left_(bytes) {}

  bool await_ready() {
    left_.remove_prefix(transport_.write_now(left_, error_));
    if (error_ == boost::asio::error::would_block) error_.clear();
    return error_ || left_.empty();
  }
  void await_suspend(std::coroutine_handle<> waiting) {
    boost::asio::async_write(transport_, boost::asio::buffer(left_.data(), left_.size()),
                             [this, waiting](boost::system::error_code e, size_t) {
                               error_ = e;
                               waiting.resume();
                             });
  }
  boost::system::error_code await_resume() const { return error_; }

 private:
  Transport& transport_;
  std::string_view left_;
  boost::system::error_code error_;
};

// TLS's handshake.
class TransportHandshake {
 public:
  explicit TransportHandshake(Transport& transport) : transport_(transport) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    transport_.async_handshake([this, waiting](boost::system::error_code e) {
      error_ = e;
      waiting.resume();
    });
  }
  boost::system::error_code await_resume() const { return error_; }

 private:
  Transport& transport_;
  boost::system::error_code error_;
};

// What comes below TLS, as it is: until a connection whose handshake failed is read empty.
class SocketSwallow {
 public:
  SocketSwallow(Transport& transport, char* data, size_t size)
      : transport_(transport), buffer_(data, size) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    transport_.socket().async_read_some(buffer_,
                                        [this, waiting](boost::system::error_code e, size_t n) {
                                          ended_ = e || n == 0;
                                          bytes_ = n;
                                          waiting.resume();
                                        });
  }
  // None: nothing more comes.
  size_t await_resume() const { return ended_ ? 0 : bytes_; }

 private:
  Transport& transport_;
  boost::asio::mutable_buffer buffer_;
  bool ended_ = false;
  size_t bytes_ = 0;
};

}  // namespace entente
