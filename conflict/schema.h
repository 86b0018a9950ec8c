#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/codec.h"
#include "conflict/result.h"
#include "conflict/value.h"

namespace entente {

// SQLite's column affinities and collations: they decide which spellings of a key are one key.
enum class Affinity : uint8_t { kBlob, kText, kNumeric, kInteger, kReal };
enum class Collation : uint8_t { kBinary, kNocase, kRtrim };

// What something was called before it was renamed.
struct FormerName {
  std::string name;
  uint64_t until = 0;  // the schema epoch that renamed it
  friend bool operator==(const FormerName&, const FormerName&) = default;
};

// What another table was called, whose rows this one has taken over, and in which schema epochs.
struct AbsorbedName {
  std::string name;
  uint64_t since = 0, until = 0;  // since <= epoch < until
  friend bool operator==(const AbsorbedName&, const AbsorbedName&) = default;
};

struct ColumnDef {
  std::string name;
  std::string type;  // as declared
  Affinity affinity = Affinity::kBlob;
  Collation collation = Collation::kBinary;
  bool not_null = false;
  uint16_t key_part = 0;  // 1-based place in the primary key; 0: not in it
  uint32_t id = 0;        // in its table; whatever it is called, and never given to another
  uint64_t since = 0;     // the schema epoch that added it; 0: it came with the table
  std::vector<FormerName> former = {};  // until ascends
  std::optional<Value> fill = {};  // added later: what rows show in which nobody has written it
  bool rowid = false;  // not declared: the number by which the database tells rows apart itself
  friend bool operator==(const ColumnDef&, const ColumnDef&) = default;
};

// What replication knows of a table: enough for every adapter to create it and to tell its rows
// apart. Columns that the database computes itself (generated ones) are not listed.
//
// Changes name tables and columns as their origin's schema did. Names change hands: what one meant
// is told by the epoch of the schema under which it was said.
struct TableDef {
  std::string name;
  std::vector<ColumnDef> columns;
  uint64_t since = 0;  // the schema epoch that made it
  std::vector<FormerName> former = {};
  uint32_t columns_ever = 0;  // ids given
  uint64_t changed = 0;       // the schema epoch that defined it so
  // Tables that were merged into this one. Who had not heard of it wrote rows to them that have no
  // place here: they are listed as lost.
  std::vector<AbsorbedName> absorbed = {};

  const ColumnDef* find(std::string_view column) const;
  // The column that had this name under the schema of `epoch`; null if there was none, or if it is
  // gone.
  const ColumnDef* find(std::string_view column, uint64_t epoch) const;
  // True if this table had this name under the schema of `epoch`.
  bool was_called(std::string_view table, uint64_t epoch) const;
  // True if it has this name, or had it at any time.
  bool was_ever_called(std::string_view table) const;
  // True if a table that had this name under the schema of `epoch` was merged into this one.
  bool absorbed_one_called(std::string_view table, uint64_t epoch) const;
  // True if it declares no key: its rows are told apart by their numbers.
  bool keyless() const;
  // The key's columns in primary-key order.
  std::vector<const ColumnDef*> key() const;
  friend bool operator==(const TableDef&, const TableDef&) = default;
};

// SQL ignores the case of names.
bool same_name(std::string_view a, std::string_view b);

// True if both are the same table, at different times.
bool same_table(const TableDef& a, const TableDef& b);
// True if both declare the same name, columns and key, whatever came before.
bool declared_alike(const TableDef& a, const TableDef& b);
// True if `later`, a definition of the same table, can be what `earlier` has become: its columns
// are still there under their ids, or are gone.
bool has_become(const TableDef& earlier, const TableDef& later);
// True if rows have the same canonical keys in both.
bool same_key(const TableDef& a, const TableDef& b);

// A table that is made in this schema epoch, from how its columns are declared.
TableDef first_definition(TableDef declared, uint64_t epoch);
// What a table has become in this epoch: `declared` now. Its columns are told by their names, or,
// after a renaming, by their places.
enum class ColumnsBy { kName, kPlace };
TableDef next_definition(const TableDef& was, TableDef declared, ColumnsBy by, uint64_t epoch);

// In this epoch `other` ends, and what was written to it is this table's business.
void absorb(TableDef& into, const TableDef& other, uint64_t epoch);

// A table that is dropped while another holds a copy of its rows goes on under a name that nobody
// can write, until it is known whether the other takes its place: late writes to it are kept there.
TableDef retired_definition(const TableDef& was, uint64_t epoch);
bool is_retired(const TableDef& table);

// The affinity of a declared type by SQLite's rules (https://sqlite.org/datatype3.html, 3.1).
Affinity affinity_of(std::string_view declared_type);

void encode(ByteWriter& out, const TableDef& table);
Result<TableDef> decode_table(ByteReader& in);

}  // namespace entente
