#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "gateway/access/client.h"
#include "gateway/access/refusal.h"
#include "gateway/access/token_keys.h"

namespace entente {

inline constexpr size_t kTokenBytesMax = 4096;
// How far clocks may be apart.
inline constexpr int64_t kTokenLeeway = 60;

// What a token that one of the keys signed lets its bearer do in this cluster, at this time (Unix
// seconds). It costs 50 to 250 µs: Access keeps what came out.
//
// A JWT: three parts of canonical base64url, at most kTokenBytesMax bytes; `aud` names the cluster;
// `exp` and a role are there. The key decides the algorithm, and the header has to agree.
//   {"sub", "jti", "aud", "exp", "nbf",
//    "entente": {"role": "write", "tables": {"carts": ["read", "write"]}}}
// libSQL's {"a": "ro" | "rw"} is the role read or write, where there is no "entente".
//
// Source: RFC 7519, 7515, 8725 (best current practices).
tl::expected<Client, Refusal> verify_token(std::string_view token, std::span<const TokenKey> keys,
                                           std::string_view cluster, int64_t now);

}  // namespace entente
