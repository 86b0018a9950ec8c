#include "gateway/access/token_keys.h"

#include <array>

#include "conflict/hex.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

namespace entente {
namespace {

constexpr int kRsaBitsMin = 2048, kRsaBitsMax = 8192;
constexpr size_t kKeysMax = 64;
constexpr size_t kIdBytes = 8;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* thing) const {
    kFree(thing);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;

tl::unexpected<Error> bad_key(std::string text) {
  ERR_clear_error();
  return fail(Code::kInvalid, std::move(text), "token_key");
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool is_p256(EVP_PKEY* key) {
  std::array<char, 64> name{};
  size_t length = 0;
  return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(),
                                        &length) == 1 &&
         std::string_view(name.data(), length) == "prime256v1";
}

Result<TokenKey> token_key(PublicKey key, std::string name) {
  TokenKey out;
  out.named = !name.empty();
  out.id = out.named ? std::move(name) : key_id(key.get());
  const int bits = EVP_PKEY_get_bits(key.get());
  switch (EVP_PKEY_get_base_id(key.get())) {
    case EVP_PKEY_ED25519:
      out.algorithm = TokenKey::Algorithm::kEdDsa;
      break;
    case EVP_PKEY_EC:
      if (!is_p256(key.get())) return bad_key("its curve is not P-256");
      out.algorithm = TokenKey::Algorithm::kEs256;
      break;
    case EVP_PKEY_RSA:
      if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
        return bad_key("an RSA key has 2048 to 8192 bits, not " + std::to_string(bits));
      }
      out.algorithm = TokenKey::Algorithm::kRs256;
      break;
    default:
      return bad_key("tokens are signed by Ed25519, P-256 (ES256) or RSA (RS256) keys only");
  }
  out.key = std::move(key);
  return out;
}

// ---- PEM ---------------------------------------------------------------------------------------

constexpr const char* kNoKey = "it holds no public key in PEM (-----BEGIN PUBLIC KEY-----) or JWK";

// What the next `PUBLIC KEY` holds; "" after the last.
Result<std::string> next_pem(BIO* in) {
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long length = 0;
  if (PEM_read_bio(in, &name, &header, &data, &length) != 1) {
    const bool over = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (over) return "";
    return bad_key(kNoKey);
  }
  const bool is_public = std::string_view(name) == "PUBLIC KEY";
  std::string der(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  if (!is_public || der.empty()) return bad_key(kNoKey);
  return der;
}

Result<std::vector<TokenKey>> read_pem(const std::string& text) {
  if (text.find("PRIVATE KEY-----") != std::string::npos) {
    return bad_key("it holds a private key: a gateway is given the public one only");
  }
  const Bio in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<TokenKey> keys;
  while (keys.size() < kKeysMax) {
    const auto der = next_pem(in.get());
    if (!der) return tl::unexpected(der.error());
    if (der->empty()) break;
    const unsigned char* at = bytes(*der);
    PublicKey one(d2i_PUBKEY(nullptr, &at, static_cast<long>(der->size())));
    if (!one || at != bytes(*der) + der->size()) return bad_key(kNoKey);
    auto key = token_key(std::move(one), "");
    if (!key) return tl::unexpected(key.error());
    keys.push_back(std::move(*key));
  }
  if (keys.empty()) return bad_key(kNoKey);
  return keys;
}

// ---- JWK (RFC 7517, 7518, 8037) ----------------------------------------------------------------

Result<std::string> binary_of(const Json& jwk, std::string_view member) {
  const Json* json = jwk.find(member);
  if (json == nullptr || json->string() == nullptr) {
    return bad_key("a JWK lacks \"" + std::string(member) + "\"");
  }
  return parse_base64url(*json->string());
}

PublicKey from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return PublicKey(key);
}

Result<PublicKey> okp_key(const Json& jwk) {
  if (text_of(jwk, "crv") != "Ed25519") return bad_key("the curve of an OKP key is Ed25519");
  const auto x = binary_of(jwk, "x");
  if (!x) return tl::unexpected(x.error());
  PublicKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(*x), x->size()));
  if (!key) return bad_key("the \"x\" of a JWK is no Ed25519 key");
  return key;
}

Result<PublicKey> ec_key(const Json& jwk) {
  if (text_of(jwk, "crv") != "P-256") return bad_key("the curve of an EC key is P-256");
  const auto x = binary_of(jwk, "x"), y = binary_of(jwk, "y");
  if (!x || !y) return tl::unexpected((x ? y : x).error());
  const std::string point = "\x04" + *x + *y;
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  PublicKey key;
  if (x->size() == 32 && y->size() == 32) key = from_parameters("EC", builder.get());
  if (!key) return bad_key("\"x\" and \"y\" of a JWK are no point of P-256");
  return key;
}

Result<PublicKey> rsa_key(const Json& jwk) {
  const auto n = binary_of(jwk, "n"), e = binary_of(jwk, "e");
  if (!n || !e) return tl::unexpected((n ? e : n).error());
  const Number modulus(BN_bin2bn(bytes(*n), static_cast<int>(n->size()), nullptr));
  const Number exponent(BN_bin2bn(bytes(*e), static_cast<int>(e->size()), nullptr));
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  PublicKey key = from_parameters("RSA", builder.get());
  if (!key) return bad_key("\"n\" and \"e\" of a JWK are no RSA key");
  return key;
}

Result<PublicKey> public_key(const Json& jwk) {
  for (const auto* secret : {"d", "k"}) {
    if (jwk.find(secret) != nullptr) {
      return bad_key("it holds a secret (\"" + std::string(secret) +
                     "\"): a gateway is given public keys only");
    }
  }
  const auto type = text_of(jwk, "kty");
  if (type == "OKP") return okp_key(jwk);
  if (type == "EC") return ec_key(jwk);
  if (type == "RSA") return rsa_key(jwk);
  return bad_key("a JWK's \"kty\" is OKP, EC or RSA");
}

// An issuer's set has keys for other uses and algorithms, too.
bool is_for_tokens(const Json& jwk) {
  const auto use = text_of(jwk, "use"), algorithm = text_of(jwk, "alg");
  const bool known =
      algorithm.empty() || algorithm == "EdDSA" || algorithm == "ES256" || algorithm == "RS256";
  return known && (use.empty() || use == "sig");
}

Result<std::vector<TokenKey>> read_jwks(std::string& text) {
  const auto document = parse_json(text);
  if (!document) return bad_key("it is no JWK: " + document.error().text);
  const Json* set = document->find("keys");
  const Json::Array alone{*document};
  const Json::Array* all = set == nullptr ? &alone : set->array();
  if (all == nullptr || all->size() > kKeysMax)
    return bad_key("\"keys\" is an array of 64 at most");
  std::vector<TokenKey> keys;
  for (const auto& jwk : *all) {
    if (!is_for_tokens(jwk)) continue;
    auto key = public_key(jwk);
    if (!key) return tl::unexpected(key.error());
    auto named = token_key(std::move(*key), text_of(jwk, "kid"));
    if (!named) return tl::unexpected(named.error());
    const auto algorithm = text_of(jwk, "alg");
    if (!algorithm.empty() && algorithm != to_string(named->algorithm)) {
      return bad_key("a JWK's \"alg\" is not its key's");
    }
    keys.push_back(std::move(*named));
  }
  if (keys.empty()) return bad_key("it holds no key for signatures");
  return keys;
}

}  // namespace

std::string_view to_string(TokenKey::Algorithm algorithm) {
  switch (algorithm) {
    case TokenKey::Algorithm::kEdDsa:
      return "EdDSA";
    case TokenKey::Algorithm::kEs256:
      return "ES256";
    case TokenKey::Algorithm::kRs256:
      break;
  }
  return "RS256";
}

std::string key_id(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key, &der);
  if (length <= 0) return "";
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(der, static_cast<size_t>(length), digest.data());
  OPENSSL_free(der);
  return to_hex({reinterpret_cast<const char*>(digest.data()), kIdBytes});
}

Result<std::vector<TokenKey>> read_token_keys(std::string text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') return read_jwks(text);
  return read_pem(text);
}

}  // namespace entente
