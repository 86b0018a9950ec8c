#pragma once

#include <array>
#include <cstdint>
#include <ostream>
#include <string_view>

#include "tests/simulation/user_world/draw.h"

namespace entente::simulation::user_world {

// Paths that a batch of seeds must have walked, each at least once; otherwise it proves too little.
enum class Path : size_t {
  kStatementRefused,  // by a constraint, where it was made
  kTransactionGivenUp,
  kRowRequestRefused,
  kContextPresented,
  kContextAhead,
  kContextExpired,
  kAppliedTwice,
  kReopened,
  kCollected,
  kSchemaChanged,
  kSchemaRefused,       // at the leader
  kSchemaMetOldWrites,  // written under the schema before, applied after the change
  kKeyRespelled,        // shown otherwise than its canonical bytes say
  kHiddenByUnique,
  kEqualSettled,
  kHiddenByCheck,
  kOrphanListed,
  kOrphanHidden,
  kLoserListed,
  kComparedWithSqlite,  // statements
  kErrorAsSqlite,
  kCount,
};
std::string_view to_string(Path path);

class Reached {
 public:
  void met(Path path, uint64_t times = 1) { paths_[static_cast<size_t>(path)] += times; }
  void drew(const Draws& draws);
  void add(const Reached& other);
  uint64_t count(Path path) const { return paths_[static_cast<size_t>(path)]; }
  uint64_t count(Draw draw) const { return draws_[static_cast<size_t>(draw)]; }
  // What was never met, of what must be; one a line.
  std::string missing() const;
  friend std::ostream& operator<<(std::ostream& out, const Reached& reached);

 private:
  std::array<uint64_t, static_cast<size_t>(Path::kCount)> paths_{};
  std::array<uint64_t, kDraws> draws_{};
};

}  // namespace entente::simulation::user_world
