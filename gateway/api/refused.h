#pragma once

#include "gateway/access/refusal.h"
#include "gateway/http/http_message.h"

namespace entente {

// What somebody is told who is not let in: a problem document.
Response refused(const Refusal& refusal);
// As libSQL's clients read it, which show nothing else: {"message", "code"}.
Response refused_by_hrana(const Refusal& refusal);

}  // namespace entente
