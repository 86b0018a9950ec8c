#pragma once

#include <functional>

#include "gateway/api/site.h"
#include "gateway/http/router.h"
#include "gateway/membership/topology_news.h"

namespace entente {

// POST /v1/topology: for people, who change the topology of the running cluster; and, where peers
// connect, for other gateways, who tell which one they have gone over to.
//
// For people: `{"yaml": …, "leader": dc, "plan": true, "remove": [dc, …], "epoch": n}`: a whole
// topology file, or none: the one in force; `leader`: who leads the schema from then on, whatever
// the file says; `plan`: only what it would change; `remove`: the datacenters that it leaves out,
// which it may only do when asked; `epoch`: only if this is the one in force. 200 `{"epoch",
// "change", "applied"}`; 400 `bad_topology`, 409 `topology_refused` or `topology_moved`, with the
// reasons.
//
// For gateways: what TopologyNews asks.
//
// Threads: the network thread.
class TopologyApi {
 public:
  // Goes over to a topology: makes it durable, and has the gateway start anew. kRefused, kInvalid.
  using Adopt = std::function<Result<void>(TopologyEpoch)>;

  // `mine`: what this gateway says of its own. Without `adopt` nothing changes here.
  TopologyApi(const Site& site, std::function<TopologyNewsItem()> mine, Adopt adopt)
      : site_(site), mine_(std::move(mine)), adopt_(std::move(adopt)) {}

  void add_to(Router& people);
  Task<Response> answer_gateway(RoutedRequest routed);

 private:
  Task<Response> change(RoutedRequest routed);

  const Site& site_;
  const std::function<TopologyNewsItem()> mine_;
  const Adopt adopt_;
};

}  // namespace entente
