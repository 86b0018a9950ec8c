#pragma once

#include "tests/unit/gateway/server/http_client.h"

namespace entente::test {

// One message as a client sends it: masked, with a mask of zeros.
std::string masked_frame(std::string_view payload, uint8_t opcode);

// The same client, gone on in WebSocket.
class WebSocketClient : public HttpClient {
 public:
  // `subprotocols`: "" offers none.
  explicit WebSocketClient(uint16_t port, std::string_view subprotocols = "hrana3");

  // What the offer was answered with.
  const Reply& answer() const { return answer_; }

  enum Opcode : uint8_t { kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
  void send_frame(std::string_view payload, Opcode opcode = kText) {
    send(masked_frame(payload, opcode));
  }
  // The next text; "closed 1008" and the like when the server says goodbye, "gone" when it does
  // not.
  std::string next();
  // Sends and gives the next text.
  std::string say(std::string_view text);

 private:
  bool have(size_t bytes);

  Reply answer_;
};

}  // namespace entente::test
