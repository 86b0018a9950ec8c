#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "conflict/result.h"

#include <openssl/evp.h>

namespace entente {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using PublicKey = std::unique_ptr<EVP_PKEY, FreeKey>;

// A key whose tokens are good. It decides how they are signed.
struct TokenKey {
  enum class Algorithm { kEdDsa, kEs256, kRs256 };
  std::string id;      // a JWK's `kid`; otherwise the beginning of the SHA-256 of the key
  bool named = false;  // `id` is its issuer's word for it
  Algorithm algorithm = Algorithm::kEdDsa;
  PublicKey key;
};

// As a token's header says it.
std::string_view to_string(TokenKey::Algorithm algorithm);

// The keys of a text: PEM, any number of `PUBLIC KEY`; or a JWK or a JWK set, from which keys for
// other uses are left out. Ed25519, P-256, and RSA of 2048 bits or more.
// Errors: a private or a symmetric key, a key of another kind, a text without any.
Result<std::vector<TokenKey>> read_token_keys(std::string text);

// What keys without a name are called.
std::string key_id(EVP_PKEY* key);

}  // namespace entente
