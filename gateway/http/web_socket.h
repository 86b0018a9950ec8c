#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/async/task.h"
#include "gateway/http/http_message.h"
#include "gateway/transport/transport.h"

namespace entente {

// A client's connection that goes on in WebSocket: whole texts, both ways.
//
// Threads:   the network thread. One coroutine receives; any number may send.
// Deadlines: a client that sends nothing for `patience`, not even the answer to a ping, is gone.
// Ownership: outlives the coroutines that wait for it.
class WebSocket {
 public:
  // Code numbers of RFC 6455 that say why a connection is closed.
  enum class Close : uint16_t { kNormal = 1000, kNotText = 1003, kBadText = 1007, kPolicy = 1008 };

  WebSocket(Transport transport, size_t message_max, std::chrono::milliseconds patience);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // Answers the offer, with the response's headers. False: it was no good, or the client is gone.
  Task<bool> accept(const WebSocketOffer& offer, const Response& response);
  // The next text; nothing: the client is gone, or sent something else and was told so.
  Task<std::optional<std::string>> receive();
  // Ends when it is written, after what was sent before; false: the client is gone.
  Task<bool> send(std::string text);
  // Says goodbye and why.
  Task<void> close(Close why, std::string_view reason);
  // Closes the socket: whatever waits here goes on, and finds the client gone.
  void cut();

  // Somebody works for the client; a server that stops waits for it.
  bool busy() const { return busy_; }
  void set_busy(bool busy) { busy_ = busy; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  bool busy_ = false;
};

}  // namespace entente
