#pragma once

#include "gateway/api/changes/change_feed.h"
#include "gateway/api/site.h"
#include "gateway/http/http_message.h"
#include "gateway/http/router.h"

namespace entente {

// GET /v1/changes: the transactions of this datacenter's log as they become durable, for as long as
// the reader stays.
//
// Threads: the network thread; the log is read on reading threads.
// Bounds:  limits.changes_feeds open at once; past it 503 busy. A feed whose reader does not read
//          waits, and keeps its place alone; all feeds together keep 64 MiB of the log.
class ChangesApi {
 public:
  // REQUIRES: the Store has not started.
  explicit ChangesApi(const Site& site);

  void add_to(Router& router);
  // Heartbeats, and readers that are gone. Call several times a second.
  void tick() { head_.tick(); }
  // Ends the feeds.
  void stop() { head_.stop(); }

  struct Counts {
    size_t open = 0;
    uint64_t transactions = 0;  // sent since the start
  };
  Counts counts() const { return counts_; }

 private:
  struct Feed;

  Task<Response> answer(RoutedRequest routed);
  Task<void> follow(std::shared_ptr<Feed> feed, ResponseStream& client);
  Task<std::string> next(ChangeFeed& changes, ResponseStream& client);
  Task<Result<std::string>> read(ChangeFeed& changes, bool& busy);

  const Site& site_;
  LogHead head_;
  LogChunks chunks_{64 << 20};
  Counts counts_;  // outlives the feeds
};

}  // namespace entente
