#pragma once

#include <optional>
#include <vector>

#include "gateway/handlers/conflict_maker.h"

namespace entente {

// What every handler must keep to, or replicas do not decide alike.
enum class Law {
  kAnswers,        // it does not crash, run out of its budget or answer nonsense
  kSameTwice,      // the same conflict, the same answer
  kSameAfresh,     // … of a fresh instance, whatever either was asked before
  kSameReordered,  // the same siblings in another order, the same answer. The gateway sorts them,
                   // so that a handler may break this one and still converge
};

// A conflict on which a handler breaks a law, and its answers.
struct CounterExample {
  Law law = Law::kAnswers;
  OwnedConflict conflict;
  Result<Decision> answer;
  std::optional<OwnedConflict> other;            // kSameReordered
  std::optional<Result<Decision>> other_answer;  // all but kAnswers
};

struct LawReport {
  size_t conflicts = 0;  // how many it was asked about
  size_t declined = 0;   // … of which it failed on purpose: error() in Lua, fail() in a plug-in
  std::vector<CounterExample> broken;  // at most one for each law
};

// Asks `one` about `runs` conflicts, and `other`, a second instance, in the opposite order. Stops
// at the first failure that is not on purpose.
LawReport check_laws(const Handler& one, const Handler& other, ConflictMaker maker, size_t runs);

}  // namespace entente
