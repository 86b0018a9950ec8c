#include "tests/unit/gateway/server/web_socket_client.h"

namespace entente::test {

std::string masked_frame(std::string_view payload, uint8_t opcode) {
  std::string frame{static_cast<char>(0x80 | opcode)};
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xff);
  }
  return frame + std::string(4, '\0') + std::string(payload);
}

WebSocketClient::WebSocketClient(uint16_t port, std::string_view subprotocols) : HttpClient(port) {
  std::string request =
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (!subprotocols.empty()) {
    request += "Sec-WebSocket-Protocol: " + std::string(subprotocols) + "\r\n";
  }
  send(request + "\r\n");
  answer_ = receive();
}

bool WebSocketClient::have(size_t bytes) {
  while (in_.size() < bytes) {
    if (!read_some()) return false;
  }
  return true;
}

std::string WebSocketClient::next() {
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(in_[i])); };
  for (;;) {
    if (!have(2)) return "gone";
    size_t head = 2, size = byte(1);
    if (size == 126) {
      head = 4;
      if (!have(head)) return "gone";
      size = byte(2) << 8 | byte(3);
    }
    if (!have(head + size)) return "gone";
    const auto opcode = static_cast<Opcode>(byte(0) & 0xf);
    const std::string payload = in_.substr(head, size);
    in_.erase(0, head + size);
    if (opcode == kText) return payload;
    if (opcode == kPing) send_frame(payload, kPong);
    if (opcode == kClose) {
      const auto at = [&](size_t i) { return static_cast<uint8_t>(payload[i]); };
      return payload.size() < 2 ? "closed" : "closed " + std::to_string(at(0) << 8 | at(1));
    }
  }
}

std::string WebSocketClient::say(std::string_view text) {
  send_frame(text);
  return next();
}

}  // namespace entente::test
