// Who asks: a token that nobody has looked at, and the files of keys that decide about it.

#include "gateway/access/token.h"
#include "gateway/access/token_signer.h"
#include "gateway/encoding/base64.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

constexpr int64_t kNow = 1'800'000'000;

// Always the same, so that a failure comes again; nothing else is signed with it.
constexpr const char* kSecret =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIAxaktCjFFIHywvM4L9RXvGaCRNP1msTUeBMWUGGGJqk\n"
    "-----END PRIVATE KEY-----\n";
constexpr const char* kOpen =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAzO6iACnGF5JgvPVHQSBMZK27Mr7+Xh9v+yFSw8vnVvQ=\n"
    "-----END PUBLIC KEY-----\n";

std::string good_token() {
  TokenClaims claims;
  claims.sub = "ada";
  claims.jti = "7";
  claims.cluster = "shop";
  claims.expires = kNow + 1;
  claims.role = Right::kWrite;
  claims.tables = {{"carts", {"read", "write"}}};
  return *sign_token(claims, kSecret);
}

const std::string& good() {
  static const std::string token = good_token();
  return token;
}

// Nothing passes but what was signed. Ed25519 signs the same twice alike.
void run(std::string_view bytes) {
  static const auto keys = *read_token_keys(kOpen);
  const auto client = verify_token(bytes, keys, "shop", kNow);
  MUST(client.has_value() == (bytes == good()));
  if (const auto plain = parse_base64url(bytes)) {
    std::string again;
    append_base64url(again, *plain);
    MUST(again == bytes);
  }
  if (const auto read = read_token_keys(std::string(bytes))) {
    MUST(!read->empty());
    for (const auto& key : *read) MUST(key.key && !key.id.empty());
    MUST(!verify_token(bytes, *read, "shop", kNow));
  }
}

// The claims as they are, too: signed ones cannot be guessed.
std::vector<std::string> seeds() {
  return {good(), kOpen,
          R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",)"
          R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})",
          "eyJhbGciOiJub25lIn0.e30."};
}

const Registration registered({"jwt", run, seeds, 4});

}  // namespace
}  // namespace entente::fuzz
