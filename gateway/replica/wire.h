#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "conflict/result.h"
#include "gateway/replica/messages.h"

namespace entente {

// Are you there? `t` is the sender's own clock and comes back as it went.
struct Ping {
  uint64_t t = 0;
  friend bool operator==(const Ping&, const Ping&) = default;
};

struct Pong {
  uint64_t t = 0;
  uint64_t wall_ms = 0;  // the answering side's Unix clock
  friend bool operator==(const Pong&, const Pong&) = default;
};

// The last thing a side says before it closes the link.
struct Bye {
  std::string reason;
  friend bool operator==(const Bye&, const Bye&) = default;
};

// Everything that crosses a link, one per binary WebSocket message.
using Frame = std::variant<Hello, Subscribe, Unsubscribe, Changes, Credit, Vectors, Ping, Pong, Bye,
                           Trimmed, Oversized>;

Frame to_frame(Message message);

// Before every payload; README.md beside this file lists frames byte by byte.
inline constexpr size_t kFrameHeadBytes = 20;

// REQUIRES: the payload is shorter than 4 GiB.
std::string encode_frame(const Frame& frame);

// Reads one whole frame, trusting nothing: neither side of the compression may exceed `max_bytes`,
// which is checked, like the checksum, before anything is allocated.
// Errors: kTooLarge past max_bytes; kInvalid for whatever encode_frame would not have written.
Result<Frame> decode_frame(std::string_view bytes, size_t max_bytes);

}  // namespace entente
