#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <string>

#include "gateway/transport/tls_session.h"

namespace entente {

// Makes the session of one connection, as of now.
using TlsStart = std::function<Result<std::unique_ptr<TlsSession>>()>;

// A TCP connection, plain or with TLS on its own descriptor: an AsyncStream for Beast and Asio.
//
// Threads:   one at a time, that of its io_context; moved_to() takes it to another.
// Ownership: outlives the operations that it has pending; may be moved while it has none.
// Deadlines: none of its own: whoever owns it closes it when one passes.
// Source:    an asio::ssl::stream is bound to its io_context and copies every byte once more.
class Transport {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;
  using error_code = boost::system::error_code;

  explicit Transport(Socket socket) : socket_(std::move(socket)) {}
  Transport(Transport&&) = default;
  Transport& operator=(Transport&&) = default;

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  // Where the other side is, without its port; "" if it is gone already.
  std::string from() const;

  // From here on it is TLS: async_handshake() comes first. REQUIRES: it is connected.
  void secure(std::unique_ptr<TlsSession> session);
  bool secured() const { return tls_ != nullptr; }
  const TlsSession* tls() const { return tls_.get(); }
  // What TLS says that went wrong; "" nothing, or that it is not TLS which failed.
  std::string failure() const { return tls_ ? tls_->failure() : ""; }
  std::string failure_or(const error_code& error) const;
  // The gateway at the other end; null: it has not proved to be one.
  std::shared_ptr<const PeerCertificate> peer() const { return tls_ ? tls_->peer() : nullptr; }

  // The same connection on another io_context. REQUIRES: nothing is pending on it.
  Transport moved_to(boost::asio::io_context& io) &&;

  // What goes at once; would_block: nothing does. REQUIRES: the socket is in non-blocking mode.
  size_t write_now(std::string_view bytes, error_code& error);
  // The other side is not there any more, or has said that it sends no more.
  bool gone();
  // To who spoke no TLS where it is spoken: an HTTP answer with this sentence.
  void answer_plainly(const std::string& sentence);
  // The other side hears that this one leaves, as far as that goes without waiting.
  void goodbye();
  // … and that no more comes.
  void shutdown_send();
  void close();

  template <class Token>
  auto async_handshake(Token&& token) {
    return operate<void(error_code)>([this] { return tls_->handshake(); },
                                     std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    const auto start = [this](auto handler, const Buffers& into) {
      if (!tls_) return socket_.async_read_some(into, std::move(handler));
      const boost::asio::mutable_buffer first = first_of<boost::asio::mutable_buffer>(into);
      operate<void(error_code, size_t)>([this, first] { return read(first); }, std::move(handler));
    };
    return boost::asio::async_initiate<Token, void(error_code, size_t)>(start, token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    const auto start = [this](auto handler, const Buffers& from) {
      if (!tls_) return socket_.async_write_some(from, std::move(handler));
      operate<void(error_code, size_t)>([this, from] { return write(from); }, std::move(handler));
    };
    return boost::asio::async_initiate<Token, void(error_code, size_t)>(start, token, buffers);
  }

 private:
  static constexpr size_t kGathered = 16 << 10;  // one TLS record

  // Tries; waits for the descriptor, and tries again, until it is over.
  template <class Attempt, class Signature>
  struct Operation;

  template <class Signature, class Attempt, class Token>
  auto operate(Attempt attempt, Token&& token) {
    return boost::asio::async_compose<Token, Signature>(
        Operation<Attempt, Signature>{*this, std::move(attempt)}, token, socket_);
  }

  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& buffers) {
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
      const Buffer buffer(*at);
      if (buffer.size() > 0) return buffer;
    }
    return {};
  }

  TlsAttempt read(boost::asio::mutable_buffer into) {
    return into.size() == 0 ? TlsAttempt{} : tls_->read(into.data(), into.size());
  }

  // Small pieces leave together: each record costs a call of the system.
  template <class Buffers>
  TlsAttempt write(const Buffers& from) {
    const auto first = first_of<boost::asio::const_buffer>(from);
    const size_t all = boost::asio::buffer_size(from);
    if (first.size() == all || first.size() >= kGathered) return write_piece(first);
    std::array<char, kGathered> gathered;
    const size_t n = boost::asio::buffer_copy(boost::asio::buffer(gathered), from);
    return write_piece({gathered.data(), n});
  }
  TlsAttempt write_piece(boost::asio::const_buffer piece) {
    return piece.size() == 0 ? TlsAttempt{} : tls_->write(piece.data(), piece.size());
  }

  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
};

template <class Attempt, class Signature>
struct Transport::Operation {
  Transport& transport;
  Attempt attempt;
  TlsAttempt last = {};
  enum class At { kBegun, kPosted, kWaited } at = At::kBegun;

  template <class Self>
  void operator()(Self& self, error_code error = {}) {
    if (error) last = {TlsAttempt::Next::kDone, error, 0};
    if (at != At::kPosted && !error) last = attempt();
    if (last.next == TlsAttempt::Next::kDone) {
      // Who began it must not be called back before it returns.
      if (at != At::kBegun) return complete(self);
      at = At::kPosted;
      return boost::asio::post(std::move(self));
    }
    at = At::kWaited;
    const auto direction =
        last.next == TlsAttempt::Next::kWaitRead ? Socket::wait_read : Socket::wait_write;
    transport.socket_.async_wait(direction, std::move(self));
  }

  template <class Self>
  void complete(Self& self) {
    if constexpr (std::is_same_v<Signature, void(error_code)>) {
      self.complete(last.error);
    } else {
      self.complete(last.error, last.bytes);
    }
  }
};

}  // namespace entente
