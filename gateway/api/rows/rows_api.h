#pragma once

#include "gateway/api/site.h"
#include "gateway/http/router.h"

namespace entente {

// /v1/tables/{table}/rows/{key}: one row with its causality: what SQL cannot say.
void add_rows_api(Router& router, const Site& site);

}  // namespace entente
