#pragma once

#include "adapters/database.h"
#include "gateway/api/site.h"
#include "gateway/http/http_message.h"

namespace entente {

// Commits one row write, after waiting for what its context has seen, and answers with what it did:
// `dot, hlc, context, conflict, session`; or with the problem.
Task<Response> commit_row_write(const Site& site, RowRequest write);

}  // namespace entente
