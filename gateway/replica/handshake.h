#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "conflict/result.h"
#include "gateway/replica/messages.h"
#include "topology/graph.h"

namespace entente {

// Whether two gateways may talk: what each side decides from the other's hello, before anything
// else crosses the link. Pure.

// Same protocol, cluster, topology, handlers and rules; a neighbour; not another copy of this
// database. kMismatch, with a sentence that says which side has what.
Result<void> check_hello(const Hello& mine, const Hello& theirs, const Graph& graph);

// Same protocol and cluster. kMismatch, as above.
Result<void> check_cluster(const Hello& mine, const Hello& theirs);

// Whether a gateway may ask this one for work, without a link between the two: same protocol,
// cluster and topology, and another datacenter of it. kMismatch, as above.
Result<void> check_asker(const Hello& mine, const Hello& theirs, const Graph& graph);

// An origin's hash chain at seq, if the local log still reaches it: Database::chain_at.
using ChainAt =
    std::function<Result<std::optional<std::array<uint8_t, 16>>>(const Origin&, uint64_t seq)>;

// The tag of a fork of our own incarnation: this database is the one to be replaced.
inline constexpr const char* kOwnFork = "own_fork";

// One history under each origin: where the peer is not ahead of us its chain must be ours (where it
// is ahead, it makes the same check), and nobody may know more of our own incarnation than we do,
// or have collected what we do not know to have `promised`. A chain of zeros is one that the peer
// does not know. kFork; kOwnFork if it is of our incarnation.
Result<void> check_history(const Hello& mine, const VersionVector& promised, const Hello& theirs,
                           const ChainAt& chain_at);

}  // namespace entente
