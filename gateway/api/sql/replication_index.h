#pragma once

#include <cstdint>
#include <optional>

#include "gateway/api/site.h"
#include "gateway/encoding/json.h"

namespace entente {

// Hrana's `replication_index`: what a client has seen, in the one number that its drivers keep for
// a connection and send back, at this gateway or another. 15 bits name the incarnation that
// answered, 48 say how many transactions of its own the answer contains. By causality whoever has
// applied those has applied all that they were based on: a client finds what it wrote, and what
// those writes could see. What it merely read since, of other datacenters, only the token in
// `Entente-Session` carries.
uint64_t replication_index(const Site& site, const VersionVector& seen);

// The member "replication_index" of a statement, batch or script: a number or a text of digits.
std::optional<uint64_t> seen_by_client(const Json& json);

// Waits until this gateway has applied that much, up to limits.session_wait.
Task<Result<void>> wait_for_index(const Site& site, uint64_t index);

}  // namespace entente
