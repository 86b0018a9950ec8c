#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "conflict/dot.h"
#include "conflict/result.h"
#include "conflict/value.h"

namespace entente {

__extension__ typedef __int128 Int128;

// Appends to a byte string. Integers are big-endian; varints are LEB128 (7 bits a byte, low
// first, at most 10 bytes); strings are a varint length and the bytes.
class ByteWriter {
 public:
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u32(uint32_t v);
  void u64(uint64_t v);
  void varint(uint64_t v);
  void zigzag(int64_t v);
  void wide(Int128 v);  // 16 bytes
  void raw(std::string_view bytes) { out_.append(bytes); }
  void string(std::string_view bytes) { varint(bytes.size()), raw(bytes); }
  void origin(const Origin& o) {
    out_.append(reinterpret_cast<const char*>(o.id.data()), o.id.size());
  }
  void value(const Value& v);

  size_t size() const { return out_.size(); }
  std::string_view view() const { return out_; }
  std::string take() { return std::move(out_); }
  void clear() { out_.clear(); }  // keeps the memory

 private:
  std::string out_;
};

// Reads what ByteWriter wrote, trusting nothing: the first read past the end, or of something
// malformed, makes ok() false for good and yields zeros and empty views from then on, so that a
// decoder may read a whole structure and check once. Views point into the input.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  uint8_t u8() {
    const auto b = raw(1);
    return b.empty() ? 0 : static_cast<uint8_t>(b[0]);
  }
  uint32_t u32();
  uint64_t u64() {
    uint64_t v = 0;
    for (const char c : raw(8)) v = v << 8 | static_cast<uint8_t>(c);
    return v;
  }
  uint64_t varint() {
    if (in_.empty() || static_cast<uint8_t>(in_[0]) >= 0x80) return long_varint();
    return u8();
  }
  int64_t zigzag();
  Int128 wide();
  std::string_view raw(size_t n) {
    if (n > in_.size()) {
      refuse();
      return {};
    }
    const auto bytes = in_.substr(0, n);
    in_.remove_prefix(n);
    return bytes;
  }
  std::string_view string() { return raw(varint()); }
  Origin origin();
  Value value();
  // A count of items that each take at least `min_bytes`: refuses counts that cannot fit.
  size_t count(size_t min_bytes);

  bool ok() const { return ok_; }
  bool done() const { return ok_ && in_.empty(); }
  size_t left() const { return in_.size(); }
  // What has not been read yet.
  std::string_view rest() const { return in_; }

 private:
  uint64_t long_varint();
  void refuse() {
    ok_ = false;
    in_ = {};
  }

  std::string_view in_;  // empty once it is not ok
  bool ok_ = true;
};

// Value encoding, one tag byte first: 0 NULL; 1 integer, zigzag varint; 2 double, 8 bytes; 3 text,
// string; 4 blob, string; 16 + n, n < 240: the integer n itself, and its only encoding, because
// keys are compared as bytes.
inline constexpr uint8_t kTagNull = 0, kTagInteger = 1, kTagReal = 2, kTagText = 3, kTagBlob = 4,
                         kTagSmall = 16;

}  // namespace entente
