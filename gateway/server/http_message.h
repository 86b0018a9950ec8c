#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entente {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

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
};

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string_view, std::string>> headers;
  std::string session;  // the token of what the client has now seen; "": all applied here
};

}  // namespace entente
