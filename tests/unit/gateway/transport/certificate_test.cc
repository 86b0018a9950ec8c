#include "gateway/transport/certificate.h"

#include <gtest/gtest.h>

#include "tests/support/certificates.h"

namespace entente {
namespace {

using testing::TestCa;

Certificate certificate_of(const TestCa::Wish& wish) {
  static const TestCa ca("some CA");
  return std::move(parse_certificates(ca.issue(wish).cert, "node.crt")->front());
}

TEST(GatewayName, IsReadWholeAndExact) {
  const auto name = parse_gateway_name("spiffe://shop/dc/tokyo-1");
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, (GatewayName{"shop", "tokyo-1"}));
  EXPECT_EQ(name->uri(), "spiffe://shop/dc/tokyo-1");
}

class BadName : public ::testing::TestWithParam<std::string> {};

TEST_P(BadName, IsNoGateways) {
  const auto name = parse_gateway_name(GetParam());
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, Code::kMismatch);
}

INSTANTIATE_TEST_SUITE_P(
    GatewayName, BadName,
    ::testing::Values("", "spiffe://", "spiffe://shop", "spiffe://shop/", "spiffe://shop/dc/",
                      "spiffe:///dc/tokyo", "spiffe://shop/dc/tokyo/", "spiffe://shop/dc/tokyo/x",
                      "spiffe://shop/dc/*", "spiffe://shop/dc/Tokyo", "SPIFFE://shop/dc/tokyo",
                      "https://shop/dc/tokyo", "spiffe://shop:1/dc/tokyo", "spiffe://shop/ns/tokyo",
                      "spiffe://shop/dc/tok%79o", "spiffe://shop/dc/tokyo?x", " spiffe://shop/dc/a",
                      "spiffe://user@shop/dc/tokyo", std::string("spiffe://shop/dc/tok\0yo", 23)));

TEST(Certificate, HasExactlyOneName) {
  const auto one = certificate_of({{"spiffe://shop/dc/tokyo"}}).name();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->dc, "tokyo");
  const auto none = certificate_of({{}}).name();
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text.find("has no URI"), std::string::npos) << none.error().text;
  const auto two = certificate_of({{"spiffe://shop/dc/tokyo", "spiffe://shop/dc/lima"}}).name();
  ASSERT_FALSE(two);
  EXPECT_NE(two.error().text.find("has 2 URIs"), std::string::npos) << two.error().text;
}

TEST(Certificate, SaysWhatItIsFor) {
  const auto both = certificate_of({{}});
  EXPECT_TRUE(both.may_accept() && both.may_dial());
  const auto server = certificate_of({{}, "serverAuth"});
  EXPECT_TRUE(server.may_accept());
  EXPECT_FALSE(server.may_dial());
  const auto silent = certificate_of({{}, ""});
  EXPECT_TRUE(silent.may_accept() && silent.may_dial());
  EXPECT_FALSE(both.is_ca());
}

TEST(Certificate, FilesThatHoldNoneAreRefused) {
  EXPECT_FALSE(parse_certificates("", "node.crt"));
  EXPECT_FALSE(parse_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                  "node.crt"));
  EXPECT_FALSE(parse_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "x"));
  EXPECT_FALSE(read_pem("/does/not/exist"));
}

}  // namespace
}  // namespace entente
