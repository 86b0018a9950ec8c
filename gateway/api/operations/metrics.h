#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "gateway/api/changes/changes_api.h"
#include "gateway/api/operations/standing.h"
#include "gateway/api/verify/verify_api.h"
#include "gateway/store/store.h"
#include "gateway/transport/gateway_tls.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace entente {

// What /metrics serves, in Prometheus' text format: base units, closed sets of labels.
//
// Threads: the network thread.
class Metrics {
 public:
  Metrics();

  void observe(std::string_view family, int status, std::chrono::steady_clock::duration took);

  // What is true right now, read for each scrape.
  struct Now {
    const Sight* sight = nullptr;  // outlives the call
    Store::Counters store;
    size_t connections = 0;
    size_t streams = 0;
    uint64_t schema_forwarded = 0;
    ChangesApi::Counts feeds;
    VerifyApi::Counts verified;
    size_t open_conflicts = 0;
    const GatewayTls* tls = nullptr;  // outlives the call; null without TLS
  };
  std::string render(const Now& now);

 private:
  struct Series {
    prometheus::Counter* by_class[6] = {};  // by status / 100
    prometheus::Histogram* seconds = nullptr;
  };
  Series& series(std::string_view family);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace entente
