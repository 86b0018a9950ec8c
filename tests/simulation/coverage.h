#pragma once

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace entente::simulation {

// What a batch of seeds must have met, each at least once; otherwise the batch proves too little.
enum class Met : size_t {
  kDelayedMessage,
  kLinkCut,
  kFrameReplayed,
  kPartition,
  kOneWayStall,
  kCrash,
  kCrashBetweenCommitAndReply,
  kCrashBetweenApplyAndTold,
  kCrashBetweenPromiseAndTold,
  kSlowNode,
  kBusyApply,
  kClockStep,
  kClockFarOff,
  kWaitedForAClock,
  kLivedBesideAFastClock,
  kLogTrimmed,
  kRejoined,
  kBroughtOver,
  kRowsJoined,
  kCopySchemaOlder,
  kEqualStamps,
  kLwwLossOfRow,
  kLwwLossOfColumn,
  kPriorityLossOfRow,
  kPriorityLossOfColumn,
  kMerged,
  kHandlerDecided,
  kHandlerOpen,
  kHeldRow,
  kCounterAddedUp,
  kSetAddedUp,
  kOpenRow,
  kOpenColumn,
  kDeleteBeatsUpdate,
  kUpdateBeatsDelete,
  kDeleteMeetsDelete,
  kEqualValuesMeet,
  kOldContext,
  kContextAhead,
  kContextExpired,
  kRowCollected,
  kWriteKeptSiblings,
  kPick,
  kSeveralWritesOfOneRow,
  kSeveralRows,
  kRelayed,
  kRerouted,
  kPulled,
  kDuplicateDropped,
  kHeldBack,
  kOverflowPaused,
  kOverflowAskedAgain,
  kLivedWithout,
  kSeveralFrames,
  kSpareLink,
  kWentOver,
  kJoined,
  kLeft,
  kRestored,
  kCloned,
  kUpgraded,
  kMarkerLost,
  kOtherVersion,
  kReissued,
  kTableMade,
  kTableEdited,
  kCount,
};
std::string_view to_string(Met met);

class Coverage {
 public:
  void met(Met what, uint64_t times = 1) { counts_[static_cast<size_t>(what)] += times; }
  uint64_t count(Met what) const { return counts_[static_cast<size_t>(what)]; }
  void add(const Coverage& other);

 private:
  std::array<uint64_t, static_cast<size_t>(Met::kCount)> counts_{};
};

// What was done to the replicas, by class; and how many of all that a batch must meet were met.
std::string faults_of(const Coverage& coverage);
std::string cells_of(const Coverage& coverage);

std::ostream& operator<<(std::ostream& out, const Coverage& coverage);

}  // namespace entente::simulation
