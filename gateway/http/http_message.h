#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/async/task.h"

namespace entente {

class ResponseStream;
class WebSocket;

// kWebSocket: a GET that asks to go on in WebSocket.
enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kPatch,
  kDelete,
  kOptions,
  kWebSocket,
  kOther
};

// What a client says that asks for WebSocket (RFC 6455).
struct WebSocketOffer {
  std::string key;
  std::string version;
  std::optional<std::string> subprotocols;  // a list with commas
};

// What a client asked, free of the wire: the headers that anybody looks at, and the body.
struct Request {
  Method method = Method::kGet;
  std::string path;                    // as sent: still percent-encoded
  std::string query;                   // after the `?`
  std::string body;                    // has room for simdjson's padding
  std::optional<std::string> session;  // Entente-Session
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
  std::optional<std::string> idempotency_key;
  std::optional<std::string> gateway;  // Entente-Gateway: see introduction.h
  std::optional<std::string> accept;
  std::optional<std::string> host;
  std::optional<std::string> authorization;  // "": several of them
  std::string from;                          // the address of whoever asks
  std::optional<std::string> origin;         // Origin: the page that asks, in a browser
  std::optional<std::string> fetch_site;     // Sec-Fetch-Site
  std::optional<std::string> last_event_id;  // Last-Event-ID: an event stream goes on after it
  bool takes_chunks = true;                  // false: HTTP/1.0
  std::optional<WebSocketOffer> web_socket;  // kWebSocket
};

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string_view, std::string>> headers;
  std::string session;    // the token of what the client has now seen; "": all applied here
  bool admitted = false;  // who is told may know what this gateway is, and what it has applied
  // 101: what happens on the connection from now on, instead of HTTP.
  std::function<Task<void>(WebSocket&)> upgrade;
  // Writes the body, which nobody knows the length of yet, instead of `body`.
  std::function<Task<void>(ResponseStream&)> stream;
};

// A sentence for a person, or a probe: text/plain.
inline Response text_response(int status, std::string text) {
  Response response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(text);
  return response;
}

}  // namespace entente
