#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "conflict/transaction.h"

namespace entente {

// Two databases have written under one origin: both hold its changes up to `last`, and after it
// each its own (a restored backup that was written to, a lost fsync). The changes of one of them
// become another origin's, seq by seq from 1, and little else about them changes: their values
// stay, and what their writers had seen, with its own part of it renamed as well. (Their stamps
// stay, too, unless what they count as having seen is later: who calls this sees to it.)
class Reissue {
 public:
  // `seen`: what every writer counts as having seen. Where tombstones were collected under it, a
  // change that had not seen them must not meet the rows as if they had never been.
  // `tables`: the others', with their histories.
  Reissue(const Origin& of, uint64_t last, const Origin& as, VersionVector seen,
          std::vector<TableDef> tables)
      : of_(of), last_(last), as_(as), seen_(std::move(seen)), tables_(std::move(tables)) {}

  const Origin& as() const { return as_; }
  // REQUIRES: they come in order, the first is `of`'s after `last`. Schema changes are left out:
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
  void count(const RowChange& change);

  const Origin of_;
  const uint64_t last_;
  const Origin as_;
  const VersionVector seen_;
  const std::vector<TableDef> tables_;
  std::optional<uint64_t> epoch_;  // the last that both have, once the one after it was seen
  // What was added to a counter after `last`, should it be one.
  using Counter = std::tuple<std::string, Key, std::string>;  // table, key, column
  std::map<Counter, Int128> counted_;
};

}  // namespace entente
