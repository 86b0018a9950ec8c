#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entente::simulation::user_world {

// What the world of one seed may contain. Each is drawn by itself, from a stream of its own:
// leaving one out changes nothing of the others.
enum class Draw : size_t {
  // Tables.
  kWithoutRowid,
  kTextKey,
  kNocaseKey,
  kCompositeKey,
  kKeyless,      // rows are told apart by their rowid …
  kUniqueAsKey,  // … or by a UNIQUE over NOT NULL columns
  kStrict,
  kAlike,            // without a key: rows are often equal
  kUntyped,          // a column without affinity, which holds anything
  kVirtualColumn,    // in any place of a rowid table, last in one without
  kVirtualAnywhere,  // also before others in a table without rowid
  kStoredColumn,
  kCheck,
  // Foreign keys.
  kForeignKey,
  kForeignKeyActions,
  kDeferredKey,
  kSelfReference,
  kChildTable,
  kParentHidden,  // the parents themselves may be hidden: they have UNIQUE keys and a CHECK
  // UNIQUE keys.
  kUnique,
  kUniquePair,
  kUniquePartial,
  kUniqueExpression,
  kUniqueGenerated,
  kUniqueCollation,
  kUniqueOnConflict,
  // Rules.
  kRowGranularity,
  kUniqueByRow,  // UNIQUE keys of rows that conflict whole
  kUniqueLast,
  kPriority,
  kDeleteRules,
  kMinMax,
  kCounter,
  kSet,
  kOrphansHide,
  kHideAndUnique,  // both in one table
  kHideAndSelf,
  // Writes.
  kTrigger,
  kReplace,
  kUpsert,
  kUpdateFrom,
  kMoveKey,
  kRespellKey,
  kSeveralRows,
  kSeveralStatements,
  kRowRequest,
  kPutUnchanged,  // a PUT of a row with UNIQUE keys names them all, changed or not
  kOldContext,
  kOldContextOfCounter,
  // Schema changes.
  kCreateIndex,
  kCreateUniqueIndex,
  kAddColumn,
  kRenameColumn,
  kDropColumn,
  kRebuild,
  kRebuildRenamedFirst,
  kRebuildCopiedBack,
  kRebuildByStatement,
  // Exchange.
  kAlone,  // a cluster of one, and plain SQLite, which is given the same
  kSmallBatches,
  kDuplicates,
  kReopen,
  kCollect,
  kCount,
};
inline constexpr size_t kDraws = static_cast<size_t>(Draw::kCount);

std::string_view to_string(Draw draw);
std::optional<Draw> parse_draw(std::string_view name);

// What the product is known not to keep its promises with, and the fault that each waits for.
struct Waiting {
  Draw draw;
  std::string_view fault;
};
const std::vector<Waiting>& drawn_once_mended();

// What a person, or the shrinker, changes of what a seed draws.
struct Changes {
  std::bitset<kDraws> with;     // drawn in every seed, though it may wait
  std::bitset<kDraws> without;  // never
  std::optional<size_t> operations;
};

class Draws {
 public:
  Draws(uint64_t seed, const Changes& changes);
  bool has(Draw draw) const { return drawn_.test(static_cast<size_t>(draw)); }
  const std::bitset<kDraws>& all() const { return drawn_; }

 private:
  std::bitset<kDraws> drawn_;
};

}  // namespace entente::simulation::user_world
