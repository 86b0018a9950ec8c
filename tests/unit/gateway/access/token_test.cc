#include "gateway/access/token.h"

#include <gtest/gtest.h>

#include "gateway/access/token_signer.h"
#include "tests/unit/gateway/access/test_key.h"

namespace entente {
namespace {

using test::base64url;
using test::TestKey;
using Algorithm = TokenKey::Algorithm;
using Why = Refusal::Why;

constexpr int64_t kNow = 1'800'000'000;
constexpr const char* kGood =
    R"({"sub":"ada","jti":"7","aud":"shop","exp":1800000100,"entente":{"role":"write"}})";

// The same keys for all tests: an RSA key takes a while to make.
const TestKey& key_of(Algorithm algorithm) {
  static const TestKey eddsa(Algorithm::kEdDsa), es256(Algorithm::kEs256), rs256(Algorithm::kRs256);
  if (algorithm == Algorithm::kEdDsa) return eddsa;
  return algorithm == Algorithm::kEs256 ? es256 : rs256;
}
const TestKey& ed() { return key_of(Algorithm::kEdDsa); }
const TestKey& es() { return key_of(Algorithm::kEs256); }

std::vector<TokenKey> keys_of(const std::string& text) {
  auto keys = read_token_keys(text);
  EXPECT_TRUE(keys) << keys.error().text;
  return keys ? std::move(*keys) : std::vector<TokenKey>();
}

const std::vector<TokenKey>& all_keys() {
  static const auto keys = keys_of(ed().pem() + es().pem() + key_of(Algorithm::kRs256).pem());
  return keys;
}

tl::expected<Client, Refusal> verify(std::string_view token) {
  return verify_token(token, all_keys(), "shop", kNow);
}

std::string claims(const std::string& more, const std::string& role = R"("role":"write")") {
  return R"({"aud":"shop",)" + more + R"("entente":{)" + role + "}}";
}

std::string exp_in(int64_t seconds) { return R"("exp":)" + std::to_string(kNow + seconds) + ","; }

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {};

TEST_P(EveryAlgorithm, GoodTokenSaysWhoAndWhat) {
  const auto client = verify(key_of(GetParam()).token(kGood));
  ASSERT_TRUE(client) << client.error().text;
  EXPECT_EQ(client->sub, "ada");
  EXPECT_EQ(client->jti, "7");
  EXPECT_EQ(client->role, Right::kWrite);
  EXPECT_EQ(client->ends, 1800000160);
  EXPECT_TRUE(client->may_write("anything"));
  EXPECT_FALSE(client->may(Right::kSchema));
}

TEST_P(EveryAlgorithm, EveryChangedByteIsRefused) {
  const std::string token = key_of(GetParam()).token(kGood);
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify(changed)) << i;
  }
}

TEST_P(EveryAlgorithm, TokenOfAnotherKeyOfTheKindIsRefused) {
  const TestKey other(GetParam());
  EXPECT_FALSE(verify(other.token(kGood)));
}

INSTANTIATE_TEST_SUITE_P(Token, EveryAlgorithm,
                         testing::Values(Algorithm::kEdDsa, Algorithm::kEs256, Algorithm::kRs256));

// What was tried against other verifiers.
struct Trick {
  const char* name;
  std::function<std::string()> token;
  Why why = Why::kInvalid;
};

std::string with_part(std::string token, int part, const std::string& instead) {
  size_t begin = 0;
  for (int i = 0; i < part; ++i) begin = token.find('.', begin) + 1;
  return token.replace(begin, std::min(token.find('.', begin), token.size()) - begin, instead);
}

// The last digit of a part that is not a multiple of three bytes has bits to spare.
std::string with_spare_bit(std::string token) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  token.back() = kDigits[kDigits.find(token.back()) + 1];
  return token;
}

const Trick kTricks[] = {
    {"AlgorithmNone", [] { return base64url(R"({"alg":"none"})") + "." + base64url(kGood) + "."; }},
    {"AlgorithmNoneWithTheSignature", [] { return ed().token(R"({"alg":"none"})", kGood); }},
    {"AlgorithmAbsent", [] { return ed().token("{}", kGood); }},
    {"AlgorithmOfAnotherKey", [] { return ed().token(R"({"alg":"ES256"})", kGood); }},
    {"AlgorithmInAnotherCase", [] { return ed().token(R"({"alg":"eddsa"})", kGood); }},
    {"Hs256WithThePublicKey",
     [] {
       const std::string text = base64url(R"({"alg":"HS256"})") + "." + base64url(kGood);
       return text + "." + base64url(test::hs256(ed().pem(), text));
     }},
    {"Hs256SaidToBeEdDsa",
     [] {
       const std::string text = base64url(R"({"alg":"EdDSA"})") + "." + base64url(kGood);
       return text + "." + base64url(test::hs256(ed().pem(), text));
     }},
    {"ChangedBody",
     [] {
       std::string admin = kGood;
       admin.replace(admin.find("write"), 5, "admin");
       return with_part(ed().token(kGood), 1, base64url(admin));
     }},
    {"DerInsteadOfRawEcdsa",
     [] { return es().token(R"({"alg":"ES256"})", kGood, TestKey::Signature::kDer); }},
    {"ZeroSignature",
     [] { return with_part(es().token(kGood), 2, base64url(std::string(64, '\0'))); }},
    {"ZeroSignatureOfEdDsa",
     [] { return with_part(ed().token(kGood), 2, base64url(std::string(64, '\0'))); }},
    {"NoSignature", [] { return with_part(ed().token(kGood), 2, ""); }},
    {"LongerSignature",
     [] { return with_part(ed().token(kGood), 2, base64url(std::string(65, 'x'))); }},
    {"CriticalExtension",
     [] { return ed().token(R"({"alg":"EdDSA","crit":["b64"],"b64":false})", kGood); }},
    {"CriticalOfNothing", [] { return ed().token(R"({"alg":"EdDSA","crit":[]})", kGood); }},
    {"KeyInTheHeader",
     [] {
       const TestKey mine;
       return mine.token(R"({"alg":"EdDSA","jwk":)" + mine.jwk("") + "}", kGood);
     }},
    {"KeyIdOfAnotherKey",
     [] { return ed().token(R"({"alg":"EdDSA","kid":")" + es().id() + R"("})", kGood); }},
    {"KeyIdNoText", [] { return ed().token(R"({"alg":"EdDSA","kid":7})", kGood); }},
    {"ClaimTwice",
     [] {
       return ed().token(R"({"aud":"shop","exp":1,"exp":1800000100,"entente":{"role":"write"}})");
     }},
    {"HeaderMemberTwice", [] { return ed().token(R"({"alg":"EdDSA","alg":"EdDSA"})", kGood); }},
    {"RoleTwice", [] { return ed().token(claims(exp_in(9), R"("role":"read","role":"admin")")); }},
    {"ExpiryAsText", [] { return ed().token(claims(R"("exp":"1800000100",)")); }},
    {"ExpiryAbsent", [] { return ed().token(claims("")); }},
    {"ExpiryNull", [] { return ed().token(claims(R"("exp":null,)")); }},
    {"ExpiryBeyondNumbers", [] { return ed().token(claims(R"("exp":1e400,)")); }},
    {"ExpiryPast", [] { return ed().token(claims(exp_in(-60))); }, Why::kExpired},
    {"ExpiryLongPast", [] { return ed().token(claims(R"("exp":-9223372036854775808,)")); },
     Why::kExpired},
    {"NotYet",
     [] { return ed().token(claims(exp_in(900) + R"("nbf":)" + std::to_string(kNow + 61) + ",")); },
     Why::kImmature},
    {"NotBeforeAsText", [] { return ed().token(claims(exp_in(900) + R"("nbf":"0",)")); }},
    {"Padding", [] { return ed().token(kGood) + "="; }},
    {"PaddingInside",
     [] { return with_part(ed().token(kGood), 0, base64url(R"({"alg":"EdDSA"})") + "="); }},
    {"StandardAlphabet", [] { return with_part(ed().token(kGood), 2, std::string(86, '+')); }},
    {"NotCanonical", [] { return with_spare_bit(ed().token(kGood)); }},
    {"LineBreak", [] { return ed().token(kGood) + "\n"; }},
    {"FourParts", [] { return ed().token(kGood) + "."; }},
    {"TwoParts", [] { return base64url("{}") + "." + base64url("{}"); }},
    {"Nothing", [] { return std::string(); }},
    {"Points", [] { return std::string(".."); }},
    {"FiveKilobytes",
     [] { return ed().token(claims(exp_in(9) + R"("x":")" + std::string(3'800, 'x') + R"(",)")); }},
    {"AnotherCluster",
     [] { return ed().token(R"({"aud":"shops","exp":1800000100,"entente":{"role":"read"}})"); }},
    {"NoCluster", [] { return ed().token(R"({"exp":1800000100,"entente":{"role":"read"}})"); }},
    {"OtherClusters",
     [] { return ed().token(R"({"aud":["a","b"],"exp":1800000100,"entente":{"role":"read"}})"); }},
    {"NoRights", [] { return ed().token(R"({"aud":"shop","exp":1800000100})"); }},
    {"UnknownRole", [] { return ed().token(claims(exp_in(9), R"("role":"root")")); }},
    {"RoleOpen", [] { return ed().token(claims(exp_in(9), R"("role":"open")")); }},
    {"RoleAbsent", [] { return ed().token(claims(exp_in(9), R"("tables":{"t":["read"]})")); }},
    {"UnknownRestriction",
     [] { return ed().token(claims(exp_in(9), R"("role":"write","columns":["a"])")); }},
    {"TablesForASchemaRole",
     [] { return ed().token(claims(exp_in(9), R"("role":"schema","tables":{"t":["read"]})")); }},
    {"TablesBeyondTheRole",
     [] { return ed().token(claims(exp_in(9), R"("role":"read","tables":{"t":["write"]})")); }},
    {"TablesWithAnotherRight",
     [] { return ed().token(claims(exp_in(9), R"("role":"write","tables":{"t":["drop"]})")); }},
    {"TablesNoList",
     [] { return ed().token(claims(exp_in(9), R"("role":"write","tables":{"t":"read"})")); }},
    {"UnknownLibsqlRights",
     [] { return ed().token(R"({"aud":"shop","exp":1800000100,"a":"all"})"); }},
    {"SubjectNoText", [] { return ed().token(claims(exp_in(9) + R"("sub":7,)")); }},
    {"TokenIdNoText", [] { return ed().token(claims(exp_in(9) + R"("jti":["7"],)")); }},
    {"ClaimsNoObject", [] { return ed().token("[]"); }},
    {"ClaimsNoJson", [] { return ed().token("aud=shop"); }},
    {"ClaimsDeep", [] { return ed().token(std::string(500, '[') + std::string(500, ']')); }},
    {"ClaimsNotUtf8", [] { return ed().token("{\"aud\":\"\xff\"}"); }},
};

class Tricks : public testing::TestWithParam<Trick> {};

TEST_P(Tricks, AreRefused) {
  const auto client = verify(GetParam().token());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().why, GetParam().why) << client.error().text;
}

INSTANTIATE_TEST_SUITE_P(Token, Tricks, testing::ValuesIn(kTricks),
                         [](const auto& trick) { return std::string(trick.param.name); });

TEST(Token, ClocksMayBeAMinuteApart) {
  EXPECT_TRUE(verify(ed().token(claims(exp_in(-59)))));
  EXPECT_TRUE(
      verify(ed().token(claims(exp_in(900) + R"("nbf":)" + std::to_string(kNow + 60) + ","))));
}

TEST(Token, AudienceMayBeAList) {
  EXPECT_TRUE(verify(ed().token(R"({"aud":["other","shop"],"exp":1800000100,"a":"ro"})")));
}

TEST(Token, LibsqlsClaimIsARole) {
  const auto ro = verify(ed().token(R"({"aud":"shop","exp":1800000100,"a":"ro"})"));
  const auto rw = verify(ed().token(R"({"aud":"shop","exp":1800000100,"a":"rw"})"));
  ASSERT_TRUE(ro && rw);
  EXPECT_TRUE(ro->may_read("t"));
  EXPECT_FALSE(ro->may(Right::kWrite) || ro->may_write("t"));
  EXPECT_TRUE(rw->may_write("t"));
  EXPECT_FALSE(rw->may(Right::kSchema));
}

TEST(Token, TablesAreOnlyThoseNamedInAnyCase) {
  const auto client = verify(ed().token(claims(
      exp_in(9), R"("role":"write","tables":{"Carts":["read","write"],"prices":["read"]})")));
  ASSERT_TRUE(client) << client.error().text;
  EXPECT_TRUE(client->may_write("cARTS") && client->may_read("carts"));
  EXPECT_TRUE(client->may_read("prices"));
  EXPECT_FALSE(client->may_write("prices"));
  EXPECT_FALSE(client->may_read("orders"));
  EXPECT_FALSE(client->may_read_all());
}

TEST(Token, WhoHasNoNameIsToldByHisToken) {
  const auto one = verify(ed().token(claims(exp_in(9)))),
             other = verify(ed().token(claims(exp_in(8))));
  const auto ada = verify(ed().token(claims(exp_in(9) + R"("sub":"ada",)")));
  const auto again = verify(ed().token(claims(exp_in(8) + R"("sub":"ada",)")));
  ASSERT_TRUE(one && other && ada && again);
  EXPECT_NE(one->owner, other->owner);
  EXPECT_EQ(ada->owner, again->owner);
}

// Nothing that nobody signed may be written down.
TEST(Token, RefusalNamesOnlyWhoseSignatureIsGood) {
  const auto expired = verify(ed().token(claims(R"("exp":1,"sub":"ada","jti":"7",)")));
  const auto forged = verify(TestKey().token(claims(R"("exp":1,"sub":"ada","jti":"7",)")));
  ASSERT_FALSE(expired || forged);
  EXPECT_EQ(expired.error().sub + expired.error().jti, "ada7");
  EXPECT_EQ(forged.error().sub + forged.error().jti, "");
}

TEST(Token, KeyIdPicksTheKey) {
  const TestKey one, other;
  const auto keys = keys_of(R"({"keys":[)" + one.jwk("one") + "," + other.jwk("other") + "]}");
  const auto verdict = [&](const TestKey& key, const std::string& header) {
    return verify_token(key.token(header, kGood), keys, "shop", kNow).has_value();
  };
  EXPECT_TRUE(verdict(one, R"({"alg":"EdDSA","kid":"one"})"));
  EXPECT_FALSE(verdict(one, R"({"alg":"EdDSA","kid":"other"})"));
  EXPECT_FALSE(verdict(one, R"({"alg":"EdDSA","kid":"third"})"));
  EXPECT_TRUE(verdict(other, R"({"alg":"EdDSA"})"));
}

// An issuer calls its key what it likes; a PEM file cannot say so.
TEST(Token, KeyWithoutANameTakesAnyKeyId) {
  EXPECT_TRUE(verify(ed().token(R"({"alg":"EdDSA","kid":"2024-09"})", kGood)));
  EXPECT_TRUE(verify(ed().token(R"({"alg":"EdDSA","kid":")" + ed().id() + R"("})", kGood)));
}

TEST(TokenSigner, SignsWhatTheVerifierTakes) {
  const auto pair = make_token_key();
  ASSERT_TRUE(pair);
  TokenClaims claims;
  claims.sub = "ada";
  claims.jti = *random_token_id();
  claims.cluster = "shop";
  claims.expires = kNow + 5;
  claims.role = Right::kRead;
  claims.tables = {{"carts", {"read"}}};
  const auto token = sign_token(claims, pair->secret);
  ASSERT_TRUE(token) << token.error().text;
  const auto client = verify_token(*token, keys_of(pair->open), "shop", kNow);
  ASSERT_TRUE(client) << client.error().text;
  EXPECT_EQ(client->jti, claims.jti);
  EXPECT_TRUE(client->may_read("carts"));
  EXPECT_FALSE(client->may_read("orders"));
  EXPECT_FALSE(sign_token(claims, pair->open));
}

TEST(TokenKeys, RefuseWhatIsNoPublicKeyForTokens) {
  const auto refuses = [](const std::string& text, std::string_view why) {
    const auto keys = read_token_keys(text);
    ASSERT_FALSE(keys);
    EXPECT_NE(keys.error().text.find(why), std::string::npos) << keys.error().text;
  };
  refuses(make_token_key()->secret, "private key");
  refuses(ed().pem() + make_token_key()->secret, "private key");
  refuses("", "no public key");
  refuses("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key");
  refuses(ed().pem() + "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
          "no public key");
  refuses(TestKey(Algorithm::kRs256, 1024).pem(), "2048");
  refuses(R"({"kty":"oct","k":"c2VjcmV0"})", "secret");
  refuses(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})", "Ed25519");
  refuses(R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})", "P-256");
  refuses(R"({"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"})", "P-256");
  refuses(R"({"keys":[]})", "no key");
  refuses(R"({"keys":{}})", "array");
  refuses(R"({"keys":[{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"}]})", "no key");
}

TEST(TokenKeys, ReadRsaAndEcFromAJwkSet) {
  // RFC 7517, A.1.
  const auto keys = keys_of(R"({"keys":[
    {"kty":"EC","crv":"P-256","kid":"1","use":"sig",
     "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
    {"kty":"RSA","alg":"RS256","kid":"2011-04-29","e":"AQAB",
     "n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
    {"kty":"EC","alg":"ES512","crv":"P-521","x":"","y":""}]})");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].id, "1");
  EXPECT_EQ(keys[0].algorithm, Algorithm::kEs256);
  EXPECT_EQ(keys[1].algorithm, Algorithm::kRs256);
}

}  // namespace
}  // namespace entente
