#include "gateway/commands/token.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "gateway/access/token.h"
#include "gateway/commands/http_call.h"
#include "gateway/commands/token_file.h"
#include "tests/support/expect.h"
#include "tests/support/process.h"
#include "tests/unit/gateway/one_answer.h"

namespace entente {
namespace {

namespace fs = std::filesystem;
using test::OneAnswer;
using testing::has;

constexpr const char* kFile = R"(
cluster: shop
topology: {kind: all-to-all}
datacenters:
  a: {peers: "ws://127.0.0.1:7400", clients: "127.0.0.1:8080"}
security: {insecure: true}
)";

// A home of one's own, with a cluster's topology file and the key of its tokens.
class TokenCommands : public ::testing::Test {
 protected:
  TokenCommands() {
    ::setenv("HOME", folder_.path().c_str(), 1);
    ::unsetenv("XDG_CONFIG_HOME");
    ::unsetenv(kTokenFileVariable);
    std::ofstream(path("shop.yaml")) << kFile;
    EXPECT_EQ(init_tokens({path("shop.yaml"), path("ca")}, out_, err_), kFine) << err_.str();
  }
  ~TokenCommands() override {
    ::unsetenv(kTokenFileVariable);
    home_.empty() ? ::unsetenv("HOME") : ::setenv("HOME", home_.c_str(), 1);
  }

  fs::path path(const std::string& name) const { return folder_.path() / name; }
  static unsigned mode(const fs::path& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  }
  std::string contents(const fs::path& file) const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  TokenNewOptions wish(const std::string& role) const {
    TokenNewOptions options;
    options.file = path("shop.yaml");
    options.key = path("ca") / "token.key";
    options.role = role;
    options.sub = "ada";
    return options;
  }
  std::string made(TokenNewOptions options) {
    out_.str("");
    EXPECT_EQ(new_token(options, OutputFormat::kTable, out_, err_), kFine) << err_.str();
    std::string token = out_.str();
    token.resize(token.find_last_not_of('\n') + 1);
    return token;
  }
  fs::path kept(const std::string& name, const std::string& token) const {
    EXPECT_TRUE(write_secret(path(name), token + "\n"));
    return path(name);
  }

  const std::string home_ = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  testing::TemporaryFolder folder_;
  std::ostringstream out_, err_;
};

TEST_F(TokenCommands, KeyIsTheOwnersAndIsNotReplaced) {
  EXPECT_EQ(mode(path("ca")), 0700u);
  EXPECT_EQ(mode(path("ca") / "token.key"), 0600u);
  EXPECT_EQ(mode(path("ca") / "token.pub"), 0644u);
  const auto key = contents(path("ca") / "token.key");
  EXPECT_EQ(init_tokens({path("shop.yaml"), path("ca")}, out_, err_), kDegraded);
  EXPECT_TRUE(has(err_.str(), "already")) << err_.str();
  EXPECT_EQ(contents(path("ca") / "token.key"), key);
}

TEST_F(TokenCommands, NewTokenIsWhatGatewaysTake) {
  auto options = wish("write");
  options.tables = {"carts", "stock"};
  options.lasts = "2h";
  const auto token = made(options);
  const auto keys = read_token_keys(contents(path("ca") / "token.pub"));
  ASSERT_TRUE(keys);
  const auto now = std::time(nullptr);
  const auto client = verify_token(token, *keys, "shop", now);
  ASSERT_TRUE(client) << client.error().text;
  EXPECT_EQ(client->sub, "ada");
  EXPECT_EQ(client->jti.size(), 32u);
  EXPECT_TRUE(client->may_write("stock"));
  EXPECT_FALSE(client->may_read("orders"));
  EXPECT_NEAR(static_cast<double>(client->ends), static_cast<double>(now + 7'260), 5);
  EXPECT_FALSE(verify_token(token, *keys, "another", now));
}

TEST_F(TokenCommands, NewTokenRefusesWhatNoGatewayWouldTake) {
  const auto refuses = [&](TokenNewOptions options, std::string_view why) {
    err_.str("");
    EXPECT_EQ(new_token(options, OutputFormat::kTable, out_, err_), kUsage);
    EXPECT_TRUE(has(err_.str(), why)) << err_.str();
  };
  refuses(wish("root"), "the role is");
  auto options = wish("schema");
  options.tables = {"carts"};
  refuses(options, "--tables");
  for (const auto* lasts :
       {"", "d", "0d", "-1d", "30", "30w", "1.5h", "99999999999999999999d", "11000d"}) {
    options = wish("read");
    options.lasts = lasts;
    refuses(options, "--for");
  }
}

TEST_F(TokenCommands, TokenGoesIntoAFileOfItsOwn) {
  auto options = wish("read");
  options.to = path("ada.token");
  EXPECT_EQ(made(options), "");
  EXPECT_EQ(mode(path("ada.token")), 0600u);
  EXPECT_TRUE(read_token_file(path("ada.token")));
  out_.str("");
  EXPECT_EQ(show_token(path("ada.token"), OutputFormat::kTable, out_, err_), kFine);
  EXPECT_TRUE(has(out_.str(), "ada") && has(out_.str(), "read of all tables")) << out_.str();
  EXPECT_TRUE(has(out_.str(), "shop") && has(out_.str(), "not checked")) << out_.str();
}

TEST_F(TokenCommands, FileThatEverybodyMayReadIsRefusedAndSaysHow) {
  const auto file = kept("open.token", made(wish("read")));
  fs::permissions(file, fs::perms(0644));
  const auto token = read_token_file(file);
  ASSERT_FALSE(token);
  EXPECT_TRUE(has(token.error().text, "chmod 600 " + file.string())) << token.error().text;
  ::setenv(kTokenFileVariable, file.c_str(), 1);
  EXPECT_FALSE(http_get({"127.0.0.1", 1, false}, "/", std::chrono::seconds(1)));
  fs::permissions(file, fs::perms(0640));  // a group's is its own affair
  EXPECT_TRUE(read_token_file(file));
}

TEST_F(TokenCommands, FileWithoutOneTokenIsRefused) {
  EXPECT_FALSE(read_token_file(path("nosuch")));
  EXPECT_FALSE(read_token_file(kept("empty", "")));
  EXPECT_FALSE(read_token_file(kept("two", "a b")));
  EXPECT_FALSE(read_token_file(kept("long", std::string(5'000, 'x'))));
}

TEST_F(TokenCommands, CommandsSendTheTokenOfTheFile) {
  const auto token = made(wish("read"));
  ::setenv(kTokenFileVariable, kept("ada.token", token).c_str(), 1);
  OneAnswer server(test::http("200 OK", "{}"));
  const auto endpoint = parse_url(server.url());
  ASSERT_TRUE(endpoint);
  ASSERT_TRUE(http_get(*endpoint, "/v1/status", std::chrono::seconds(5)));
  EXPECT_TRUE(has(server.request(), "Authorization: Bearer " + token + "\r\n"));
}

TEST_F(TokenCommands, LoginKeepsWhatTheGatewayTakesForThatGatewayAlone) {
  const auto token = made(wish("read"));
  std::istringstream in(token + "\n");
  OneAnswer server(test::http("200 OK", "{}"));
  out_.str("");
  ASSERT_EQ(login(server.url(), in, out_, err_), kFine) << err_.str();
  EXPECT_TRUE(has(server.request(), "Bearer " + token));
  EXPECT_TRUE(has(out_.str(), "as ada (read of all tables)")) << out_.str();
  EXPECT_FALSE(has(out_.str() + err_.str(), token));
  const auto endpoint = parse_url(server.url());
  EXPECT_EQ(mode(login_file(*endpoint)), 0600u);
  EXPECT_EQ(mode(login_file(*endpoint).parent_path()), 0700u);
  EXPECT_EQ(token_for(*endpoint).value_or("?"), token);
  Endpoint other = *endpoint;
  other.port ^= 1;
  EXPECT_EQ(token_for(other).value_or("?"), "");
}

TEST_F(TokenCommands, LoginKeepsNothingThatTheGatewayRefuses) {
  std::istringstream in(made(wish("read")));
  OneAnswer server(test::http("401 Unauthorized", R"({"detail":"the token was revoked"})"));
  EXPECT_EQ(login(server.url(), in, out_, err_), kDegraded);
  EXPECT_TRUE(has(err_.str(), "the token was revoked")) << err_.str();
  EXPECT_EQ(token_for(*parse_url(server.url())).value_or("?"), "");
}

}  // namespace
}  // namespace entente
