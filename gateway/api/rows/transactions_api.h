#pragma once

#include "gateway/api/late/unshipped_api.h"
#include "gateway/api/site.h"
#include "gateway/http/router.h"

namespace entente {

// POST /v1/transactions: row writes that commit together, or none of them. A line of what a removed
// datacenter has left is one, too.
void add_transactions_api(Router& router, const Site& site, UnshippedApi& unshipped);

}  // namespace entente
