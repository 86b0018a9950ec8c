#pragma once

#include <string_view>

#include "conflict/key.h"

namespace entente {

// Which keys a table can have: what others send as a key may be any bytes.
//
// Threads: any, once it is made.
class KeyShape {
 public:
  KeyShape() = default;
  explicit KeyShape(const TableDef& table);

  // True for canonical keys of this table and for nothing else: the right number of parts, no NULL,
  // and each spelled as canonical_key() spells it.
  bool fits(std::string_view key) const;

 private:
  TableDef key_;  // with the key's columns alone, in key order
};

}  // namespace entente
