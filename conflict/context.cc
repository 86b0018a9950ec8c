#include "conflict/context.h"

#include <algorithm>
#include <utility>

namespace entente {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

std::string to_base64url(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (held += 8; held >= 6; held -= 6) text.push_back(kAlphabet[bits >> (held - 6) & 63]);
  }
  if (held > 0) text.push_back(kAlphabet[bits << (6 - held) & 63]);
  return text;
}

// Refuses every spelling but the one that to_base64url() gives.
bool from_base64url(std::string_view text, std::string& bytes) {
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int d = digit(c);
    if (d < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(d);
    if ((held += 6) >= 8) bytes.push_back(static_cast<char>(bits >> (held -= 8)));
  }
  return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

// A row context was 'c' before it had counters.
constexpr uint8_t kSession = 's', kContext = 'r', kContextBefore = 'c', kFeed = 'f';
constexpr size_t kTokenMax = 64 * 1024;

// The bytes of a token after its kind.
Result<std::string> token_bytes(std::string_view token, uint8_t kind, const char* what) {
  std::string bytes;
  if (token.size() > kTokenMax || !from_base64url(token, bytes) || bytes.empty() ||
      static_cast<uint8_t>(bytes[0]) != kind) {
    return fail(Code::kInvalid, std::string("this is not a ") + what);
  }
  return bytes.substr(1);
}

std::string vector_token(uint8_t kind, const VersionVector& vv) {
  ByteWriter out;
  out.u8(kind);
  encode(out, vv);
  return to_base64url(out.view());
}

Result<VersionVector> parse_vector_token(std::string_view token, uint8_t kind, const char* what) {
  auto bytes = token_bytes(token, kind, what);
  if (!bytes) return tl::unexpected(bytes.error());
  ByteReader in(*bytes);
  auto vv = decode_version_vector(in);
  if (!vv || !in.done()) return fail(Code::kInvalid, std::string("this is not a ") + what);
  return vv;
}

}  // namespace

bool RowContext::covers(const Dot& d) const {
  return seen.covers(d) || std::find(also.begin(), also.end(), d) != also.end();
}

bool RowContext::covers(const VersionVector& vv) const {
  return std::all_of(vv.begin(), vv.end(), [&](const Dot& last) {
    const uint64_t seen_up_to = seen.at(last.origin);
    const auto beyond = std::count_if(also.begin(), also.end(), [&](const Dot& d) {
      return d.origin == last.origin && d.seq > seen_up_to && d.seq <= last.seq;
    });
    return seen_up_to >= last.seq || last.seq - seen_up_to == static_cast<uint64_t>(beyond);
  });
}

VersionVector RowContext::ceiling() const {
  VersionVector vv = seen;
  for (const auto& d : also) vv.advance(d.origin, d.seq);
  return vv;
}

void RowContext::add(const Dot& d) {
  if (covers(d)) return;
  if (seen.at(d.origin) + 1 != d.seq) return also.push_back(d);
  uint64_t seq = d.seq;
  const auto next = [&] { return std::find(also.begin(), also.end(), Dot{d.origin, seq + 1}); };
  for (auto it = next(); it != also.end(); it = next()) also.erase(it), ++seq;
  seen.advance(d.origin, seq);
}

RowContext context_without(VersionVector applied, const std::vector<Dot>& unseen,
                           const std::vector<Dot>& seen) {
  for (const auto& d : unseen) {
    if (applied.covers(d)) applied.set(d.origin, d.seq - 1);
  }
  RowContext context{std::move(applied), {}};
  for (const auto& d : seen) context.add(d);
  return context;
}

std::string session_token(const VersionVector& seen) { return vector_token(kSession, seen); }

Result<VersionVector> parse_session_token(std::string_view token) {
  return parse_vector_token(token, kSession, "session token");
}

std::string feed_cursor(const VersionVector& had) { return vector_token(kFeed, had); }

Result<VersionVector> parse_feed_cursor(std::string_view token) {
  return parse_vector_token(token, kFeed, "cursor of the change feed");
}

std::string context_token(const RowContext& context) {
  ByteWriter out;
  out.u8(kContext);
  encode(out, context.seen);
  const Row none;
  const Row& counters = context.counters ? *context.counters : none;
  out.varint(counters.size());
  for (const auto& [column, value] : counters) out.string(column), out.value(value);
  for (const auto& d : context.also) out.origin(d.origin), out.varint(d.seq);
  return to_base64url(out.view());
}

Result<RowContext> parse_context_token(std::string_view token) {
  if (token_bytes(token, kContextBefore, "row context")) {
    return fail(Code::kPrecondition,
                "the context is of an earlier version of the gateway: read the row again",
                "context_expired");
  }
  auto bytes = token_bytes(token, kContext, "row context");
  if (!bytes) return tl::unexpected(bytes.error());
  ByteReader in(*bytes);
  RowContext context;
  auto seen = decode_version_vector(in);
  if (!seen) return fail(Code::kInvalid, "this is not a row context");
  context.seen = std::move(*seen);
  auto& counters = context.counters.emplace();
  for (uint64_t n = in.varint(); in.ok() && n > 0; --n) {
    std::string column(in.string());
    const bool ascends = counters.empty() || counters.rbegin()->first < column;
    Value value = in.value();
    if (!ascends) return fail(Code::kInvalid, "this is not a row context");
    counters.emplace_hint(counters.end(), std::move(column), std::move(value));
  }
  while (in.ok() && in.left() > 0) {
    const Origin o = in.origin();
    context.add({o, in.varint()});
  }
  if (!in.ok()) return fail(Code::kInvalid, "this is not a row context");
  return context;
}

}  // namespace entente
