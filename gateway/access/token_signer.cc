#include "gateway/access/token_signer.h"

#include <array>

#include "conflict/hex.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

namespace entente {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

constexpr size_t kSignatureBytes = 64;
constexpr size_t kIdBytes = 16;

Bio memory() { return {BIO_new(BIO_s_mem()), BIO_free}; }

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(length)};
}

std::string header_of(EVP_PKEY* key) {
  JsonWriter json;
  json.begin_object().member("alg", "EdDSA").member("typ", "JWT").member("kid", key_id(key));
  return json.end_object().take();
}

std::string body_of(const TokenClaims& claims) {
  JsonWriter json;
  json.begin_object();
  if (!claims.sub.empty()) json.member("sub", claims.sub);
  json.member("jti", claims.jti).member("aud", claims.cluster);
  json.key("iat").integer(claims.issued).key("exp").integer(claims.expires);
  json.key("entente").begin_object().member("role", to_string(claims.role));
  if (!claims.tables.empty()) {
    json.key("tables").begin_object();
    for (const auto& [table, rights] : claims.tables) {
      json.key(table).begin_array();
      for (const auto& right : rights) json.string(right);
      json.end_array();
    }
    json.end_object();
  }
  return json.end_object().end_object().take();
}

tl::unexpected<Error> openssl_failed(const char* what) {
  ERR_clear_error();
  return fail(Code::kInvalid, what, "token_key");
}

Result<PublicKey> read_secret(const std::string& pem) {
  const Bio in{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
  PublicKey key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    return openssl_failed("tokens are signed here with an Ed25519 key in PEM, without a password");
  }
  return key;
}

}  // namespace

Result<TokenKeyPair> make_token_key() {
  const PublicKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Bio secret = memory(), open = memory();
  if (!key ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1 ||
      PEM_write_bio_PUBKEY(open.get(), key.get()) != 1) {
    return openssl_failed("the system gave no key");
  }
  return TokenKeyPair{text_of(secret), text_of(open)};
}

Result<std::string> sign_token(const TokenClaims& claims, const std::string& secret_key) {
  const auto key = read_secret(secret_key);
  if (!key) return tl::unexpected(key.error());
  std::string token;
  append_base64url(token, header_of(key->get()));
  token += '.';
  append_base64url(token, body_of(claims));
  std::array<unsigned char, kSignatureBytes> signature{};
  size_t length = signature.size();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const auto* text = reinterpret_cast<const unsigned char*>(token.data());
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key->get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &length, text, token.size()) != 1) {
    return openssl_failed("the key did not sign");
  }
  token += '.';
  append_base64url(token, {reinterpret_cast<const char*>(signature.data()), length});
  return token;
}

Result<std::string> random_token_id() {
  std::array<unsigned char, kIdBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return openssl_failed("the system has no random numbers to give");
  }
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace entente
