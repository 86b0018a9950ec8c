#include "conflict/schema.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace entente {

const ColumnDef* TableDef::find(std::string_view column) const {
  const auto it = std::find_if(columns.begin(), columns.end(),
                               [&](const ColumnDef& c) { return c.name == column; });
  return it == columns.end() ? nullptr : &*it;
}

std::vector<const ColumnDef*> TableDef::key() const {
  std::vector<const ColumnDef*> parts;
  for (const auto& c : columns) {
    if (c.key_part > 0) parts.push_back(&c);
  }
  std::sort(parts.begin(), parts.end(),
            [](const ColumnDef* a, const ColumnDef* b) { return a->key_part < b->key_part; });
  return parts;
}

Affinity affinity_of(std::string_view declared_type) {
  std::string type(declared_type);
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
  if (has("INT")) return Affinity::kInteger;
  if (has("CHAR") || has("CLOB") || has("TEXT")) return Affinity::kText;
  if (has("BLOB") || type.empty()) return Affinity::kBlob;
  if (has("REAL") || has("FLOA") || has("DOUB")) return Affinity::kReal;
  return Affinity::kNumeric;
}

void encode(ByteWriter& out, const TableDef& table) {
  out.string(table.name);
  out.varint(table.columns.size());
  for (const auto& c : table.columns) {
    out.string(c.name);
    out.string(c.type);
    out.u8(static_cast<uint8_t>(c.affinity));
    out.u8(static_cast<uint8_t>(c.collation));
    out.u8(c.not_null ? 1 : 0);
    out.varint(c.key_part);
  }
}

namespace {

// Key parts count 1, 2, 3 …, each once, and no two columns have one name: otherwise replicas could
// disagree on what the key is.
bool well_formed(const TableDef& table) {
  std::set<std::string_view> names;
  for (const auto& c : table.columns) names.insert(c.name);
  uint16_t part = 0;
  const auto key = table.key();
  return names.size() == table.columns.size() &&
         std::all_of(key.begin(), key.end(),
                     [&](const ColumnDef* c) { return c->key_part == ++part; });
}

Result<ColumnDef> decode_column(ByteReader& in) {
  ColumnDef c;
  c.name = in.string();
  c.type = in.string();
  const uint8_t affinity = in.u8();
  const uint8_t collation = in.u8();
  const uint8_t not_null = in.u8();
  const uint64_t part = in.varint();
  if (affinity > 4 || collation > 2 || not_null > 1 || part > 0xffff) {
    return fail(Code::kInvalid, "a column has an unknown affinity, collation, flag or key part");
  }
  c.affinity = static_cast<Affinity>(affinity);
  c.collation = static_cast<Collation>(collation);
  c.not_null = not_null == 1;
  c.key_part = static_cast<uint16_t>(part);
  return c;
}

}  // namespace

Result<TableDef> decode_table(ByteReader& in) {
  TableDef table{std::string(in.string()), {}};
  const size_t n = in.count(6);
  for (size_t i = 0; i < n && in.ok(); ++i) {
    auto column = decode_column(in);
    if (!column) return tl::unexpected(column.error());
    table.columns.push_back(std::move(*column));
  }
  if (!in.ok()) return fail(Code::kInvalid, "table definition is cut short");
  if (!well_formed(table)) {
    return fail(Code::kInvalid, "table " + table.name + " names a column or a key part twice");
  }
  return table;
}

}  // namespace entente
