#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "conflict/transaction.h"
#include "conflict/version_vector.h"

namespace entente {

// What two replicas say to each other once their hellos agreed.

// Send me this origin's changes after `after`, and all that follow.
struct Subscribe {
  Origin origin;
  uint64_t after = 0;
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};

struct Unsubscribe {
  Origin origin;
  friend bool operator==(const Unsubscribe&, const Unsubscribe&) = default;
};

// What was subscribed to is not in the sender's log any more: ask somebody else.
struct Trimmed {
  Origin origin;
  friend bool operator==(const Trimmed&, const Trimmed&) = default;
};

// This transaction of what was subscribed to is longer than any frame that the receiver takes: it,
// and what its origin wrote after it, cannot come over this link.
struct Oversized {
  Origin origin;
  uint64_t seq = 0;
  uint64_t bytes = 0;  // of the frame that would have to carry it
  friend bool operator==(const Oversized&, const Oversized&) = default;
};

// Whole transactions, in the sender's log order, which is causal.
struct Changes {
  std::vector<Run> runs;
};

// What a frame of changes takes beside the records of its runs: at most this for each run, and once
// more for all.
inline constexpr size_t kRunRoom = 48;

// You may send this many more bytes of records.
struct Credit {
  uint64_t bytes = 0;
  friend bool operator==(const Credit&, const Credit&) = default;
};

// What a datacenter has promised, durably: to refuse clients' contexts that do not cover `floor`.
// So each of its changes after `after` has seen at least `floor` of every row it touches. An empty
// floor promises nothing.
struct Promise {
  VersionVector floor;
  uint64_t after = 0;  // of the incarnation that promised
  friend bool operator==(const Promise&, const Promise&) = default;
};

// How far one datacenter is known to have applied everybody's changes, durably, and what it has
// promised; on a link an empty promise says nothing new.
struct MemberVector {
  std::string dc;
  Origin incarnation;
  VersionVector applied;
  Promise promise{};
  friend bool operator==(const MemberVector&, const MemberVector&) = default;
};

// Rows of the matrix of applied vectors; the sender's own, and those it has heard of.
struct Vectors {
  std::vector<MemberVector> rows;
  std::vector<std::pair<Origin, std::string>> labels;  // of origins the receiver may not know
};

// Lives of datacenters that a peer may name; a cluster has few. Who names more is to fill nobody's
// memory.
inline constexpr size_t kMostOrigins = 10'000;

using Message = std::variant<Subscribe, Unsubscribe, Changes, Credit, Vectors, Trimmed, Oversized>;

// The first thing each side says.
struct Hello {
  struct Position {
    Origin origin;
    std::string dc;
    uint64_t seq = 0;
    std::array<uint8_t, 16> chain{};  // the origin's hash chain at seq
  };
  uint32_t protocol = 8;
  std::string cluster;
  std::string dc;
  Origin incarnation;
  std::string topology;  // fingerprints
  std::string rules;
  std::map<std::string, std::string> handlers;  // name -> version, of those that some rule names
  uint64_t wall_ms = 0;
  uint64_t window = 0;  // bytes of records that may be sent before the first Credit; the smaller of
                        // both sides' windows counts
  uint64_t frame_bytes = UINT64_MAX;  // the longest frame that is taken
  std::vector<Position> applied;
  VersionVector collected;  // DatabaseState
};

}  // namespace entente
