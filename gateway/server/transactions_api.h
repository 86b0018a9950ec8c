#pragma once

#include "gateway/server/router.h"
#include "gateway/server/site.h"
#include "gateway/server/unshipped_api.h"

namespace entente {

// POST /v1/transactions: row writes that commit together, or none of them. A line of what a removed
// datacenter has left is one, too.
void add_transactions_api(Router& router, const Site& site, UnshippedApi& unshipped);

}  // namespace entente
