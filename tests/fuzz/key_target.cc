// Primary keys in canonical bytes, which peers send and which rows are told apart by.

#include "conflict/key_shape.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

TableDef table_of(Choices& choices) {
  TableDef t{"t", {}};
  const size_t parts = 1 + choices.below(3);
  for (size_t i = 0; i < parts; ++i) {
    ColumnDef c;
    c.name = std::string(1, static_cast<char>('a' + i));
    c.affinity = static_cast<Affinity>(choices.below(5));
    c.collation = static_cast<Collation>(choices.below(3));
    c.key_part = static_cast<uint16_t>(i + 1);
    t.columns.push_back(std::move(c));
  }
  return t;
}

// A canonical key is canonical: its own parts make it again.
void run(std::string_view bytes) {
  Choices choices(bytes);
  const TableDef table = table_of(choices);
  const std::string_view key = choices.rest();
  const auto parts = key_parts(key);
  const KeyShape shape(table);
  const bool is_one = shape.fits(key);
  MUST(parts || !is_one);
  if (!parts) return;
  ByteWriter out;
  for (const auto& part : *parts) out.value(part);
  MUST(out.view() == key);
  const auto canonical = canonical_key(table, *parts);
  MUST(is_one == (canonical && *canonical == key));
  if (!canonical) return;
  MUST(shape.fits(*canonical));
  const auto again = key_parts(*canonical);
  MUST(again && again->size() == parts->size());
  const auto same = canonical_key(table, *again);
  MUST(same && *same == *canonical);
}

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (uint8_t affinity = 0; affinity < 5; ++affinity) {
    for (uint8_t collation = 0; collation < 3; ++collation) {
      ByteWriter bytes;
      bytes.u8(1), bytes.u8(affinity), bytes.u8(collation), bytes.u8(affinity), bytes.u8(0);
      bytes.value(value_at(affinity * 3u + collation));
      bytes.value(value_at(affinity * 3u + collation + 15));
      out.push_back(bytes.take());
    }
  }
  for (size_t i = 0; i < value_count(); ++i) {
    ByteWriter bytes;
    bytes.u8(0), bytes.u8(static_cast<uint8_t>(i % 5)), bytes.u8(static_cast<uint8_t>(i % 3));
    bytes.value(value_at(i));
    out.push_back(bytes.take());
  }
  return out;
}

const Registration registered({"key", run, seeds});

}  // namespace
}  // namespace entente::fuzz
