#pragma once

#include <string>
#include <string_view>

#include "gateway/access/token_keys.h"

namespace entente::test {

// A key that signs whatever it is given, well or badly formed.
class TestKey {
 public:
  enum class Signature { kJose, kDer };

  explicit TestKey(TokenKey::Algorithm algorithm = TokenKey::Algorithm::kEdDsa,
                   int rsa_bits = 2048);

  std::string pem() const;
  std::string id() const { return key_id(key_.get()); }
  // As a JSON Web Key, with this `kid` if it is not empty. Ed25519 only.
  std::string jwk(std::string_view kid) const;
  // header.claims.signature; the header says this key's algorithm.
  std::string token(std::string_view claims) const;
  std::string token(std::string_view header, std::string_view claims,
                    Signature form = Signature::kJose) const;

 private:
  TokenKey::Algorithm algorithm_;
  PublicKey key_;
};

std::string base64url(std::string_view bytes);
// HMAC-SHA256, for those who take a public key for a secret.
std::string hs256(std::string_view secret, std::string_view text);

}  // namespace entente::test
