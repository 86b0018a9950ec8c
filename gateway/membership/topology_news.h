#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/membership/data_folder.h"
#include "gateway/membership/topology_news_item.h"
#include "gateway/peers/peers.h"
#include "topology/config.h"

namespace entente {

// Tells another datacenter's gateway what this one has gone over to, and hears the same of it, on
// the calling thread. `mine.incarnation`: zeros if it has none yet.
Result<TopologyNewsItem> exchange_topology_news(const Config& config, const std::string& dc,
                                                const Datacenter& other,
                                                const TopologyNewsItem& mine);

// Asks every neighbour without a link, every second, which topology it has gone over to, and says
// which one this gateway has: who has the older one goes over. Links need the same at both ends, so
// a change that one gateway knows of passes from neighbour to neighbour to all that are there, and
// later to who was away; to a datacenter that was removed, too.
//
// Threads: one of its own, on which `adopt` is called.
class TopologyNews {
 public:
  using Adopt = std::function<Result<void>(TopologyEpoch)>;
  // `mine`: what this gateway says, as of now.
  TopologyNews(const Config& config, std::string dc, Peers& peers,
               std::function<TopologyNewsItem()> mine, Adopt adopt);
  ~TopologyNews();
  TopologyNews(const TopologyNews&) = delete;
  TopologyNews& operator=(const TopologyNews&) = delete;

 private:
  void run();
  bool pause();
  std::vector<std::string> unlinked();
  void ask(const Datacenter& neighbour);

  const Config& config_;
  const std::string dc_;
  Peers& peers_;
  const std::function<TopologyNewsItem()> mine_;
  const Adopt adopt_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace entente
