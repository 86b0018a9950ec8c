#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapters/sqlite/catalog.h"
#include "conflict/row_state.h"

namespace entente::sqlite {

// A version as a version row stores it: the origin by its local id. Origin 0 is the version of data
// that was here before the gateway: every context covers it.
struct Stamp {
  int64_t origin = 0;
  uint64_t seq = 0;
  uint64_t hlc = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// A version row: which version each register's visible value has, and what the user's table cannot
// say. In the steady state all registers share the row's stamp and the x column is NULL.
struct RowMeta {
  struct Exception {
    uint32_t group = 0;          // Table::group_ids
    std::optional<Stamp> stamp;  // absent: the register was never written
    friend bool operator==(const Exception&, const Exception&) = default;
  };

  Stamp row;                          // of the register ""
  bool tombstone = false;             // its visible value is an erase
  bool siblings = false;              // some register has more values, in _entente_siblings
  bool quarantined = false;           // a constraint refuses the row: it is not in the user's table
  bool held = false;                  // a handler says that nobody may see the row
  Stamp rest;                         // of the registers not named below
  std::vector<Exception> exceptions;  // by group
  // By group: who set the UNIQUE keys, where it was not the register's version. Never the existence
  // of a row whose columns are in other registers.
  std::vector<std::pair<uint32_t, Stamp>> keys_set;
  std::vector<std::pair<uint32_t, Value>> retained;  // by column id: values that the user's table
                                                     // does not hold (tombstone, quarantined)

  bool simple() const { return !siblings && !quarantined; }
  // The stamp of a register other than ""; nullptr if it was never written.
  const Stamp* of(uint32_t group) const;
  // Every register now has `stamp`.
  void put_all(const Stamp& stamp);
  // Who set the UNIQUE keys in a register whose version is `stamp`.
  const Stamp& keys_set_in(uint32_t group, const Stamp& stamp) const;
  // This register came to the table when `applied` was all there was: what has a version of then
  // has not written it.
  void not_written(uint32_t group, const Applied& applied);
  // The row and these registers now have `stamp`; the others keep theirs.
  void put(const Table& table, const std::vector<size_t>& groups, const Stamp& stamp);
};

// The x column. "" stands for NULL. Format in README.md.
std::string encode_extras(const RowMeta& meta);
// Fills in everything but `row`. kCorrupt if the bytes are not ours.
Result<void> decode_extras(std::string_view x, RowMeta& meta);

Stamp stamp_of(const World& world, const Version& version);
Version version_of(const World& world, const Stamp& stamp);
// A version in a side table's bytes, as its stamp.
void append_version(ByteWriter& out, const World& world, const Version& version);
Version read_version(const World& world, ByteReader& in);
bool covered(const World& world, const Stamp& stamp, const VersionVector& context);

}  // namespace entente::sqlite
