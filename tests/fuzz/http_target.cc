// HTTP requests as they come from a socket: in pieces of any size.

#include "gateway/http/request_parser.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

Limits small_limits() {
  Limits limits;
  limits.header_bytes = 2048;
  limits.body_bytes = 4096;
  return limits;
}

struct Outcome {
  RequestParser::State state = RequestParser::State::kHead;
  bool keep_alive = false;
  std::vector<Request> requests;
};

// Feeds as a connection does: what is left comes again, with more behind it.
Outcome read(std::string_view bytes, size_t piece) {
  RequestParser parser(small_limits());
  Outcome out;
  std::string buffer;
  while (true) {
    const auto more = bytes.substr(0, piece);
    bytes.remove_prefix(more.size());
    buffer += more;
    const size_t used = parser.feed(buffer);
    MUST(used <= buffer.size());
    buffer.erase(0, used);
    out.state = parser.state();
    if (out.state == RequestParser::State::kFailed) {
      MUST(parser.refusal().status >= 400);
      return out;
    }
    if (out.state == RequestParser::State::kDone) {
      out.keep_alive = parser.keep_alive();
      out.requests.push_back(parser.take());
      MUST(out.requests.back().body.size() <= small_limits().body_bytes);
      if (!out.keep_alive) return out;
      parser.reset();
    } else if (more.empty()) {
      return out;
    }
  }
}

void run(std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t piece = 1 + static_cast<uint8_t>(bytes.front()) % 64;
  bytes.remove_prefix(1);
  const Outcome whole = read(bytes, bytes.size() + 1), pieces = read(bytes, piece);
  // A head that cannot become one may be refused at once, or when it is whole.
  MUST(whole.requests.size() == pieces.requests.size());
  for (size_t i = 0; i < whole.requests.size(); ++i) {
    const Request &a = whole.requests[i], &b = pieces.requests[i];
    MUST(a.method == b.method && a.path == b.path && a.query == b.query && a.body == b.body);
    MUST(a.session == b.session && a.if_match == b.if_match);
    MUST(a.path.starts_with('/') || a.path == "*");
  }
  MUST(whole.keep_alive == pieces.keep_alive);
}

const Registration registered({"http", run});

}  // namespace
}  // namespace entente::fuzz
