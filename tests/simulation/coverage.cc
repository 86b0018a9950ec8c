#include "tests/simulation/coverage.h"

#include <iomanip>

namespace entente::simulation {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Met::kCount)> kNames{
    "message delayed long",
    "link cut",
    "frame replayed",
    "partition",
    "one-way stall",
    "crash",
    "crash between commit and reply",
    "crash between apply and told",
    "crash between promise and told",
    "slow node",
    "busy apply",
    "clock stepped",
    "clock too far off",
    "change that waited for a clock",
    "converged beside a fast clock",
    "log trimmed",
    "joined again",
    "brought over to a copy",
    "rows joined into a copy",
    "copy with an older schema",
    "equal stamps",
    "lww loss of a row",
    "lww loss of a column",
    "priority loss of a row",
    "priority loss of a column",
    "values merged",
    "decided by a handler",
    "handler left it open",
    "row held by a handler",
    "counter added up",
    "set added up",
    "open conflict of a row",
    "open conflict of a column",
    "delete beats update",
    "update beats delete",
    "delete meets delete",
    "equal values meet",
    "old context shown",
    "context ahead refused",
    "old context refused",
    "row collected",
    "write kept siblings",
    "value picked",
    "several writes of one row",
    "several rows in a transaction",
    "change relayed",
    "origin rerouted",
    "cause pulled",
    "duplicate dropped",
    "change held back",
    "stream paused",
    "overflow asked for again",
    "lived without one node",
    "changes in several frames",
    "spare link",
    "went over to a topology",
    "joined",
    "left",
    "restored",
    "cloned",
    "upgraded",
    "marker lost",
    "another version refused",
    "reissued as another's",
    "table made",
    "table edited",
};

}  // namespace

std::string_view to_string(Met met) { return kNames[static_cast<size_t>(met)]; }

void Coverage::add(const Coverage& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::string faults_of(const Coverage& coverage) {
  constexpr Met kFaults[] = {
      Met::kDelayedMessage, Met::kLinkCut,  Met::kFrameReplayed, Met::kPartition, Met::kOneWayStall,
      Met::kCrash,          Met::kSlowNode, Met::kBusyApply,     Met::kClockStep, Met::kClockFarOff,
      Met::kLogTrimmed,     Met::kWentOver, Met::kJoined,        Met::kLeft,      Met::kRestored,
      Met::kCloned,         Met::kUpgraded, Met::kMarkerLost};
  std::string text;
  for (const Met fault : kFaults) {
    text += (text.empty() ? "" : ", ") + std::string(to_string(fault)) + " " +
            std::to_string(coverage.count(fault));
  }
  return text;
}

std::string cells_of(const Coverage& coverage) {
  size_t met = 0;
  for (size_t i = 0; i < kNames.size(); ++i) met += coverage.count(static_cast<Met>(i)) > 0;
  return std::to_string(met) + " of " + std::to_string(kNames.size());
}

std::ostream& operator<<(std::ostream& out, const Coverage& coverage) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    out << "  " << std::left << std::setw(32) << kNames[i] << coverage.count(static_cast<Met>(i))
        << "\n";
  }
  return out;
}

}  // namespace entente::simulation
