#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/http_message.h"

namespace entente {

// The answers to requests that carried an Idempotency-Key, so that a client that lost the answer
// can ask again without doing it twice.
//
// Threads:     one.
// Durability:  none: a gateway that was restarted, and other gateways, know no keys.
// Bounds:      the last `most` keys; the oldest that is answered goes first.
class IdempotencyKeys {
 public:
  explicit IdempotencyKeys(size_t most) : most_(most) {}

  // What the key says of this request: nothing (do it, then call done() or failed()), the answer it
  // had, or why it cannot be done now: 409 while the first is still running, 422 if the key belongs
  // to another request.
  std::optional<Response> begin(const std::string& key, std::string_view request);
  void done(const std::string& key, const Response& response);
  void failed(const std::string& key);  // nothing was done: the key is free again

 private:
  using Digest = std::array<uint8_t, 16>;
  struct Known {
    Digest request{};
    std::optional<Response> response;  // absent: still running
  };

  const size_t most_;
  std::map<std::string, Known, std::less<>> known_;
  std::deque<std::string> answered_;  // oldest first
};

}  // namespace entente
