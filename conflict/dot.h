#pragma once

#include <algorithm>
#include <array>
#include <boost/endian/conversion.hpp>
#include <compare>
#include <cstdint>
#include <span>
#include <string>

#include "conflict/hlc.h"

namespace entente {

// An incarnation: one life of a datacenter's database, a random 128-bit id. The name of the
// datacenter is only a label on it. All zeros is no origin.
struct Origin {
  std::array<uint8_t, 16> id{};

  // In the order of the bytes, but compared as words: everything looks origins up.
  friend bool operator==(const Origin& a, const Origin& b) {
    return a.high() == b.high() && a.low() == b.low();
  }
  friend std::strong_ordering operator<=>(const Origin& a, const Origin& b) {
    return a.high() != b.high() ? a.high() <=> b.high() : a.low() <=> b.low();
  }

 private:
  uint64_t high() const { return boost::endian::load_big_u64(id.data()); }
  uint64_t low() const { return boost::endian::load_big_u64(id.data() + 8); }
};

std::string to_hex(const Origin& o);

// One transaction's identity. seq counts 1, 2, 3 … without gaps; 0 is none.
struct Dot {
  Origin origin;
  uint64_t seq = 0;
  friend bool operator==(const Dot&, const Dot&) = default;
  friend auto operator<=>(const Dot&, const Dot&) = default;
};

// `<32 hex digits>:<seq>`, as the API shows it.
std::string to_string(const Dot& d);

inline bool contains(std::span<const Dot> dots, const Dot& d) {
  return std::find(dots.begin(), dots.end(), d) != dots.end();
}

// What a write is stamped with. Ordered by (HLC, origin, seq): a total order that extends
// causality, because a causally later write always has a larger HLC.
struct Version {
  Hlc hlc;
  Dot dot;
  friend bool operator==(const Version&, const Version&) = default;
  friend auto operator<=>(const Version&, const Version&) = default;
};

}  // namespace entente
