#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "conflict/transaction.h"

namespace entente {

// Two databases have written under one origin: both hold its changes up to `last`, and after it
// each its own (a restored backup that was written to, a lost fsync). The changes of one of them
// become another origin's, seq by seq from 1, and little else about them changes: their values
// stay, and what their writers had seen, with its own part of it renamed as well. (Their stamps
// stay, too, unless what they count as having seen is later: who calls this sees to it.)
//
// Of a datacenter that was removed, what the others have not got is such a history, too: of theirs
// nothing comes after `last` any more.
struct Renaming {
  Origin of;
  uint64_t last = 0;
  Origin as;  // zeros: nobody calls them anything; who has seen some is to have seen up to `last`
};

// What the changes of `of` after `last` are called, the first of which makes its hash chain
// `chain`. Whoever renames them calls them so: then they are the same changes.
Origin reissued_origin(const Origin& of, uint64_t last, const std::array<uint8_t, 16>& chain);

class Reissue {
 public:
  // `seen`: what every writer counts as having seen. Where tombstones were collected under it, a
  // change that had not seen them must not meet the rows as if they had never been.
  // `tables`: the others', with their histories.
  Reissue(std::vector<Renaming> names, VersionVector seen, std::vector<TableDef> tables)
      : names_(std::move(names)), seen_(std::move(seen)), tables_(std::move(tables)) {}

  // Null: it keeps its name.
  const Renaming* find(const Origin& of) const;
  // REQUIRES: they are of origins that have a renaming, come in the order of a log, and each
  // origin's first is the one after its `last`. Schema changes are left out:
  // they have an epoch, which the others' history has used for another. What was written under them
  // becomes a write under the last schema that both histories have: of its columns, those are left
  // that it had.
  Transaction operator()(Transaction t, const std::string& dc);

 private:
  void look_for_schema_changes(const Transaction& t);
  // False: there is no such table, or nothing is left.
  bool fits(RowChange& change) const;
  void rename(VersionVector& context) const;
  Dot renamed(const Dot& dot) const;
  void rename(RowChange& change);
  void rename_floors(RowChange& change) const;
  void count(const Origin& origin, const RowChange& change);

  const std::vector<Renaming> names_;
  const VersionVector seen_;
  const std::vector<TableDef> tables_;
  std::optional<uint64_t> epoch_;  // the last that both have, once the one after it was seen
  // What each added to a counter after its `last`, should it be one.
  using Counter = std::tuple<Origin, std::string, Key, std::string>;  // whose, table, key, column
  std::map<Counter, Int128> counted_;
};

}  // namespace entente
