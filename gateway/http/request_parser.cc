#include "gateway/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <optional>

#include "gateway/http/problem.h"

namespace entente {
namespace {

namespace http = boost::beast::http;

// simdjson reads this far past the end of a body.
constexpr size_t kPadding = 64;
// A body that is longer takes room as it comes.
constexpr uint64_t kReserved = 64 << 10;
// The least that ends a chunked body: until it is there, nothing is.
constexpr std::string_view kLastChunk = "0\r\n\r\n";

std::string_view view(boost::beast::string_view s) { return {s.data(), s.size()}; }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::kGet;
    case http::verb::head:
      return Method::kHead;
    case http::verb::post:
      return Method::kPost;
    case http::verb::put:
      return Method::kPut;
    case http::verb::patch:
      return Method::kPatch;
    case http::verb::delete_:
      return Method::kDelete;
    case http::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

// `http://host/path` to `/path`.
std::string_view origin_form(std::string_view target) {
  const size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const size_t slash = target.find('/', scheme + 3);
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

std::optional<std::string> header(const http::fields& fields, http::field name) {
  const auto at = fields.find(name);
  if (at == fields.end()) return std::nullopt;
  return std::string(view(at->value()));
}

std::optional<std::string> header(const http::fields& fields, std::string_view name) {
  const auto at = fields.find({name.data(), name.size()});
  if (at == fields.end()) return std::nullopt;
  return std::string(view(at->value()));
}

Response malformed(std::string_view why) { return problem(400, "http", why); }

Response refusal_of(const boost::system::error_code& error, const Limits& limits) {
  if (error == http::error::header_limit) {
    return problem(
        431, "header_limit",
        "the request's head is larger than " + std::to_string(limits.header_bytes) + " bytes");
  }
  if (error == http::error::body_limit) {
    return problem(413, "too_large",
                   "the body is larger than " + std::to_string(limits.body_bytes) +
                       " bytes; send it in parts");
  }
  return malformed("this is not HTTP/1.1 that can be understood without doubt: " + error.message());
}

}  // namespace

struct RequestParser::Impl {
  explicit Impl(const Limits& l) : limits(l) { reset(); }

  void reset() {
    parser.emplace();
    parser->header_limit(static_cast<uint32_t>(limits.header_bytes));
    parser->body_limit(limits.body_bytes);
    state = State::kHead;
    begun = false;
    refusal = {};
  }

  void fail(Response why) {
    refusal = std::move(why);
    state = State::kFailed;
  }

  std::optional<Response> ambiguous_framing() const;
  std::optional<Response> unusable_head() const;
  void head_done();

  const Limits limits;
  std::optional<http::request_parser<http::string_body>> parser;
  State state = State::kHead;
  bool begun = false;
  Response refusal;
  std::optional<std::string> expect;
};

std::optional<Response> RequestParser::Impl::ambiguous_framing() const {
  const auto& head = parser->get();
  const auto encodings = head.count(http::field::transfer_encoding);
  const auto lengths = head.count(http::field::content_length);
  if (lengths > 1) return malformed("two Content-Length headers");
  if (encodings == 0) return std::nullopt;
  if (encodings > 1 ||
      !equals_ignoring_case(view(head[http::field::transfer_encoding]), "chunked")) {
    return malformed("the only Transfer-Encoding understood here is chunked");
  }
  if (lengths > 0) return malformed("Transfer-Encoding and Content-Length in one request");
  if (head.version() < 11) return malformed("Transfer-Encoding in HTTP/1.0");
  return std::nullopt;
}

std::optional<Response> RequestParser::Impl::unusable_head() const {
  if (auto refused = ambiguous_framing()) return refused;
  if (expect && !equals_ignoring_case(*expect, "100-continue")) {
    return problem(417, "expect", "the only expectation met here is 100-continue");
  }
  const auto target = origin_form(view(parser->get().target()));
  const bool whole_server = target == "*" && parser->get().method() == http::verb::options;
  if (!target.starts_with('/') && !whole_server) return malformed("the target is not a path");
  return std::nullopt;
}

void RequestParser::Impl::head_done() {
  expect = header(parser->get(), http::field::expect);
  if (auto refused = unusable_head()) return fail(std::move(*refused));
  const auto length = parser->content_length();
  // What was announced has not come yet.
  parser->get().body().reserve(kPadding + std::min(length.value_or(0), kReserved));
  parser->eager(true);
  state = parser->is_done() ? State::kDone : State::kBody;
}

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::State RequestParser::state() const { return impl_->state; }
bool RequestParser::keep_alive() const {
  return impl_->state == State::kDone && impl_->parser->get().version() >= 11 &&
         impl_->parser->keep_alive();
}
bool RequestParser::expects_continue() const {
  return impl_->expect.has_value() && impl_->parser->get().version() >= 11;
}
Response RequestParser::refusal() { return std::move(impl_->refusal); }
void RequestParser::reset() { impl_->reset(); }

size_t RequestParser::feed(std::string_view bytes) {
  auto& p = *impl_;
  size_t used = 0;
  // A line break before a request, as old clients send after a body (RFC 9112, 2.2).
  while (!p.begun && used < bytes.size() && (bytes[used] == '\r' || bytes[used] == '\n')) ++used;
  p.begun |= used < bytes.size();
  while (used < bytes.size() && (p.state == State::kHead || p.state == State::kBody)) {
    boost::system::error_code error;
    const auto rest = bytes.substr(used);
    // Beast asserts that it never sees less of a last chunk again: "0\r\n", and then a byte more.
    const bool chunked = p.state == State::kBody && p.parser->chunked();
    if (chunked && rest.size() < kLastChunk.size()) break;
    const size_t n = p.parser->put(boost::asio::buffer(rest.data(), rest.size()), error);
    used += n;
    if (error && error != http::error::need_more) {
      p.fail(refusal_of(error, p.limits));
    } else if (p.state == State::kHead && p.parser->is_header_done()) {
      p.head_done();
    } else if (p.parser->is_done()) {
      p.state = State::kDone;
    } else if (error || n == 0) {
      break;  // more bytes are needed
    }
  }
  return used;
}

Request RequestParser::take() {
  auto message = impl_->parser->release();
  Request request;
  request.method = method_of(message.method());
  const auto target = origin_form(view(message.target()));
  const size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  request.session = header(message, "Entente-Session");
  request.if_match = header(message, http::field::if_match);
  request.if_none_match = header(message, http::field::if_none_match);
  request.idempotency_key = header(message, "Idempotency-Key");
  request.gateway = header(message, "Entente-Gateway");
  request.accept = header(message, http::field::accept);
  request.host = header(message, http::field::host);
  request.authorization = header(message, http::field::authorization);
  if (message.count(http::field::authorization) > 1) request.authorization = "";
  request.origin = header(message, http::field::origin);
  request.fetch_site = header(message, "Sec-Fetch-Site");
  request.last_event_id = header(message, "Last-Event-ID");
  request.takes_chunks = message.version() >= 11;
  if (boost::beast::websocket::is_upgrade(message)) {
    request.method = Method::kWebSocket;
    request.web_socket = {header(message, http::field::sec_websocket_key).value_or(""),
                          header(message, http::field::sec_websocket_version).value_or(""),
                          header(message, http::field::sec_websocket_protocol)};
  }
  request.body = std::move(message.body());
  return request;
}

}  // namespace entente
