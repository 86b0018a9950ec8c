#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conflict/hlc.h"
#include "conflict/key.h"
#include "conflict/result.h"
#include "conflict/value.h"

namespace entente {

// A conflict, as its handler sees it. The views outlive the call.
struct Conflict {
  struct Value {
    std::string_view dc;  // where it was written
    Hlc hlc;
    const Row* row = nullptr;  // null: it erased the row
  };

  std::string_view kind;  // "insert-insert", "update-update", "update-delete", "delete-delete"
  std::string_view table;
  std::string_view group;  // the register: "" the whole row, otherwise a column or a group's name
  std::vector<std::pair<std::string, entente::Value>> key;  // by column, in key order
  const Row* base = nullptr;    // what both sides started from, as far as it is known
  std::vector<Value> siblings;  // oldest (HLC, origin) first; at least two that differ
};

// What a handler answers.
struct Decision {
  enum class Kind {
    kRow,     // these values
    kPick,    // this sibling
    kDelete,  // no row
    kKeep,    // nobody can decide: the conflict is open, SQL shows the greatest (HLC, origin)
    kHold,    // nobody may see the row until somebody resolves it
  } kind = Kind::kKeep;
  Row row;          // kRow: every column of the register
  size_t pick = 0;  // kPick: index into siblings
};

// A user's code that decides conflicts: a pure function of the conflict, so that every replica
// decides alike.
//
// Threads:  decide() from any, at the same time.
// Errors:   of decide(): the handler failed (it threw, ran out of its budget, answered nonsense);
//           the conflict stays open and is tried again later. It never throws.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual Result<Decision> decide(const Conflict& conflict) const = 0;
  // Names its code: the same text at two gateways means that they decide alike. "lua:<hash>".
  virtual const std::string& version() const = 0;
};

}  // namespace entente
