#include "gateway/http/response_stream.h"

#include <charconv>
#include <string>

#include "gateway/transport/transport_calls.h"

namespace entente {

Task<bool> ResponseStream::send(std::string_view bytes) {
  if (broken_) co_return false;
  writing_ = true;
  deadline_ = Clock::now() + patience_;
  TransportWrite call(transport_, bytes);
  broken_ = static_cast<bool>(co_await call);
  writing_ = false;
  deadline_ = Clock::time_point::max();
  co_return !broken_;
}

Task<bool> ResponseStream::write(std::string_view piece) {
  std::string chunk;
  if (chunked_) {
    char size[16];
    const auto end = std::to_chars(size, size + sizeof size, piece.size(), 16).ptr;
    chunk.reserve(piece.size() + 20);
    chunk.append(size, static_cast<size_t>(end - size)).append("\r\n");
    chunk.append(piece).append("\r\n");
  }
  Task<bool> sending = send(chunked_ ? std::string_view(chunk) : piece);
  co_return co_await sending;
}

Task<bool> ResponseStream::end() {
  if (!chunked_) co_return false;
  Task<bool> sending = send("0\r\n\r\n");
  co_return co_await sending;
}

}  // namespace entente
