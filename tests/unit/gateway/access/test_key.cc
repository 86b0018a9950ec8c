#include "tests/unit/gateway/access/test_key.h"

#include <array>
#include <cstdlib>

#include "gateway/encoding/base64.h"

#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

namespace entente::test {
namespace {

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

EVP_PKEY* make_key(TokenKey::Algorithm algorithm, int rsa_bits) {
  switch (algorithm) {
    case TokenKey::Algorithm::kEdDsa:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    case TokenKey::Algorithm::kEs256:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    case TokenKey::Algorithm::kRs256:
      break;
  }
  return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(rsa_bits));
}

// r and s of a signature in DER, side by side.
std::string side_by_side(const std::string& der) {
  const unsigned char* at = bytes(der);
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  std::string raw(64, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32);
  ECDSA_SIG_free(pair);
  return raw;
}

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string out;
  append_base64url(out, bytes);
  return out;
}

std::string hs256(std::string_view secret, std::string_view text) {
  std::array<unsigned char, 32> digest{};
  unsigned length = digest.size();
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes(text), text.size(),
       digest.data(), &length);
  return {reinterpret_cast<const char*>(digest.data()), length};
}

TestKey::TestKey(TokenKey::Algorithm algorithm, int rsa_bits)
    : algorithm_(algorithm), key_(make_key(algorithm, rsa_bits)) {
  if (!key_) std::abort();
}

std::string TestKey::pem() const {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(out, key_.get());
  char* data = nullptr;
  const long length = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<size_t>(length));
  BIO_free(out);
  return text;
}

std::string TestKey::jwk(std::string_view kid) const {
  std::array<unsigned char, 32> x{};
  size_t length = x.size();
  EVP_PKEY_get_raw_public_key(key_.get(), x.data(), &length);
  const std::string name = kid.empty() ? "" : R"("kid":")" + std::string(kid) + R"(",)";
  return R"({"kty":"OKP","crv":"Ed25519",)" + name + R"("x":")" +
         base64url({reinterpret_cast<const char*>(x.data()), length}) + R"("})";
}

std::string TestKey::token(std::string_view claims) const {
  return token(R"({"alg":")" + std::string(to_string(algorithm_)) + R"("})", claims);
}

std::string TestKey::token(std::string_view header, std::string_view claims, Signature form) const {
  std::string text = base64url(header) + "." + base64url(claims);
  const bool pure = algorithm_ == TokenKey::Algorithm::kEdDsa;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestSignInit(context, nullptr, pure ? nullptr : EVP_sha256(), nullptr, key_.get());
  size_t length = 0;
  EVP_DigestSign(context, nullptr, &length, bytes(text), text.size());
  std::string signature(length, '\0');
  EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &length, bytes(text),
                 text.size());
  EVP_MD_CTX_free(context);
  signature.resize(length);
  const bool jose = form == Signature::kJose && algorithm_ == TokenKey::Algorithm::kEs256;
  return text + "." + base64url(jose ? side_by_side(signature) : signature);
}

}  // namespace entente::test
