#include "gateway/access/token.h"

#include <array>
#include <cmath>
#include <optional>

#include "conflict/hex.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/sha.h>

namespace entente {
namespace {

using Why = Refusal::Why;

constexpr size_t kNameBytesMax = 255;
constexpr size_t kEcdsaHalf = 32;  // bytes of r, and of s
constexpr double kLatest = 1e15;

tl::unexpected<Refusal> invalid(std::string text) {
  return tl::unexpected(Refusal{Why::kInvalid, "the token " + std::move(text)});
}

// ---- The three parts ---------------------------------------------------------------------------

struct Parts {
  std::string_view signed_part;  // header.claims
  Json header, claims;
  std::string signature;
};

std::optional<Json> json_part(std::string_view text) {
  auto bytes = parse_base64url(text);
  if (!bytes) return std::nullopt;
  auto json = parse_json(*bytes);  // no member twice
  if (!json || json->object() == nullptr) return std::nullopt;
  return std::move(*json);
}

tl::expected<Parts, Refusal> take_apart(std::string_view token) {
  if (token.size() > kTokenBytesMax) {
    return invalid("is longer than " + std::to_string(kTokenBytesMax) + " bytes");
  }
  const size_t first = token.find('.');
  const size_t second = first == token.npos ? first : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) {
    return invalid("is no JWT: those have three parts");
  }
  auto header = json_part(token.substr(0, first));
  auto claims = json_part(token.substr(first + 1, second - first - 1));
  auto signature = parse_base64url(token.substr(second + 1));
  if (!header || !claims || !signature) {
    return invalid("is malformed: its parts are base64url without padding, the first two of JSON");
  }
  return Parts{token.substr(0, second), std::move(*header), std::move(*claims),
               std::move(*signature)};
}

// ---- The signature -----------------------------------------------------------------------------

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// JWS has r and s side by side; OpenSSL wants them in DER.
std::optional<std::string> der_of(std::string_view raw) {
  if (raw.size() != 2 * kEcdsaHalf) return std::nullopt;
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(bytes(raw), kEcdsaHalf, nullptr);
  BIGNUM* s = BN_bin2bn(bytes(raw) + kEcdsaHalf, kEcdsaHalf, nullptr);
  ECDSA_SIG_set0(pair.get(), r, s);
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  if (length <= 0) return std::nullopt;
  std::string out(reinterpret_cast<const char*>(der), static_cast<size_t>(length));
  OPENSSL_free(der);
  return out;
}

bool signed_by(const TokenKey& key, const Parts& parts) {
  std::string signature = parts.signature;
  if (key.algorithm == TokenKey::Algorithm::kEs256) {
    auto der = der_of(signature);
    if (!der) return false;
    signature = std::move(*der);
  }
  const EVP_MD* digest = key.algorithm == TokenKey::Algorithm::kEdDsa ? nullptr : EVP_sha256();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.key.get()) == 1 &&
      EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(parts.signed_part),
                       parts.signed_part.size()) == 1;
  ERR_clear_error();
  return good;
}

// `kid` picks the key. One that nobody has may be what its issuer calls a key that has no name
// here.
bool may_have_signed(const TokenKey& key, const std::string& kid, bool known) {
  if (kid.empty()) return true;
  return known ? key.id == kid : !key.named;
}

tl::expected<const TokenKey*, Refusal> signer_of(const Parts& parts,
                                                 std::span<const TokenKey> keys) {
  if (parts.header.find("crit") != nullptr) {
    return invalid("asks for extensions (crit) that are not known here");
  }
  const auto algorithm = text_of(parts.header, "alg"), kid = text_of(parts.header, "kid");
  if (parts.header.find("kid") != nullptr && kid.empty()) return invalid("has no proper \"kid\"");
  bool known = false, fits = false;
  for (const auto& key : keys) known = known || key.id == kid;
  for (const auto& key : keys) {
    if (!may_have_signed(key, kid, known) || to_string(key.algorithm) != algorithm) continue;
    fits = true;
    if (signed_by(key, parts)) return &key;
  }
  return fits ? invalid("was not signed by a key of this gateway, or was changed since")
              : invalid("names an algorithm and key that are none of this gateway's");
}

// ---- What it claims ----------------------------------------------------------------------------

// In Unix seconds. Absent: it is there, and no number.
std::optional<int64_t> time_of(const Json& claim) {
  if (claim.integer() != nullptr) return *claim.integer();
  if (claim.real() != nullptr && std::fabs(*claim.real()) < kLatest) {
    return static_cast<int64_t>(*claim.real());
  }
  return std::nullopt;
}

bool names(const Json& audience, std::string_view cluster) {
  if (audience.string() != nullptr) return *audience.string() == cluster;
  if (audience.array() == nullptr) return false;
  for (const auto& one : *audience.array()) {
    if (one.string() != nullptr && *one.string() == cluster) return true;
  }
  return false;
}

std::optional<std::string> name_of(const Json& claims, std::string_view claim) {
  const Json* json = claims.find(claim);
  if (json == nullptr) return "";
  const auto* text = json->string();
  if (text == nullptr || text->empty() || text->size() > kNameBytesMax) return std::nullopt;
  return *text;
}

std::optional<Right> role_of(std::string_view word) {
  for (const Right right :
       {Right::kRead, Right::kWrite, Right::kSchema, Right::kOperate, Right::kAdmin}) {
    if (to_string(right) == word) return right;
  }
  return std::nullopt;
}

// False: malformed, or beyond the role.
bool take_table(const Json& rights, Right role, TableRights::Of& of) {
  if (rights.array() == nullptr) return false;
  for (const auto& right : *rights.array()) {
    const auto* word = right.string();
    if (word == nullptr || (*word != "read" && *word != "write")) return false;
    if (*word == "write" && role < Right::kWrite) return false;
    (*word == "read" ? of.read : of.write) = true;
  }
  return true;
}

tl::expected<void, Refusal> take_tables(const Json& tables, Client& client) {
  if (tables.object() == nullptr) return invalid("has \"tables\" that are no object");
  if (client.role > Right::kWrite) {
    return invalid("names tables, which only the roles read and write have");
  }
  auto rights = std::make_shared<TableRights>();
  for (const auto& [name, of] : *tables.object()) {
    if (!take_table(of, client.role, rights->named[TableRights::in_lower_case(name)])) {
      return invalid(
          "has rights of a table that are not a list of \"read\" and \"write\", or more than its "
          "role");
    }
  }
  client.tables = std::move(rights);
  return {};
}

tl::expected<void, Refusal> take_own_rights(const Json& own, Client& client) {
  if (own.object() == nullptr) return invalid("has an \"entente\" that is no object");
  for (const auto& [name, value] : *own.object()) {
    if (name != "role" && name != "tables") {
      return invalid("has an unknown claim \"" + name + "\" in \"entente\"");
    }
  }
  const auto role = role_of(text_of(own, "role"));
  if (!role) return invalid("has no role: read, write, schema, operate or admin");
  client.role = *role;
  const bool writes = *role >= Right::kWrite;
  client.tables = *role > Right::kWrite
                      ? nullptr
                      : std::make_shared<TableRights>(TableRights{{true, writes}, {}});
  const Json* tables = own.find("tables");
  if (tables == nullptr) return {};
  return take_tables(*tables, client);
}

tl::expected<void, Refusal> take_rights(const Json& claims, Client& client) {
  if (const Json* own = claims.find("entente")) return take_own_rights(*own, client);
  const auto libsql = text_of(claims, "a");
  if (libsql != "ro" && libsql != "rw") return invalid("says nothing of rights");
  const bool writes = libsql == "rw";
  client.role = writes ? Right::kWrite : Right::kRead;
  client.tables = std::make_shared<TableRights>(TableRights{{true, writes}, {}});
  return {};
}

tl::expected<void, Refusal> check_times(const Json& claims, int64_t now, Client& client) {
  const Json *expires = claims.find("exp"), *from = claims.find("nbf");
  const auto end = expires == nullptr ? std::nullopt : time_of(*expires);
  if (!end) return invalid("has no \"exp\", or one that is no number");
  const auto begin = from == nullptr ? std::optional<int64_t>(0) : time_of(*from);
  if (!begin) return invalid("has an \"nbf\" that is no number");
  const int64_t far = static_cast<int64_t>(kLatest);
  client.ends = std::min(std::max(*end, -far), far) + kTokenLeeway;
  if (client.ends <= now) {
    return tl::unexpected(Refusal{Why::kExpired, "the token has expired: get another one"});
  }
  if (std::min(*begin, far) - kTokenLeeway > now) {
    return tl::unexpected(Refusal{Why::kImmature, "the token is not valid yet"});
  }
  return {};
}

// Who has no name is told by his token.
std::string owner_of(const Client& client, std::string_view token) {
  if (!client.sub.empty()) return "sub:" + client.sub;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(bytes(token), token.size(), digest.data());
  return "token:" + to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

tl::expected<Client, Refusal> verify_token(std::string_view token, std::span<const TokenKey> keys,
                                           std::string_view cluster, int64_t now) {
  const auto parts = take_apart(token);
  if (!parts) return tl::unexpected(parts.error());
  const auto signer = signer_of(*parts, keys);
  if (!signer) return tl::unexpected(signer.error());
  Client client;
  client.key = (*signer)->id;
  const Json& claims = parts->claims;
  const auto sub = name_of(claims, "sub"), jti = name_of(claims, "jti");
  if (!sub || !jti) return invalid("has a \"sub\" or \"jti\" that is no text of 1 to 255 bytes");
  client.sub = *sub;
  client.jti = *jti;
  client.owner = owner_of(client, token);
  auto done = check_times(claims, now, client);
  const Json* audience = claims.find("aud");
  if (done && (audience == nullptr || !names(*audience, cluster))) {
    done = invalid("is not for this cluster: its \"aud\" is not " + std::string(cluster));
  }
  if (done) done = take_rights(claims, client);
  if (done) return client;
  Refusal refusal = std::move(done.error());
  refusal.sub = std::move(client.sub);
  refusal.jti = std::move(client.jti);
  return tl::unexpected(std::move(refusal));
}

}  // namespace entente
