#pragma once

#include "gateway/api/site.h"
#include "gateway/api/sql/hrana_stream.h"
#include "gateway/http/router.h"

namespace entente {

// SQL as libSQL's first clients speak it, DBeaver's driver among them: `POST /` with
// `{"statements": ["SQL", {"q": "SQL", "params": […] | {…}}, …]}`. All of them are one transaction.
// Source: sqld's docs/http_api.md.
void add_legacy_sql_api(Router& router, const Site& site, HranaStream::Counts& counts);

}  // namespace entente
