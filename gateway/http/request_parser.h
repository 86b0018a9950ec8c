#pragma once

#include <memory>
#include <string_view>

#include "gateway/http/http_message.h"
#include "topology/limits.h"

namespace entente {

// One HTTP/1.x request out of bytes as they come. Strict about where a message ends, because what
// two parsers read differently is how requests are smuggled: any Transfer-Encoding but exactly
// `chunked`, one beside a Content-Length, two Content-Lengths, and malformed chunk sizes are
// refused.
//
// No I/O. Bounds: limits.header_bytes and body_bytes.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  enum class State { kHead, kBody, kDone, kFailed };
  State state() const;

  // Takes bytes from the front of `bytes` and returns how many. What it leaves must come again,
  // with more behind it, unless the state is final.
  size_t feed(std::string_view bytes);

  // kBody: the client waits for `100 Continue` before it sends the body.
  bool expects_continue() const;
  // kDone or kFailed: the connection may carry another request.
  bool keep_alive() const;

  Request take();      // kDone
  Response refusal();  // kFailed
  // Ready for the next request.
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
