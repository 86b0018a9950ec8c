#pragma once

#include <map>
#include <string>
#include <vector>

#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// UNIQUE across datacenters. Two rows that took the same key without knowing of each other both
// exist; one of them can be shown.
//
// Invariant (the same at every replica, because it looks at states alone): among possible rows
// (visibility.h), in the
// order of the (HLC, origin) of the write that last set one of the row's unique columns (`unique:
// last`: against it), a row is shown unless an earlier shown row holds one of its keys. Who is not
// shown waits in the conflict log, kind "unique".
//
// Threads: the connection's; inside the transaction that changed the rows.
class UniqueKeys {
 public:
  explicit UniqueKeys(RowStore& rows) : rows_(rows) {}

  // Decides anew about rows of this table that wait to be shown, and those that hold their keys.
  Result<void> settle(const World& world, const Table& table, const std::vector<Key>& waiting,
                      uint64_t now_ms);

 private:
  struct Contender {
    Loaded loaded;
    Row row;                          // as it would be shown, whole; empty: not at all
    Version taken;                    // when it took its keys
    std::vector<std::string> claims;  // which ones; NULLs claim nothing
    bool shown = false;               // before
    bool wins = false;
  };
  using Contenders = std::map<Key, Contender>;

  Result<void> add(const World& world, const Table& table, const Key& key, Contenders& all);
  Result<void> add_holders(const World& world, const Table& table, const Contender& of,
                           Contenders& all);
  static void choose(const Table& table, Contenders& all);

  RowStore& rows_;
};

}  // namespace entente::sqlite
