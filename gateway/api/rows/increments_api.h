#pragma once

#include "gateway/api/rows/idempotency_keys.h"
#include "gateway/api/site.h"
#include "gateway/http/router.h"

namespace entente {

// POST /v1/tables/{table}/rows/{key}/increment: adds to counters, once for each Idempotency-Key.
class IncrementsApi {
 public:
  explicit IncrementsApi(const Site& site) : site_(site) {}
  void add_to(Router& router);

 private:
  Task<Response> increment(RoutedRequest routed);

  const Site& site_;
  IdempotencyKeys keys_{10'000};
};

}  // namespace entente
