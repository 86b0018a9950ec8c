#include "gateway/transport/transport.h"

#include <sys/socket.h>

#include <cerrno>

namespace entente {

namespace asio = boost::asio;

void Transport::secure(std::unique_ptr<TlsSession> session) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  tls_ = std::move(session);
  tls_->attach(socket_.native_handle());
}

std::string Transport::failure_or(const error_code& error) const {
  return failure().empty() ? error.message() : failure();
}

Transport Transport::moved_to(asio::io_context& io) && {
  error_code error;
  const auto protocol = socket_.local_endpoint(error).protocol();
  const auto handle = error ? -1 : socket_.release(error);
  Socket socket(io);
  if (!error) socket.assign(protocol, handle, error);
  Transport moved(std::move(socket));
  moved.tls_ = std::move(tls_);
  return moved;
}

size_t Transport::write_now(std::string_view bytes, error_code& error) {
  if (!tls_) return socket_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
  error.clear();
  if (bytes.empty()) return 0;
  const auto attempt = tls_->write(bytes.data(), bytes.size());
  if (attempt.next == TlsAttempt::Next::kDone) {
    error = attempt.error;
  } else {
    error = asio::error::would_block;
  }
  return attempt.bytes;
}

bool Transport::gone() {
  if (tls_) return tls_->gone();
  char byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

std::string Transport::from() const {
  error_code error;
  const auto place = socket_.remote_endpoint(error);
  return error ? "" : place.address().to_string();
}

void Transport::answer_plainly(const std::string& sentence) {
  const std::string answer =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
      "Content-Length: " +
      std::to_string(sentence.size() + 1) + "\r\n\r\n" + sentence + "\n";
  error_code ignored;
  socket_.write_some(asio::buffer(answer), ignored);
}

void Transport::goodbye() {
  if (tls_ && socket_.is_open()) tls_->goodbye();
}

void Transport::shutdown_send() {
  goodbye();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Transport::close() {
  goodbye();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace entente
