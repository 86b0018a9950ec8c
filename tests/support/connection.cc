#include "tests/support/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <mutex>

namespace entente::testing {
namespace {

struct Context {
  explicit Context(const std::string& ca) : context(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_load_verify_file(context, ca.c_str());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  SSL_CTX* context;  // as long as the process
};

std::mutex mutex;
std::map<int, Context>& contexts() {
  static std::map<int, Context> all;
  return all;
}

SSL_CTX* context_of(int port) {
  const std::lock_guard lock(mutex);
  const auto it = contexts().find(port);
  return it == contexts().end() ? nullptr : it->second.context;
}

}  // namespace

struct Connection::Tls {
  Tls(SSL_CTX* context, int socket) : ssl(SSL_new(context)) {
    SSL_set_fd(ssl, socket);
    SSL_set1_host(ssl, "localhost");
  }
  ~Tls() {
    SSL_shutdown(ssl);
    SSL_free(ssl);
  }
  SSL* ssl;
};

void speak_tls(int port, const std::string& ca_file) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::lock_guard lock(mutex);
  contexts().erase(port);
  contexts().try_emplace(port, ca_file);
}

Connection::Connection(int port, int received)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (received > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &received, sizeof received);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  open_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  SSL_CTX* const context = context_of(port);
  if (!open_ || context == nullptr) return;
  tls_ = std::make_unique<Tls>(context, socket_);
  open_ = SSL_connect(tls_->ssl) == 1;
}

Connection::~Connection() {
  tls_.reset();
  ::close(socket_);
}

bool Connection::send(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const ssize_t n = tls_ ? SSL_write(tls_->ssl, bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return open_;
}

bool Connection::receive(std::string& into) {
  char chunk[16 * 1024];
  if (!open_) return false;
  const ssize_t n =
      tls_ ? SSL_read(tls_->ssl, chunk, sizeof chunk) : ::recv(socket_, chunk, sizeof chunk, 0);
  if (n <= 0) return false;
  into.append(chunk, static_cast<size_t>(n));
  return true;
}

}  // namespace entente::testing
