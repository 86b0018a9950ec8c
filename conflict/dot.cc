#include "conflict/dot.h"

namespace entente {

std::string to_hex(const Origin& o) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (const uint8_t byte : o.id) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string to_string(const Dot& d) { return to_hex(d.origin) + ":" + std::to_string(d.seq); }

}  // namespace entente
