#pragma once

#include "gateway/server/router.h"
#include "gateway/server/site.h"

namespace entente {

// POST /v1/transactions: row writes that commit together, or none of them.
void add_transactions_api(Router& router, const Site& site);

}  // namespace entente
