#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/codec.h"
#include "conflict/result.h"

namespace entente {

// SQLite's column affinities and collations: they decide which spellings of a key are one key.
enum class Affinity : uint8_t { kBlob, kText, kNumeric, kInteger, kReal };
enum class Collation : uint8_t { kBinary, kNocase, kRtrim };

struct ColumnDef {
  std::string name;
  std::string type;  // as declared
  Affinity affinity = Affinity::kBlob;
  Collation collation = Collation::kBinary;
  bool not_null = false;
  uint16_t key_part = 0;  // 1-based place in the primary key; 0: not in it
  friend bool operator==(const ColumnDef&, const ColumnDef&) = default;
};

// What replication knows of a table: enough for every adapter to create it and to tell its rows
// apart. Columns that the database computes itself (generated ones) are not listed.
struct TableDef {
  std::string name;
  std::vector<ColumnDef> columns;

  const ColumnDef* find(std::string_view column) const;
  // The key's columns in primary-key order.
  std::vector<const ColumnDef*> key() const;
  friend bool operator==(const TableDef&, const TableDef&) = default;
};

// The affinity of a declared type by SQLite's rules (https://sqlite.org/datatype3.html, 3.1).
Affinity affinity_of(std::string_view declared_type);

void encode(ByteWriter& out, const TableDef& table);
Result<TableDef> decode_table(ByteReader& in);

}  // namespace entente
