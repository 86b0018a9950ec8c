#pragma once

#include <functional>
#include <memory>

#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/row_store.h"

namespace entente::sqlite {

// What SQL can ask of conflicts: functions of one connection. The key's parts follow the table's
// name.
//
//   entente_conflict(table, key …)   'none', 'resolved' or 'open'
//   entente_siblings(table, key …)   JSON: an array of {"dc", "dot", "hlc", "row" or "deleted"}
//   entente_version(table, key …)    the dot of the row's newest write; NULL if it never was
//
// Threads: the connection's. Ownership: outlives the connection's statements, and does not move.
class ConflictFunctions {
 public:
  using Worlds = std::function<std::shared_ptr<const World>()>;

  ConflictFunctions(Connection& db, Guard& guard, RowStore& rows, Worlds worlds)
      : db_(db), guard_(guard), rows_(rows), worlds_(std::move(worlds)) {}
  ConflictFunctions(const ConflictFunctions&) = delete;
  ConflictFunctions& operator=(const ConflictFunctions&) = delete;

  void install();

 private:
  enum class Asked { kConflict, kSiblings, kVersion };
  template <Asked kAsked>
  static void call(sqlite3_context* context, int count, sqlite3_value** arguments);
  void answer(Asked asked, sqlite3_context* context, int count, sqlite3_value** arguments);

  Connection& db_;
  Guard& guard_;
  RowStore& rows_;
  Worlds worlds_;
};

}  // namespace entente::sqlite
