#include "conflict/dot.h"

#include "conflict/hex.h"

namespace entente {

std::string to_hex(const Origin& o) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(o.id.data()), o.id.size()));
}

std::string to_string(const Dot& d) { return to_hex(d.origin) + ":" + std::to_string(d.seq); }

}  // namespace entente
