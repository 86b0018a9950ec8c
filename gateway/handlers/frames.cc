#include "gateway/handlers/frames.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gateway/handlers/owned_conflict.h"

namespace entente {
namespace {

constexpr size_t kHeader = 4;
constexpr size_t kLongestReason = 4096;  // bytes

int left_ms(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
}

tl::unexpected<Error> gone() { return fail(Code::kCorrupt, "its process is gone", kGone); }

// After a call on the socket that moved nothing: waits until it may.
Result<void> wait_for(int socket, short events, const Deadline* deadline) {
  if (errno == EINTR) return {};
  if (errno != EAGAIN || !deadline) return gone();
  const int left = left_ms(*deadline);
  pollfd waiting{socket, events, 0};
  if (left == 0 || ::poll(&waiting, 1, left) == 0) {
    return fail(Code::kTimeout, "it did not answer in time");
  }
  return {};
}

Result<void> send_all(int socket, std::string_view bytes, const Deadline* deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (auto waited = wait_for(socket, POLLOUT, deadline); !waited) {
      return waited;
    }
  }
  return {};
}

Result<void> receive_all(int socket, char* to, size_t size, const Deadline* deadline) {
  while (size > 0) {
    const ssize_t n = ::read(socket, to, size);
    if (n == 0) return gone();
    if (n > 0) {
      to += n;
      size -= static_cast<size_t>(n);
    } else if (auto waited = wait_for(socket, POLLIN, deadline); !waited) {
      return waited;
    }
  }
  return {};
}

}  // namespace

Result<void> send_frame(int socket, std::string_view bytes, const Deadline* deadline) {
  if (bytes.size() > kLargestFrame) {
    return fail(Code::kTooLarge, "it is larger than " + std::to_string(kLargestFrame) + " bytes");
  }
  ByteWriter frame;
  frame.u32(static_cast<uint32_t>(bytes.size()));
  frame.raw(bytes);
  return send_all(socket, frame.view(), deadline);
}

Result<std::string> receive_frame(int socket, const Deadline* deadline) {
  char header[kHeader];
  if (auto got = receive_all(socket, header, kHeader, deadline); !got) {
    return tl::unexpected(got.error());
  }
  const uint32_t size = ByteReader({header, kHeader}).u32();
  if (size > kLargestFrame) return fail(Code::kCorrupt, "it sent more than a frame may hold");
  std::string bytes(size, '\0');
  if (auto got = receive_all(socket, bytes.data(), size, deadline); !got) {
    return tl::unexpected(got.error());
  }
  return bytes;
}

std::string encode_beginning(const Beginning& beginning) {
  ByteWriter out;
  out.u64(beginning.memory);
  out.raw(beginning.config);
  return out.take();
}

Result<Beginning> decode_beginning(std::string_view bytes) {
  ByteReader in(bytes);
  const uint64_t memory = in.u64();
  if (!in.ok()) return fail(Code::kInvalid, "it was told nothing to begin with");
  return Beginning{memory, std::string(in.rest())};
}

std::string encode_reply(const Result<Decision>& reply) {
  ByteWriter out;
  out.u8(reply.has_value());
  if (reply) {
    encode(out, *reply);
  } else {
    out.u8(reply.error().tag == "declined");
    out.raw(reply.error().text);
  }
  return out.take();
}

Result<Result<Decision>> decode_reply(std::string_view bytes) {
  ByteReader in(bytes);
  const bool decided = in.u8() == 1;
  if (!in.ok()) return fail(Code::kCorrupt, "it sent an empty reply");
  if (decided) {
    auto decision = decode_decision(in.rest());
    if (!decision) return fail(Code::kCorrupt, decision.error().text);
    return Result<Decision>(std::move(*decision));
  }
  const bool declined = in.u8() == 1;
  return Result<Decision>(fail(Code::kInvalid, std::string(in.rest().substr(0, kLongestReason)),
                               declined ? "declined" : "failed"));
}

}  // namespace entente
