#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "gateway/replica/link_trust.h"
#include "topology/graph.h"

namespace entente {

// Which spare links (Graph::spares) a gateway opens and closes: those that the graph asks for while
// neighbours are gone longer than `failover_after`. A neighbour is waited for so long; a spare that
// cannot be reached is passed over at once. A link that comes and goes (LinkTrust) is gone, too.
// The same code runs in the gateway and in the simulator.
//
// Threads: one at a time.
// Time:    a monotonic clock.
class SpareLinks {
 public:
  using Instant = std::chrono::milliseconds;

  // `graph` outlives it.
  SpareLinks(const Graph& graph, std::string dc, Instant failover_after, Instant now);

  // ---- What happened.
  void up(std::string_view peer, Instant now);
  // Returns whether the link had been up and useful for a while.
  bool down(std::string_view peer, Instant now);
  // Somebody tried to open it, and nobody answered.
  void failed(std::string_view peer);
  // Call often, with which links anybody takes changes over, and which are of use: Replica::in_use
  // and Replica::useful. Returns the spares that are needed from now on.
  using Ask = std::function<bool(const std::string&)>;
  std::set<std::string> look(Instant now, const Ask& in_use, const Ask& useful);

  // ---- What is known.
  bool is_spare(std::string_view peer) const;
  // There should be a link with it: a neighbour, or a spare that is needed.
  bool needed(std::string_view peer) const;
  // A spare that may be closed: not needed, and nothing has come over it, for `failover_after`.
  bool idle(std::string_view peer, Instant now) const;
  LinkTrust::State trust(std::string_view peer) const;

 private:
  struct Link {
    bool spare = false;
    LinkTrust trust;      // a spare is not missed before it is needed
    bool needed = false;  // a spare
    bool failed = false;  // … and an attempt has, since it was needed
    Instant used{0};      // last seen in use, or needed
  };
  const Link& at(std::string_view peer) const;
  bool gone(const Link& link, Instant now) const;

  const Graph& graph_;
  const std::string dc_;
  const Instant failover_after_;
  std::map<std::string, Link, std::less<>> links_;
};

}  // namespace entente
