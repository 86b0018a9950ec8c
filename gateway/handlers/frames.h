#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "conflict/handler.h"

// What a gateway and the process of a handler say to each other over a socket: frames, each a
// big-endian u32 length and as many bytes. The gateway sends a beginning, then conflicts; the
// process answers each with a reply. Nothing that the process says is trusted.
namespace entente {

constexpr size_t kLargestFrame = 32 << 20;       // bytes
constexpr int kHostSocket = 3, kHostPlugin = 4;  // descriptors of the process

constexpr const char* kGone = "gone";  // tag: the other side closed the socket

using Deadline = std::chrono::steady_clock::time_point;

// Errors: kTimeout; kCorrupt, the other side is gone (kGone) or sends too much; kTooLarge, nothing
// was sent. The deadline needs a socket that does not block; without one, both wait.
Result<void> send_frame(int socket, std::string_view bytes, const Deadline* deadline);
Result<std::string> receive_frame(int socket, const Deadline* deadline);

// What a process is told first.
struct Beginning {
  uint64_t memory = 0;  // bytes that the plug-in may use
  std::string config;   // JSON text
};
std::string encode_beginning(const Beginning& beginning);
Result<Beginning> decode_beginning(std::string_view bytes);

// A reply: a decision (of no meaning for the beginning) or why there is none.
std::string encode_reply(const Result<Decision>& reply);
Result<Result<Decision>> decode_reply(std::string_view bytes);

}  // namespace entente
