#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "gateway/membership/topology_api.h"
#include "gateway/peers/peers.h"
#include "gateway/store/store.h"
#include "gateway/transport/transport.h"
#include "topology/config.h"

namespace entente {

// What applications connect to: HTTP/1.1 with keep-alive; rows, transactions, SQL by Hrana,
// conflicts, status and metrics. And other gateways' clients, as far as they change the schema.
//
// Threads:  its own network thread(s); each connection belongs to one of them.
// Bounds:   limits.connections, header_bytes, body_bytes and the timeouts; a request waits in the
//           Store's bounded queues or is answered 503 busy.
class ClientServer {
 public:
  struct Options {
    // Where a copy of the database is kept while another gateway fetches it; without, none is made.
    std::filesystem::path copies = {};
    // The database is a copy that must catch up with a neighbour before it serves: until then
    // applications are answered 503 catching_up. `caught_up` is called once, on any thread.
    bool catching_up = false;
    std::function<void()> caught_up = {};
    // How this gateway goes over to another topology (topology_api.h); without, it does not.
    std::function<TopologyNewsItem()> topology = {};
    TopologyApi::Adopt adopt_topology = {};
    // What `status` says of the last time that the database was replaced by a copy.
    std::string rejoined = {};
  };
  ClientServer(const Config& config, const Graph& graph, std::string dc, Store& store, Peers& peers,
               Options options);
  ClientServer(const Config& config, const Graph& graph, std::string dc, Store& store,
               Peers& peers);
  ~ClientServer();  // stop()
  ClientServer(const ClientServer&) = delete;
  ClientServer& operator=(const ClientServer&) = delete;

  Result<void> start();
  // The database has to be replaced by a copy, and this is why nobody gives one: for `status`. From
  // any thread.
  void not_replaced(std::string reason);
  // A connection on which another gateway asks by HTTP, and what was read from it: what its clients
  // do to the schema runs here, if this is the leader; or it fetches the database. From any thread.
  void serve_gateway(Transport transport, std::string received);
  // Stops accepting, lets requests in flight finish for up to 10 s, then closes.
  void stop();
  uint16_t port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
