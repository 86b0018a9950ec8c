#pragma once

#include <map>
#include <set>
#include <vector>

#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// UNIQUE across datacenters. Two rows that took the same key without knowing of each other both
// exist; one of them can be shown.
//
// Invariant (the same at every replica, because it looks at states alone): among possible rows
// (visibility.h), in the order of the (HLC, origin) of the write that last set a column of the
// row's UNIQUE keys (`unique: last`: against it; then of their primary keys), a row is shown unless
// an earlier shown row holds one of its keys. Who is not shown waits in the conflict log, kind
// "unique".
//
// What a row's keys are, and which are the same, SQLite says: the rows are tried out on the table
// itself, and that is undone. So a key may be made of anything that an index may.
//
// Threads: the connection's; inside the transaction that changed the rows.
class UniqueKeys {
 public:
  UniqueKeys(Connection& db, RowStore& rows) : db_(db), rows_(rows) {}

  // Decides anew about rows of this table that wait to be shown, and those that hold their keys.
  Result<void> settle(const World& world, const Table& table, const std::vector<Key>& waiting,
                      uint64_t now_ms);

 private:
  struct Contender {
    Loaded loaded;
    std::optional<Row> row;  // as it would be shown; absent: not at all
    Version taken;           // when it took its keys
    bool shown = false;      // before
    RowStore::Hidden why = RowStore::Hidden::kNo;
  };
  using Contenders = std::map<Key, Contender>;

  Result<void> add(const World& world, const Table& table, const Key& key, Contenders& all);
  Result<std::set<Key>> holders(const Table& table, Contenders& waiting);
  Result<void> choose(const Table& table, Contenders& all);
  // What `work` does to the table is undone.
  template <class Work>
  Result<void> try_out(Work work);

  Connection& db_;
  RowStore& rows_;
};

}  // namespace entente::sqlite
