// Frames as they come over a link.

#include <xxhash.h>

#include "gateway/replica/wire.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

constexpr size_t kFrameMax = 1 << 20;

// A frame around any payload, with the checksum that its sender would have written: a fuzzer does
// not guess those.
std::string framed(uint8_t type, uint8_t flags, uint32_t plain, std::string_view payload) {
  ByteWriter out;
  out.u8(0xE1), out.u8(type), out.u8(flags), out.u8(0);
  out.u32(static_cast<uint32_t>(payload.size())), out.u32(plain);
  out.u64(XXH3_64bits_withSeed(payload.data(), payload.size(),
                               XXH3_64bits(out.view().data(), out.size())));
  out.raw(payload);
  return out.take();
}

void read(std::string_view bytes) {
  const auto frame = decode_frame(bytes, kFrameMax);
  if (!frame) return;
  const std::string once = encode_frame(*frame);
  const auto again = decode_frame(once, kFrameMax);
  MUST(again && again->index() == frame->index());
  MUST(encode_frame(*again) == once);
  // Whatever encode_frame() would not have written is refused; only compressors may differ.
  const auto is_plain = [](std::string_view f) { return f[2] == 0; };
  if (is_plain(bytes) && is_plain(once)) MUST(bytes == once);
}

void run(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto mode = static_cast<uint8_t>(bytes[0]), type = static_cast<uint8_t>(bytes[1]);
  const auto payload = bytes.substr(2);
  if (mode == 0) return read(bytes.substr(1));
  if (mode == 1) return read(framed(type, 0, static_cast<uint32_t>(payload.size()), payload));
  ByteReader in(payload);
  const uint32_t plain = in.u32();
  read(framed(type, 1, plain, in.rest()));
}

std::vector<Frame> frames() {
  Hello hello{5,
              "shop",
              "eu",
              origin_of(1),
              "topology",
              "rules",
              {{"cart", "lua:1"}, {"stock", "2"}},
              1'700'000'000'000,
              8 << 20,
              80 << 20,
              {{origin_of(1), "eu", 7, {}}, {origin_of(2), "us", 300, {}}},
              sample_vector()};
  const std::string record =
      encode_record({{origin_of(9), 1}, Hlc::at(1'700'000'000'000), {}, 0, "dc9", {}}, {});
  ByteWriter records, many;
  records.string(record);
  for (int i = 0; i < 60; ++i) many.string(record);
  return {hello,
          Subscribe{origin_of(1), 300},
          Unsubscribe{origin_of(1)},
          Changes{{{origin_of(9), 1, 1, std::string(records.view())}}},
          Changes{{{origin_of(9), 1, 60, many.take()}}},  // compressed
          Credit{1 << 20},
          Vectors{{{"eu", origin_of(1), sample_vector(), {sample_vector(), 5}}},
                  {{origin_of(2), "us"}}},
          Ping{5},
          Pong{5, 1'700'000'000'000},
          Bye{"that is all"},
          Trimmed{origin_of(2)},
          Oversized{origin_of(2), 5, 1 << 20}};
}

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (const auto& frame : frames()) {
    const std::string bytes = encode_frame(frame);
    const bool packed = bytes[2] != 0;
    std::string seed(1, packed ? '\2' : '\1');
    seed += bytes[1];
    if (packed) seed += bytes.substr(8, 4);
    out.push_back(seed + bytes.substr(kFrameHeadBytes));
    out.push_back(std::string(1, '\0') + bytes);
  }
  return out;
}

const Registration registered({"wire", run, seeds});

}  // namespace
}  // namespace entente::fuzz
