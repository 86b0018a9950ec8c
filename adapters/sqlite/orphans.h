#pragma once

#include <deque>
#include <set>
#include <string>
#include <utility>

#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// Rows whose foreign key names a row that is not here. Nothing enforces foreign keys on what peers
// wrote: a parent may have been deleted where nobody knew of the child.
//
// Invariant, at the end of every apply: a row is listed as an open conflict, kind "foreign-key", if
// and only if it is live and one of its parents is not shown; with `orphans: hide` it is then not
// shown either, and so its own children have no parent.
//
// Threads: the connection's; inside the transaction that changed the rows.
class Orphans {
 public:
  Orphans(RowStore& rows, ConflictLog& log, ExtrasByTable& extras)
      : rows_(rows), log_(log), extras_(extras) {}

  // What happened to rows; settle() looks at what that means.
  void changed(const Table& t, std::string_view key, bool erased);
  // Rows of this table that are listed may have a parent now, and those that are not shown for
  // other reasons may have lost theirs.
  Result<void> look_again(const Table& t);
  Result<void> settle(const World& world, uint64_t now_ms);
  void forget() { waiting_.clear(), gone_.clear(), came_.clear(); }

 private:
  using RowName = std::pair<const Table*, Key>;

  Result<void> spread(const World& world);
  Result<void> add_children(const Table& child, const ForeignKey& fk, const Key& parent);
  Result<bool> is_orphan(const Table& t, const Key& key, const Row& row);
  Result<void> check(const World& world, const Table& t, const Key& key, uint64_t now_ms);

  RowStore& rows_;
  ConflictLog& log_;
  ExtrasByTable& extras_;
  std::deque<RowName> waiting_;  // to be checked
  std::set<RowName> gone_;       // parents that are no longer shown
  std::set<const Table*> came_;  // tables in which parents came to be shown
};

}  // namespace entente::sqlite
