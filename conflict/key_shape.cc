#include "conflict/key_shape.h"

#include <algorithm>

namespace entente {
namespace {

// Reads an integer, or a text that nothing makes anything else of: most parts, and told without a
// copy. False if it may be another one.
bool read_plain_part(const ColumnDef& column, ByteReader& in) {
  const std::string_view rest = in.rest();
  const uint8_t tag = rest.empty() ? kTagNull : static_cast<uint8_t>(rest[0]);
  if (tag == kTagText) {
    if (column.affinity != Affinity::kText || column.collation != Collation::kBinary) return false;
    in.u8();
    in.string();
    return true;
  }
  const bool small = tag >= kTagSmall;
  if (column.affinity == Affinity::kText || (!small && tag != kTagInteger)) return false;
  if (!small && column.affinity == Affinity::kReal) return false;
  in.value();
  return true;
}

}  // namespace

KeyShape::KeyShape(const TableDef& table) : key_{table.name, {}} {
  for (const auto* c : table.key()) key_.columns.push_back(*c);
}

bool KeyShape::fits(std::string_view key) const {
  ByteReader in(key);
  const bool plain = std::all_of(key_.columns.begin(), key_.columns.end(),
                                 [&](const ColumnDef& c) { return read_plain_part(c, in); });
  if (plain) return in.done();
  const auto parts = key_parts(key);
  if (!parts) return false;
  const auto canonical = canonical_key(key_, *parts);
  return canonical && *canonical == key;
}

}  // namespace entente
