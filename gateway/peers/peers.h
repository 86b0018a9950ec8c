#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/replica/replica.h"
#include "gateway/store/store.h"
#include "gateway/transport/transport.h"
#include "topology/config.h"
#include "topology/graph.h"

namespace entente {

enum class LinkState {
  kConnecting,  // no connection: it is dialled, or waited for
  kRefused,     // one side refused the other
  kUnsteady,    // up again after it was lost early: it has yet to prove itself (LinkTrust)
  kHeld,        // up, but a change is too long for the peer, or for this gateway
  kUp,
};
std::string_view to_string(LinkState state);
// Messages cross it.
constexpr bool is_up(LinkState state) { return state >= LinkState::kUnsteady; }

// One link, as `status` and /v1/links show it.
struct LinkView {
  std::string peer;
  LinkState state = LinkState::kConnecting;
  std::string reason;     // why it is not up, or was not; "" for one that is well
  bool spare = false;     // opened because neighbours are gone
  uint64_t since_ms = 0;  // Unix: in this state since
  double round_trip_ms = 0;
  double clock_offset_ms = 0;  // the peer's wall clock less ours, when last heard
  // Why one side last refused the other, and when; also while a new attempt is up.
  std::string refusal;
  std::optional<double> refused_seconds_ago;
  uint64_t losses = 0;  // how often it was up and then lost
  Replica::LinkStatus traffic;
  // A second, over the last five.
  double sent_bytes_rate = 0, received_bytes_rate = 0;
  double sent_changes_rate = 0, received_changes_rate = 0;
};

struct PeersView {
  std::vector<LinkView> links;
  std::vector<Replica::OriginStatus> origins;
  std::vector<MemberVector> members;
  VersionVector applied;
  VersionVector stable;
  VersionVector collectable;
  size_t held_bytes = 0;
  uint64_t log_head = 0;
  // The log position after which somebody may still need the log; the head if nobody does.
  uint64_t log_needed_after = 0;
};

// The links to the other gateways: moves bytes between sockets, the Replica that decides, and the
// Store that keeps.
//
// Threads:  one thread of its own, which also drives the Replica. view() from any thread; its
//           callback runs on that thread.
// Errors:   a peer that breaks the protocol loses its link, with the reason in view() and the log;
//           nothing a peer sends can stop this gateway.
class Peers {
 public:
  Peers(const Config& config, const Graph& graph, std::string dc, Store& store);
  ~Peers();  // stop()
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // HTTP requests that come where peers connect, as connections and what was read from them; called
  // on the thread of this. Before start(); without, they are closed.
  using OnRequest = std::function<void(Transport, std::string)>;
  void on_request(OnRequest listener);

  // The database has to be replaced by a copy of a neighbour's. Not `linked`: the neighbour refused
  // a link, and may have one with another gateway of this name. Called on the thread of this, again
  // every now and then. Before start().
  using OnRejoin = std::function<void(bool linked, const Rejoin& rejoin)>;
  void on_rejoin(OnRejoin listener);

  // Called once, when links have been up for a while and nobody knew more of this datacenter than
  // its database: it is no restored one. On the thread of this. Before start().
  void on_verified(std::function<void()> listener);

  // Called once, right before changes of this database's own after seq `after` are sent to anybody
  // for the first time. On the thread of this. Before start().
  void on_shipping(uint64_t after, std::function<void()> listener);

  // Listens on the datacenter's `peers` endpoint and connects to its neighbours.
  Result<void> start();
  void stop();
  uint16_t port() const;  // the one listened on, once started

  void view(std::function<void(PeersView)> done);
  // Replica::copied_by; `done`: it knows, and no promise is under way.
  void copied_by(std::string dc, std::function<void(bool)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // the Store's threads hold it weakly
};

}  // namespace entente
