#include "conflict/codec.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace entente {

void ByteWriter::u32(uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) u8(static_cast<uint8_t>(v >> shift));
}

void ByteWriter::u64(uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8) u8(static_cast<uint8_t>(v >> shift));
}

void ByteWriter::varint(uint64_t v) {
  while (v >= 0x80) {
    u8(static_cast<uint8_t>(v | 0x80));
    v >>= 7;
  }
  u8(static_cast<uint8_t>(v));
}

void ByteWriter::zigzag(int64_t v) {
  varint((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63));
}

void ByteWriter::wide(Int128 v) {
  u64(static_cast<uint64_t>(v >> 64));
  u64(static_cast<uint64_t>(v));
}

void ByteWriter::value(const Value& v) {
  switch (v.index()) {
    case 0:
      return u8(kTagNull);
    case 1: {
      const int64_t i = std::get<int64_t>(v);
      if (i >= 0 && i < 240) return u8(static_cast<uint8_t>(kTagSmall + i));
      u8(kTagInteger);
      return zigzag(i);
    }
    case 2:
      u8(kTagReal);
      return u64(std::bit_cast<uint64_t>(std::get<double>(v)));
    case 3:
      u8(kTagText);
      return string(std::get<std::string>(v));
    default:
      u8(kTagBlob);
      return string(std::get<Blob>(v).bytes);
  }
}

uint32_t ByteReader::u32() {
  uint32_t v = 0;
  for (const char c : raw(4)) v = v << 8 | static_cast<uint8_t>(c);
  return v;
}

uint64_t ByteReader::long_varint() {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t b = u8();
    if (!ok_) return 0;
    // One encoding per number: no bits past the 64th, no padding zeros.
    if ((shift == 63 && b > 1) || (b == 0 && shift > 0)) break;
    v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (!(b & 0x80)) return v;
  }
  refuse();
  return 0;
}

int64_t ByteReader::zigzag() {
  const uint64_t v = varint();
  return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1));
}

Origin ByteReader::origin() {
  Origin o;
  const auto b = raw(o.id.size());
  if (!b.empty()) std::memcpy(o.id.data(), b.data(), b.size());
  return o;
}

Int128 ByteReader::wide() {
  const auto high = static_cast<int64_t>(u64());
  return static_cast<Int128>(high) * (static_cast<Int128>(1) << 64) + u64();
}

Value ByteReader::value() {
  const uint8_t tag = u8();
  if (tag >= kTagSmall) return static_cast<int64_t>(tag - kTagSmall);
  switch (tag) {
    case kTagNull:
      return Null{};
    case kTagInteger: {
      const int64_t i = zigzag();
      if (i < 0 || i >= 240) return i;
      break;  // has a tag of its own: one encoding per value
    }
    case kTagReal: {
      const auto d = std::bit_cast<double>(u64());
      if (!std::isnan(d)) return d;
      break;
    }
    case kTagText:
      return std::string(string());
    case kTagBlob:
      return Blob{std::string(string())};
    default:
      break;
  }
  refuse();
  return Null{};
}

size_t ByteReader::count(size_t min_bytes) {
  const uint64_t n = varint();
  if (ok_ && n <= left() / min_bytes) return n;
  refuse();
  return 0;
}

}  // namespace entente
