#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gateway/api/late/late_batches.h"
#include "gateway/api/site.h"
#include "gateway/http/router.h"
#include "gateway/membership/topology_news_item.h"

namespace entente {

// POST /v1/unshipped: takes in what a removed datacenter has left, lines as unshipped_line.h has
// them, as if it had been heard of late. Any gateway takes them; the schema leader's makes them
// changes, so that the same lines, sent once more or to another gateway, change nothing.
//
// 200 `{"taken", "had", "session"}`: transactions that are new here, and that were here already.
// 409 `unshipped_known`: somebody has, after all, what the file says that nobody has: the removed
// gateway has to write it anew. 503 `schema_leader`, `member_silent`: the leader, or another
// datacenter, does not answer, and could have some of it. Send it again: what was taken stays.
//
// Threads: the network thread.
class UnshippedApi {
 public:
  // `mine`: as of TopologyApi.
  UnshippedApi(const Site& site, std::function<TopologyNewsItem()> mine)
      : site_(site), mine_(std::move(mine)) {}

  void add_to(Router& people);
  // The same, for another gateway that was asked.
  Task<Response> answer_gateway(RoutedRequest routed);
  // For who has the lines in a body of another kind.
  Task<Response> take(std::string lines);

 private:
  Task<Response> ask_leader(std::string lines);
  Task<Response> take_here(std::string lines);
  Task<Response> take_all(std::vector<UnshippedLine> lines);
  Task<Result<void>> ask_members(const std::vector<UnshippedLine>& lines);
  Task<Result<TopologyNewsItem>> ask(const Datacenter& other);

  const Site& site_;
  const std::function<TopologyNewsItem()> mine_;
  bool taking_ = false;
};

}  // namespace entente
