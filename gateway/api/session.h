#pragma once

#include <optional>

#include "gateway/api/site.h"
#include "gateway/http/http_message.h"

namespace entente {

// Waits until this gateway has applied `target`, up to limits.session_wait. The answer is the
// refusal (503 session_not_reached), or nothing: go on.
Task<std::optional<Response>> wait_for(const Site& site, VersionVector target);

// The same for a request's Entente-Session; a malformed one is refused with 400.
Task<std::optional<Response>> wait_for_session(const Site& site,
                                               const std::optional<std::string>& token);

}  // namespace entente
