#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conflict/hlc.h"
#include "gateway/peers/peers.h"
#include "topology/config.h"

namespace entente {

// How the cluster stands as one gateway sees it, in figures and in sentences. Pure: what was seen
// goes in.

struct Sight {
  const Config& config;
  const std::string& dc;  // whose gateway this is
  const PeersView& peers;
  Origin self;
  Hlc last_stamp;  // of what was written here
  uint64_t wall_ms = 0;
};

// One datacenter.
struct Standing {
  std::string link = "none";  // as to_string(LinkState); none: the file has no link with it
  std::string reason;
  double lag_seconds = 0;
  uint64_t behind = 0;                     // its transactions known of and not applied here
  std::optional<uint64_t> unacknowledged;  // ours that it has not said it applied
  std::optional<double> round_trip_ms;
  // Of its present life: whom we ask for its changes, whom the topology names, and why they differ.
  std::string route, preferred, detour;
};
Standing standing_of(const Sight& sight, const std::string& dc);

// The age of the oldest change that is known of and not here, as far as can be told.
double lag_seconds(const Sight& sight, const Replica::OriginStatus& origin);

// Why an origin's changes are not asked for where the topology says; "" if they are.
std::string detour_reason(const Sight& sight, const Replica::OriginStatus& origin);

// Who has not applied everything that is applied here, so that the log is kept for it: who is
// furthest behind comes first. Nothing of the log may go while somebody was never heard of.
struct LogHolder {
  std::string dc;
  bool heard = false;
  uint64_t behind = 0;  // transactions
};
std::vector<LogHolder> log_holders(const Sight& sight);
// "" when nobody is behind.
std::string log_reason(const Sight& sight);

// How far the stamps of what was written here are ahead of this machine's clock, when that is more
// than peers follow, and when (Unix ms, by this clock) they follow again.
// Not if its neighbours' clocks agree with the stamps: then this clock is behind.
struct ClockAhead {
  double seconds = 0;
  uint64_t accepted_again_ms = 0;
};
std::optional<ClockAhead> clock_ahead(const Sight& sight);
// Whether a linked neighbour's clock says that ours runs so far ahead that it refuses our stamps.
bool runs_ahead(const Sight& sight);

// The datacenters whose changes are there, and cannot be taken here as things are: "" if none.
std::string refused_changes(const Sight& sight);

// What an operator should know beyond the figures: rerouted origins, clocks, what holds the log.
std::vector<std::string> notes(const Sight& sight);

}  // namespace entente
