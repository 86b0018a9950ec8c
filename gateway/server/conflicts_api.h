#pragma once

#include "gateway/server/router.h"
#include "gateway/server/site.h"

namespace entente {

// GET /v1/conflicts: the conflict log, page by page.
void add_conflicts_api(Router& router, const Site& site);

}  // namespace entente
