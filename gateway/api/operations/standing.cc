#include "gateway/api/operations/standing.h"

#include <algorithm>
#include <cmath>

#include "gateway/api/row_json.h"

namespace entente {
namespace {

using Detour = Replica::Detour;

const LinkView* link_with(const Sight& sight, const std::string& dc) {
  for (const auto& link : sight.peers.links) {
    if (link.peer == dc) return &link;
  }
  return nullptr;
}

const MemberVector* member_of(const Sight& sight, const std::string& dc) {
  for (const auto& member : sight.peers.members) {
    if (member.dc == dc) return &member;
  }
  return nullptr;
}

std::string seconds_text(double seconds) {
  if (seconds >= 100) return std::to_string(std::llround(seconds)) + " s";
  const std::string tenths = std::to_string(std::llround(seconds * 10));
  const bool below_one = tenths.size() == 1;
  return (below_one ? "0" : tenths.substr(0, tenths.size() - 1)) + "." + tenths.back() + " s";
}

double drift_seconds(const Sight& sight) {
  return std::chrono::duration<double>(sight.config.max_clock_drift).count();
}

double ahead_seconds(const Sight& sight, uint64_t stamped_ms) {
  return (static_cast<double>(stamped_ms) - static_cast<double>(sight.wall_ms)) / 1'000;
}

std::string in_brackets(const std::string& why) { return why.empty() ? "" : " (" + why + ")"; }

// "the link to b is down since 2026-01-01T00:00:00.000Z (the peer closed the link)"
std::string link_sentence(const Sight& sight, const std::string& dc) {
  const LinkView* link = link_with(sight, dc);
  if (link == nullptr) return "there is no link to " + dc;
  return "the link to " + dc + " is down since " + iso_time(link->since_ms) +
         in_brackets(link->reason);
}

// Why nobody is asked although the neighbour that is named is not there.
std::string nobody_asked(const Sight& sight, const Replica::OriginStatus& origin) {
  if (!sight.config.topology.reroute) return "; reroute is off: its changes wait for that link";
  if (origin.known > origin.applied + origin.held) {
    return "; another neighbour is asked after topology.failover_after";
  }
  return "; no other neighbour has anything new";
}

// ---- Clocks ------------------------------------------------------------------------------------

std::string note_of_stamps(const Sight& sight, const ClockAhead& ahead) {
  return "The clock of " + sight.dc + " ran ahead: what is written here is stamped " +
         seconds_text(ahead.seconds) + " ahead of it. Peers accept its changes again at " +
         iso_time(ahead.accepted_again_ms) + "; until then they wait here.";
}

// The stamps are right by a neighbour's clock: it would not refuse them.
bool is_right_elsewhere(const Sight& sight, uint64_t stamp) {
  return std::any_of(sight.peers.links.begin(), sight.peers.links.end(), [&](const auto& link) {
    const double theirs = static_cast<double>(sight.wall_ms) + link.clock_offset_ms;
    return is_up(link.state) && static_cast<double>(stamp) <= theirs + drift_seconds(sight) * 1'000;
  });
}

std::optional<std::string> note_of_offset(const Sight& sight, const LinkView& link) {
  const double offset = link.clock_offset_ms / 1'000;
  if (std::abs(offset) <= drift_seconds(sight)) return std::nullopt;
  const bool ours = offset < 0;
  const std::string& fast = ours ? sight.dc : link.peer;
  const std::string& slow = ours ? link.peer : sight.dc;
  return "The clock of " + fast + " is " + seconds_text(std::abs(offset)) + " ahead of that of " +
         slow + ": " + slow + " refuses what is stamped more than clock.max_drift, " +
         seconds_text(drift_seconds(sight)) + ", ahead, until one of the clocks is set right.";
}

}  // namespace

bool runs_ahead(const Sight& sight) {
  return std::any_of(sight.peers.links.begin(), sight.peers.links.end(), [&](const auto& link) {
    return is_up(link.state) && -link.clock_offset_ms / 1'000 > drift_seconds(sight);
  });
}

// ---- Datacenters -------------------------------------------------------------------------------

double lag_seconds(const Sight& sight, const Replica::OriginStatus& origin) {
  if (origin.known <= origin.applied) return 0;
  const Hlc oldest = origin.held > 0 ? origin.held_hlc : origin.hlc;
  const double age =
      (static_cast<double>(sight.wall_ms) - static_cast<double>(oldest.unix_ms())) / 1'000;
  // Nothing of it is here yet: no stamp tells how old it is.
  return oldest == Hlc{} ? 0 : std::max(age, 0.0);
}

Standing standing_of(const Sight& sight, const std::string& dc) {
  Standing out;
  if (const LinkView* link = link_with(sight, dc)) {
    out.link = to_string(link->state);
    out.reason = link->reason;
    if (is_up(link->state)) out.round_trip_ms = link->round_trip_ms;
  }
  const MemberVector* member = dc == sight.dc ? nullptr : member_of(sight, dc);
  for (const auto& origin : sight.peers.origins) {
    if (origin.dc != dc || origin.origin == sight.self) continue;
    if (origin.known > origin.applied) out.behind += origin.known - origin.applied;
    out.lag_seconds = std::max(out.lag_seconds, lag_seconds(sight, origin));
    if (member != nullptr && member->incarnation != origin.origin) continue;
    out.route = origin.upstream;
    out.preferred = origin.preferred;
    out.detour = detour_reason(sight, origin);
  }
  if (member != nullptr) {
    const uint64_t ours = sight.peers.applied.at(sight.self);
    out.unacknowledged = ours - std::min(ours, member->applied.at(sight.self));
  }
  return out;
}

std::string detour_reason(const Sight& sight, const Replica::OriginStatus& origin) {
  switch (origin.detour) {
    case Detour::kNone:
      return "";
    case Detour::kUnknown:
      return "no datacenter of the topology is known to write these changes";
    case Detour::kLinkDown:
      return link_sentence(sight, origin.preferred) +
             (origin.upstream.empty() ? nobody_asked(sight, origin) : "");
    case Detour::kNothingNew:
      if (origin.upstream.empty()) return origin.preferred + " is about to be asked";
      return origin.preferred + " is linked and had nothing new, " + origin.upstream + " had";
    case Detour::kPulled:
      return "changes that came from " + origin.upstream + " wait for some that are late from " +
             origin.preferred;
    case Detour::kClock:
      return "the next one is stamped " + seconds_text(ahead_seconds(sight, origin.stamped_ms)) +
             " ahead of the clock here, and clock.max_drift is " +
             seconds_text(drift_seconds(sight)) + "; it is asked for again once that has passed";
    case Detour::kTooLong:
      return "the next one takes a frame of " + std::to_string(origin.too_long.bytes) +
             " bytes, and limits.frame_bytes here is " +
             std::to_string(sight.config.limits.frame_bytes);
    case Detour::kPaused:
      break;
  }
  return "nobody is asked: " + std::to_string(origin.held) +
         " changes wait here for others' first, and limits.hold_back is reached";
}

// ---- The log -----------------------------------------------------------------------------------

std::vector<LogHolder> log_holders(const Sight& sight) {
  std::vector<LogHolder> out;
  for (const auto& datacenter : sight.config.datacenters) {
    if (datacenter.name == sight.dc) continue;
    const MemberVector* member = member_of(sight, datacenter.name);
    LogHolder holder{datacenter.name, member != nullptr, 0};
    for (const auto& [origin, seq] : sight.peers.applied) {
      const uint64_t theirs = member == nullptr ? 0 : member->applied.at(origin);
      if (theirs < seq) holder.behind += seq - theirs;
    }
    if (!holder.heard || holder.behind > 0) out.push_back(std::move(holder));
  }
  std::stable_sort(out.begin(), out.end(), [](const LogHolder& a, const LogHolder& b) {
    return a.heard != b.heard ? b.heard : a.behind > b.behind;
  });
  return out;
}

std::string log_reason(const Sight& sight) {
  const auto holders = log_holders(sight);
  if (holders.empty()) return "";
  const LogHolder& first = holders.front();
  const std::string who = "The log is kept for " + first.dc + ", which ";
  if (!first.heard) return who + "was never heard of: nothing of the log is forgotten meanwhile.";
  const LinkView* link = link_with(sight, first.dc);
  const bool down = link != nullptr && !is_up(link->state);
  return who + "has not applied " + std::to_string(first.behind) + " of the changes here" +
         (down ? "; its link is down since " + iso_time(link->since_ms) : "") + ".";
}

// ---- What to know ------------------------------------------------------------------------------

std::optional<ClockAhead> clock_ahead(const Sight& sight) {
  const uint64_t stamp = sight.last_stamp.unix_ms();
  const auto drift = static_cast<uint64_t>(sight.config.max_clock_drift.count());
  if (stamp <= sight.wall_ms + drift || is_right_elsewhere(sight, stamp)) return std::nullopt;
  return ClockAhead{static_cast<double>(stamp - sight.wall_ms) / 1'000, stamp - drift};
}

std::string refused_changes(const Sight& sight) {
  std::string out;
  for (const auto& origin : sight.peers.origins) {
    if (origin.detour != Detour::kClock && origin.detour != Detour::kTooLong) continue;
    if (!out.empty()) out += "; ";
    out += "changes of " + (origin.dc.empty() ? to_hex(origin.origin) : origin.dc) +
           " are not taken: " + detour_reason(sight, origin);
  }
  for (const auto& link : sight.peers.links) {
    if (link.state != LinkState::kHeld || !link.traffic.too_long) continue;
    out += (out.empty() ? "" : "; ") + link.reason;
  }
  return out;
}

// Clients are told so, too, when they write more.
std::optional<std::string> note_of_frames(const Sight& sight, const LinkView& link) {
  const auto& limits = sight.config.limits;
  if (link.traffic.frame_bytes > limits.transaction_bytes) return std::nullopt;
  return link.peer + " takes frames of at most " + std::to_string(link.traffic.frame_bytes) +
         " bytes (its limits.frame_bytes): larger transactions are refused here, though "
         "limits.transaction_bytes is " +
         std::to_string(limits.transaction_bytes) + ".";
}

std::vector<std::string> notes(const Sight& sight) {
  std::vector<std::string> out;
  if (const auto ahead = clock_ahead(sight)) out.push_back(note_of_stamps(sight, *ahead));
  for (const auto& link : sight.peers.links) {
    if (auto note = note_of_offset(sight, link)) out.push_back(std::move(*note));
    if (auto note = note_of_frames(sight, link)) out.push_back(std::move(*note));
  }
  if (!sight.config.topology.reroute) {
    out.push_back("Rerouting is off (topology.reroute): a dead link or datacenter is not healed.");
  }
  for (const auto& origin : sight.peers.origins) {
    const std::string why = detour_reason(sight, origin);
    // Of a datacenter that was removed, nothing more is to come.
    const bool complete = origin.detour == Detour::kUnknown && origin.known <= origin.applied;
    if (why.empty() || complete) continue;
    const std::string from = origin.upstream.empty() ? "from nobody" : "from " + origin.upstream;
    const std::string rather = origin.preferred.empty() ? "" : " rather than " + origin.preferred;
    out.push_back("Changes of " + (origin.dc.empty() ? to_hex(origin.origin) : origin.dc) +
                  " come " + from + rather + ": " + why + ".");
  }
  const auto holders = log_holders(sight);
  const bool pinned = std::any_of(holders.begin(), holders.end(), [&](const LogHolder& h) {
    const LinkView* link = link_with(sight, h.dc);
    return !h.heard || (link != nullptr && !is_up(link->state));
  });
  if (pinned) out.push_back(log_reason(sight));
  return out;
}

}  // namespace entente
