#pragma once

#include <chrono>
#include <functional>

#include "gateway/server/changes_api.h"
#include "gateway/server/hrana_stream.h"
#include "gateway/server/metrics.h"
#include "gateway/server/router.h"
#include "gateway/server/site.h"

namespace entente {

// How this gateway and its links are: /livez /readyz /metrics /v1/status /v1/topology /v1/links,
// and a page at / that says so.
struct Operations {
  const Site& site;
  Metrics& metrics;
  std::function<size_t()> connections;
  const HranaStream::Counts& streams;
  std::function<ChangesApi::Counts()> feeds;
  std::function<bool()> catching_up;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

void add_operations_api(Router& router, const Operations& operations);

}  // namespace entente
