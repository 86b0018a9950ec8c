#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace entente::testing {

// Connections to this port of 127.0.0.1 are TLS from here on, and take only certificates that a CA
// in this file vouches for. Any thread.
void speak_tls(int port, const std::string& ca_file);

// A blocking connection to a port of 127.0.0.1, plain or with TLS as speak_tls() said. One thread
// at a time.
class Connection {
 public:
  // `received`: the system's buffer; 0: its own choice.
  explicit Connection(int port, int received = 0);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool open() const { return open_; }
  bool send(std::string_view bytes);
  // At least a byte, at the end of `into`; false: it is closed, or silent for 20 s.
  bool receive(std::string& into);

 private:
  struct Tls;
  int socket_;
  bool open_ = false;
  std::unique_ptr<Tls> tls_;
};

}  // namespace entente::testing
