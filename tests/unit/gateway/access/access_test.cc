#include "gateway/access/access.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/process.h"
#include "tests/unit/gateway/access/test_key.h"

namespace entente {
namespace {

using test::TestKey;
using testing::TemporaryFolder;
using Why = Refusal::Why;

constexpr int64_t kNow = 1'800'000'000;

// A gateway's door: a folder with a key and revoked tokens, and a clock that stands.
class Door {
 public:
  Door() {
    write("one.pub", one.pem());
    write("revoked", "");
    config.cluster = "shop";
    config.tokens = TokenSettings{{path("one.pub")}, path("revoked")};
    access.emplace(config, [this] { return now; });
    EXPECT_TRUE(access->reload());
  }

  std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  static std::string token(const TestKey& key, const std::string& jti, int64_t ends = kNow + 100) {
    return key.token(R"({"sub":"ada","jti":")" + jti + R"(","aud":"shop","exp":)" +
                     std::to_string(ends) + R"(,"entente":{"role":"read"}})");
  }
  Access::Admission admit(const std::string& token, const std::string& from = "10.0.0.1") {
    return access->admit_token(token, from, "test");
  }
  Why why(const std::string& token, const std::string& from = "10.0.0.1") {
    const auto admission = admit(token, from);
    EXPECT_FALSE(admission);
    return admission ? Why::kForbidden : admission.error().why;
  }

  TemporaryFolder folder;
  TestKey one, other;
  Config config;
  int64_t now = kNow;
  std::optional<Access> access;
};

TEST(Access, WithoutKeysEverybodyMayDoEverything) {
  Config config;
  Access access(config);
  ASSERT_TRUE(access.reload());
  const auto client = access.admit(std::nullopt, "", "");
  ASSERT_TRUE(client);
  EXPECT_TRUE((*client)->may(Right::kAdmin) && (*client)->may_write("t"));
  EXPECT_TRUE(access.holds(**client));
}

TEST(Access, HeaderIsBearerAndAToken) {
  Door door;
  const auto why = [&](std::optional<std::string> header) {
    const auto admission = door.access->admit(header, "", "");
    return admission ? std::optional<Why>() : admission.error().why;
  };
  const std::string token = Door::token(door.one, "1");
  EXPECT_EQ(why(std::nullopt), Why::kMissing);
  EXPECT_EQ(why(""), Why::kMalformed);
  EXPECT_EQ(why(token), Why::kMalformed);
  EXPECT_EQ(why("Basic " + token), Why::kMalformed);
  EXPECT_EQ(why("Bearer"), Why::kMalformed);
  EXPECT_EQ(why("Bearer " + token), std::nullopt);
  EXPECT_EQ(why("bearer  " + token + " "), std::nullopt);
  EXPECT_EQ(why("Bearer " + token + " " + token), Why::kInvalid);
}

TEST(Access, TokenIsGoodUntilItEnds) {
  Door door;
  const std::string token = Door::token(door.one, "1");
  const auto client = door.admit(token);
  ASSERT_TRUE(client);
  door.now = kNow + 159;
  EXPECT_TRUE(door.admit(token) && door.access->holds(**client));
  door.now = kNow + 160;
  EXPECT_EQ(door.why(token), Why::kExpired);
  EXPECT_FALSE(door.access->holds(**client));
}

TEST(Access, RevokedTokenIsRefusedAtOnceAndWhatIsOpenEnds) {
  Door door;
  const std::string token = Door::token(door.one, "1"), kept = Door::token(door.one, "2");
  const auto client = door.admit(token), stays = door.admit(kept);
  ASSERT_TRUE(client && stays);
  door.write("revoked", "# lost in a train\n  1  # ada's\n\n");
  ASSERT_TRUE(door.access->reload());
  EXPECT_EQ(door.why(token), Why::kRevoked);
  EXPECT_FALSE(door.access->holds(**client));
  EXPECT_TRUE(door.admit(kept) && door.access->holds(**stays));
}

TEST(Access, KeysRotate) {
  Door door;
  const std::string old = Door::token(door.one, "1"), fresh = Door::token(door.other, "2");
  const auto client = door.admit(old);
  ASSERT_TRUE(client);
  EXPECT_EQ(door.why(fresh), Why::kInvalid);
  door.write("one.pub", door.one.pem() + door.other.pem());
  ASSERT_TRUE(door.access->reload());
  EXPECT_TRUE(door.admit(old) && door.admit(fresh) && door.access->holds(**client));
  door.write("one.pub", door.other.pem());
  ASSERT_TRUE(door.access->reload());
  EXPECT_EQ(door.why(old), Why::kInvalid);
  EXPECT_FALSE(door.access->holds(**client));
  EXPECT_TRUE(door.admit(fresh));
}

TEST(Access, BadFilesChangeNothing) {
  Door door;
  const std::string token = Door::token(door.one, "1");
  for (const auto* text : {"", "nonsense", "{}", "-----BEGIN PRIVATE KEY-----"}) {
    door.write("one.pub", text);
    const auto done = door.access->reload();
    ASSERT_FALSE(done) << text;
    EXPECT_NE(done.error().text.find("one.pub"), std::string::npos) << done.error().text;
  }
  std::filesystem::remove(door.path("revoked"));
  door.write("one.pub", door.other.pem());
  EXPECT_FALSE(door.access->reload());
  EXPECT_TRUE(door.admit(token));
}

// Wrong ones cost a signature each; good ones are known.
TEST(Access, WrongTokensOfAnAddressAreLimitedAndGoodOnesPass) {
  Door door;
  const std::string good = Door::token(door.one, "1");
  ASSERT_TRUE(door.admit(good));
  for (uint32_t i = 0; i < Access::kWrongPerSecond; ++i) {
    EXPECT_EQ(door.why(Door::token(door.other, std::to_string(i))), Why::kInvalid);
  }
  EXPECT_EQ(door.why(Door::token(door.other, "x")), Why::kTooMany);
  EXPECT_EQ(door.why(Door::token(door.one, "unknown yet")), Why::kTooMany);
  EXPECT_TRUE(door.admit(good));
  EXPECT_TRUE(door.admit(Door::token(door.one, "elsewhere"), "10.0.0.2"));
  ++door.now;
  EXPECT_EQ(door.why(Door::token(door.other, "x")), Why::kInvalid);
  const auto counts = door.access->audit().counts().refused;
  EXPECT_EQ(counts.at("too_many"), 2u);
  EXPECT_EQ(counts.at("invalid"), Access::kWrongPerSecond + 1);
}

TEST(Access, AddressesWithWrongTokensAreBounded) {
  Door door;
  for (size_t i = 0; i < Access::kAddresses + 10; ++i) door.why("x", std::to_string(i));
  EXPECT_EQ(door.why("x", "another"), Why::kInvalid);
}

TEST(Audit, WritesNothingThatCouldEndALineOrPassForAnotherMember) {
  EXPECT_EQ(log_word(""), "-");
  EXPECT_EQ(log_word("ada@example.com"), "ada@example.com");
  EXPECT_EQ(log_word("a b"), "\"a b\"");
  EXPECT_EQ(log_word("a\" result=done\n"), "\"a? result=done?\"");
  EXPECT_LE(log_word(std::string(1000, 'x')).size(), 202u);
}

}  // namespace
}  // namespace entente
