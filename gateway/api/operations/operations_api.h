#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "gateway/api/changes/changes_api.h"
#include "gateway/api/operations/metrics.h"
#include "gateway/api/site.h"
#include "gateway/api/sql/hrana_stream.h"
#include "gateway/api/verify/verify_api.h"
#include "gateway/http/router.h"

namespace entente {

// How this gateway and its links are: /livez /readyz /metrics /v1/status /v1/topology /v1/links,
// and a page at / that says so.
struct Operations {
  const Site& site;
  Metrics& metrics;
  std::function<size_t()> connections;
  const HranaStream::Counts& streams;
  std::function<ChangesApi::Counts()> feeds;
  std::function<VerifyApi::Counts()> verified;
  std::function<bool()> catching_up;
  // Why a database that has to be replaced by a copy is not; "" it has not to be.
  std::function<std::string()> not_replaced;
  std::string rejoined;  // when the database was last replaced by a copy, and why; "" never
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

void add_operations_api(Router& router, const Operations& operations);

}  // namespace entente
