#pragma once

#include "gateway/server/router.h"
#include "gateway/server/site.h"

namespace entente {

// /v1/tables/{table}/rows/{key}: one row with its causality: what SQL cannot say.
void add_rows_api(Router& router, const Site& site);

}  // namespace entente
