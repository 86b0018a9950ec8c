#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gateway/access/client.h"
#include "gateway/access/token_keys.h"

namespace entente {

// An Ed25519 key that signs tokens, in PEM (PKCS 8), and the public one that gateways get.
struct TokenKeyPair {
  std::string secret, open;
};
Result<TokenKeyPair> make_token_key();

struct TokenClaims {
  std::string sub, jti, cluster;
  int64_t issued = 0, expires = 0;  // Unix seconds
  Right role = Right::kRead;
  std::map<std::string, std::vector<std::string>> tables;  // their rights; empty: all tables
};

// The token that says so, signed with a key of make_token_key().
Result<std::string> sign_token(const TokenClaims& claims, const std::string& secret_key);

// 128 random bits, in hex: a token's id.
Result<std::string> random_token_id();

}  // namespace entente
