#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <string>

#include "gateway/access/access.h"
#include "gateway/async/task.h"
#include "gateway/peers/peers.h"
#include "gateway/store/short_reads.h"
#include "gateway/store/store.h"
#include "topology/config.h"
#include "topology/graph.h"

namespace entente {

// What every handler works on. Outlives them all.
struct Site {
  const Config& config;
  const Graph& graph;
  const std::string dc;
  Store& store;
  ShortReads& short_reads;
  Loop& loop;
  boost::asio::any_io_executor executor;                     // the loop's, for sockets
  std::function<void(std::function<void(PeersView)>)> view;  // Peers::view
  Access& access;
};

}  // namespace entente
