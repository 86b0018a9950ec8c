#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "conflict/result.h"
#include "conflict/transaction.h"

namespace entente {

// The tables that a database has: the one that a definition was or became, and the one of a name.
struct PresentTables {
  std::function<const TableDef*(const TableDef&)> same;
  std::function<const TableDef*(std::string_view)> named;
};

// Schema changes come one after the other. One transaction may leave out the epochs of statements
// that its later ones made void, but no more than it can hold: a change that goes further would
// make all that the leader does next look older. Errors: kInvalid.
inline Result<void> follows_epoch(const SchemaChange& change, uint64_t epoch) {
  constexpr uint64_t kInOneTransaction = 1 << 16;
  if (change.epoch <= epoch || change.epoch - epoch <= kInOneTransaction) return {};
  return fail(Code::kInvalid, "a schema change of epoch " + std::to_string(change.epoch) +
                                  " comes after epoch " + std::to_string(epoch) +
                                  ": those in between are missing");
}

// Of a schema change whose epoch the database has had already: whoever made it did not know the
// schema that is here. A schema leader lost its database and began again, or there were two.
// True if the change is known: the tables that it makes are what those here were made of. False if
// it is about something else, and can be done. kFork: one of the two histories would be lost.
inline Result<bool> knows(const SchemaChange& change, const PresentTables& present) {
  const auto two_histories = [](const std::string& table) {
    return fail(Code::kFork,
                "there are two histories of the schema: whoever made a change of table " + table +
                    " did not know the table as it is here. Remove the datacenter that made the "
                    "change, and take it in again");
  };
  bool known = !change.tables.empty();
  for (const auto& def : change.tables) {
    const TableDef* same = present.same(def);
    if (same != nullptr && has_become(def, *same)) continue;
    known = false;
    if (same != nullptr || present.named(def.name) != nullptr) return two_histories(def.name);
  }
  for (const auto& name : change.dropped) {
    const TableDef* t = present.named(name);
    if (!known && t != nullptr && t->changed >= change.epoch) return two_histories(name);
  }
  return known;
}

}  // namespace entente
