#include "gateway/replica/wire.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "conflict/codec.h"

namespace entente {
namespace {

constexpr uint8_t kMagic = 0xE1;  // 'entente', format 1
constexpr uint8_t kCompressed = 1;
constexpr size_t kChecksumAt = 12;       // what stands before it is covered by it
constexpr size_t kCompressBeyond = 256;  // shorter payloads rarely shrink
constexpr int kCompressionLevel = 1;

struct Head {
  uint8_t magic = 0, type = 0, flags = 0, reserved = 0;
  uint32_t payload = 0;  // bytes that follow
  uint32_t plain = 0;    // bytes once decompressed
  uint64_t checksum = 0;
};

// ---- Payloads ----------------------------------------------------------------------------------

void write(ByteWriter& out, const Hello& h) {
  out.u32(h.protocol);
  out.string(h.cluster);
  out.string(h.dc);
  out.origin(h.incarnation);
  out.string(h.topology);
  out.string(h.rules);
  out.varint(h.handlers.size());
  for (const auto& [name, version] : h.handlers) out.string(name), out.string(version);
  out.u64(h.wall_ms);
  out.varint(h.window);
  out.varint(h.frame_bytes);
  out.varint(h.applied.size());
  for (const auto& p : h.applied) {
    out.origin(p.origin);
    out.string(p.dc);
    out.varint(p.seq);
    out.raw({reinterpret_cast<const char*>(p.chain.data()), p.chain.size()});
  }
  encode(out, h.collected);
}

void write(ByteWriter& out, const Subscribe& s) { out.origin(s.origin), out.varint(s.after); }
void write(ByteWriter& out, const Unsubscribe& u) { out.origin(u.origin); }

void write(ByteWriter& out, const Changes& c) {
  out.varint(c.runs.size());
  for (const auto& run : c.runs) {
    out.origin(run.origin);
    out.varint(run.first);
    out.varint(run.count);
    out.string(run.records);
  }
}

void write(ByteWriter& out, const Credit& c) { out.varint(c.bytes); }

void write(ByteWriter& out, const Vectors& v) {
  out.varint(v.rows.size());
  for (const auto& row : v.rows) {
    out.string(row.dc);
    out.origin(row.incarnation);
    encode(out, row.applied);
    encode(out, row.promise.floor);
    out.varint(row.promise.after);
  }
  out.varint(v.labels.size());
  for (const auto& [origin, dc] : v.labels) out.origin(origin), out.string(dc);
}

void write(ByteWriter& out, const Ping& p) { out.u64(p.t); }
void write(ByteWriter& out, const Pong& p) { out.u64(p.t), out.u64(p.wall_ms); }
void write(ByteWriter& out, const Bye& b) { out.string(b.reason); }
void write(ByteWriter& out, const Trimmed& t) { out.origin(t.origin); }
void write(ByteWriter& out, const Oversized& o) {
  out.origin(o.origin), out.varint(o.seq), out.varint(o.bytes);
}

// Each reads its fields and leaves it to the caller to look at in.ok(); false for values that no
// sender writes.

bool read(ByteReader& in, Hello& h) {
  h.protocol = in.u32();
  h.cluster = in.string();
  h.dc = in.string();
  h.incarnation = in.origin();
  h.topology = in.string();
  h.rules = in.string();
  const size_t handlers = in.count(1 + 1);
  for (size_t i = 0; i < handlers && in.ok(); ++i) {
    std::string name(in.string());
    if (!h.handlers.empty() && name <= h.handlers.rbegin()->first) return false;  // ascending
    h.handlers.emplace(std::move(name), in.string());
  }
  h.wall_ms = in.u64();
  h.window = in.varint();
  h.frame_bytes = in.varint();
  const size_t n = in.count(16 + 1 + 1 + 16);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    Hello::Position p;
    p.origin = in.origin();
    p.dc = in.string();
    p.seq = in.varint();
    const auto chain = in.raw(p.chain.size());
    std::copy(chain.begin(), chain.end(), p.chain.begin());
    h.applied.push_back(std::move(p));
  }
  auto collected = decode_version_vector(in);
  if (!collected) return false;
  h.collected = std::move(*collected);
  return true;
}

bool read(ByteReader& in, Subscribe& s) {
  s.origin = in.origin();
  s.after = in.varint();
  return true;
}

bool read(ByteReader& in, Unsubscribe& u) {
  u.origin = in.origin();
  return true;
}

bool read(ByteReader& in, Changes& c) {
  const size_t n = in.count(16 + 1 + 1 + 1);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    Run run;
    run.origin = in.origin();
    run.first = in.varint();
    run.count = in.varint();
    run.records = in.string();
    // A record takes a byte at least, and seqs do not wrap.
    if (run.first == 0 || run.count == 0 || run.count > run.records.size() ||
        run.first > std::numeric_limits<uint64_t>::max() - run.count) {
      return false;
    }
    c.runs.push_back(std::move(run));
  }
  return true;
}

bool read(ByteReader& in, Credit& c) {
  c.bytes = in.varint();
  return true;
}

bool read(ByteReader& in, Vectors& v) {
  const size_t rows = in.count(1 + 16 + 1 + 1 + 1);
  for (size_t i = 0; i < rows && in.ok(); ++i) {
    MemberVector row;
    row.dc = in.string();
    row.incarnation = in.origin();
    auto applied = decode_version_vector(in);
    if (!applied) return false;
    row.applied = std::move(*applied);
    auto floor = decode_version_vector(in);
    if (!floor) return false;
    row.promise = {std::move(*floor), in.varint()};
    v.rows.push_back(std::move(row));
  }
  const size_t labels = in.count(16 + 1);
  for (size_t i = 0; i < labels && in.ok(); ++i) {
    const Origin origin = in.origin();
    v.labels.emplace_back(origin, in.string());
  }
  return true;
}

bool read(ByteReader& in, Ping& p) {
  p.t = in.u64();
  return true;
}

bool read(ByteReader& in, Pong& p) {
  p.t = in.u64();
  p.wall_ms = in.u64();
  return true;
}

bool read(ByteReader& in, Bye& b) {
  b.reason = in.string();
  return true;
}

bool read(ByteReader& in, Trimmed& t) {
  t.origin = in.origin();
  return true;
}

bool read(ByteReader& in, Oversized& o) {
  o.origin = in.origin();
  o.seq = in.varint();
  o.bytes = in.varint();
  return true;
}

template <class Body>
Result<Frame> read_payload(std::string_view payload) {
  ByteReader in(payload);
  Body body;
  if (!read(in, body) || !in.done()) return fail(Code::kInvalid, "a frame's payload is malformed");
  return Frame(std::move(body));
}

// The type byte of a frame is its place among Frame's alternatives, from 1.
template <size_t Index = 0>
Result<Frame> read_payload_of(uint8_t type, std::string_view payload) {
  if constexpr (Index == std::variant_size_v<Frame>) {
    return fail(Code::kInvalid, "a frame of unknown type " + std::to_string(type));
  } else {
    if (type != Index + 1) return read_payload_of<Index + 1>(type, payload);
    return read_payload<std::variant_alternative_t<Index, Frame>>(payload);
  }
}

// ---- Compression -------------------------------------------------------------------------------

struct FreeContext {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

// Contexts are large and slow to make: one per thread, used again for every frame.
ZSTD_CCtx* compressor() {
  static thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  return context.get();
}

ZSTD_DCtx* decompressor() {
  static thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  return context.get();
}

// Absent when it would not be shorter.
std::optional<std::string> compress(std::string_view plain) {
  if (plain.size() <= kCompressBeyond) return std::nullopt;
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t n = ZSTD_compressCCtx(compressor(), out.data(), out.size(), plain.data(),
                                     plain.size(), kCompressionLevel);
  if (ZSTD_isError(n) || n >= plain.size()) return std::nullopt;
  out.resize(n);
  return out;
}

// REQUIRES: `plain_bytes` was checked against the limit.
Result<std::string> decompress(std::string_view packed, size_t plain_bytes) {
  const auto refused = fail(Code::kInvalid, "a frame does not decompress to what its head says");
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != plain_bytes) return refused;
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size()) return refused;
  std::string plain(plain_bytes, '\0');
  const size_t n =
      ZSTD_decompressDCtx(decompressor(), plain.data(), plain.size(), packed.data(), packed.size());
  if (ZSTD_isError(n) || n != plain_bytes) return refused;
  return plain;
}

// ---- The head ----------------------------------------------------------------------------------

uint64_t checksum(std::string_view head, std::string_view payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(),
                              XXH3_64bits(head.data(), kChecksumAt));
}

Head read_head(std::string_view bytes) {
  ByteReader in(bytes);
  Head h;
  h.magic = in.u8();
  h.type = in.u8();
  h.flags = in.u8();
  h.reserved = in.u8();
  h.payload = in.u32();
  h.plain = in.u32();
  h.checksum = in.u64();
  return h;
}

Result<void> check_head(const Head& head, std::string_view bytes, size_t max_bytes) {
  if (bytes.size() < kFrameHeadBytes) return fail(Code::kInvalid, "a frame is shorter than a head");
  if (head.magic != kMagic) return fail(Code::kInvalid, "not a frame of this format");
  if (head.payload > max_bytes || head.plain > max_bytes) {
    return fail(Code::kTooLarge,
                "a frame of " + std::to_string(std::max(head.payload, head.plain)) +
                    " bytes is beyond limits.frame_bytes, " + std::to_string(max_bytes));
  }
  if (bytes.size() - kFrameHeadBytes != head.payload) {
    return fail(Code::kInvalid, "a frame's length is not what its head says");
  }
  if (checksum(bytes, bytes.substr(kFrameHeadBytes)) != head.checksum) {
    return fail(Code::kInvalid, "a frame's checksum does not match");
  }
  if ((head.flags & ~kCompressed) != 0 || head.reserved != 0) {
    return fail(Code::kInvalid, "a frame with unknown flags");
  }
  if (!(head.flags & kCompressed) && head.plain != head.payload) {
    return fail(Code::kInvalid, "a plain frame with two lengths");
  }
  return {};
}

}  // namespace

Frame to_frame(Message message) {
  return std::visit([](auto& body) { return Frame(std::move(body)); }, message);
}

std::string encode_frame(const Frame& frame) {
  ByteWriter plain;
  std::visit([&](const auto& body) { write(plain, body); }, frame);
  const auto packed = compress(plain.view());
  const std::string_view payload = packed ? std::string_view(*packed) : plain.view();

  ByteWriter out;
  out.u8(kMagic);
  out.u8(static_cast<uint8_t>(frame.index() + 1));
  out.u8(packed ? kCompressed : 0);
  out.u8(0);
  out.u32(static_cast<uint32_t>(payload.size()));
  out.u32(static_cast<uint32_t>(plain.size()));
  out.u64(checksum(out.view(), payload));
  out.raw(payload);
  return out.take();
}

Result<Frame> decode_frame(std::string_view bytes, size_t max_bytes) {
  const Head head = read_head(bytes);
  if (auto ok = check_head(head, bytes, max_bytes); !ok) return tl::unexpected(ok.error());
  const auto payload = bytes.substr(kFrameHeadBytes);
  if (!(head.flags & kCompressed)) return read_payload_of(head.type, payload);
  auto plain = decompress(payload, head.plain);
  if (!plain) return tl::unexpected(plain.error());
  return read_payload_of(head.type, *plain);
}

}  // namespace entente
