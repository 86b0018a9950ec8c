#pragma once

#include "gateway/api/site.h"
#include "gateway/http/router.h"

namespace entente {

// The conflict log: GET /v1/conflicts, page by page; GET /v1/conflicts/{id}; and POST …/resolve,
// for an operator who decides an open one, or a decided one again.
void add_conflicts_api(Router& router, const Site& site);

}  // namespace entente
