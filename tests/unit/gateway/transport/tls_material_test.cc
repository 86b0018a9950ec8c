#include "gateway/transport/tls_material.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/transport/tls_files.h"

namespace entente {
namespace {

using testing::TestCa;

constexpr int64_t kDay = 24 * 3600;

TEST(TlsMaterial, WhatIsGoodIsTaken) {
  const TestCa ca("CA");
  const auto made = test::material(ca, {{"spiffe://shop/dc/tokyo"}}, "tokyo");
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE((*made)->warnings().empty());
}

struct Refused {
  std::string name;
  TestCa::Wish wish;
  std::string text;
};

class RefusedMaterial : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedMaterial, WithASentence) {
  const TestCa ca("CA");
  const auto made = test::material(ca, GetParam().wish, "tokyo");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kRefused);
  EXPECT_NE(made.error().text.find(GetParam().text), std::string::npos) << made.error().text;
  EXPECT_NE(made.error().text.find("node.crt"), std::string::npos) << made.error().text;
}

INSTANTIATE_TEST_SUITE_P(
    TlsMaterial, RefusedMaterial,
    ::testing::Values(
        Refused{"Expired",
                {{"spiffe://shop/dc/tokyo"}, "serverAuth,clientAuth", -2 * kDay, -kDay},
                "has expired on"},
        Refused{"NotYetValid",
                {{"spiffe://shop/dc/tokyo"}, "serverAuth,clientAuth", kDay, 2 * kDay},
                "is valid from"},
        Refused{"OtherCluster",
                {{"spiffe://store/dc/tokyo"}},
                "is the certificate of spiffe://store/dc/tokyo, and this gateway is"},
        Refused{"OtherDatacenter",
                {{"spiffe://shop/dc/lima"}},
                "and this gateway is spiffe://shop/dc/tokyo"},
        Refused{"NoUri", {{}}, "has no URI"},
        Refused{"TwoUris", {{"spiffe://shop/dc/tokyo", "spiffe://shop/dc/lima"}}, "has 2 URIs"},
        Refused{"ForServersOnly", {{"spiffe://shop/dc/tokyo"}, "serverAuth"}, "lacks clientAuth"},
        Refused{"ForClientsOnly", {{"spiffe://shop/dc/tokyo"}, "clientAuth"}, "lacks serverAuth"}),
    [](const ::testing::TestParamInfo<Refused>& one) { return one.param.name; });

TEST(TlsMaterial, AKeyThatDoesNotFitIsRefused) {
  const TestCa ca("CA");
  auto texts = test::texts_of(ca, ca.issue({{"spiffe://shop/dc/tokyo"}}));
  texts.key = ca.issue({{"spiffe://shop/dc/tokyo"}}).key;
  const auto made = TlsMaterial::make(texts, test::kFiles, {"shop", "tokyo"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text, "the key in node.key does not fit the certificate in node.crt");
}

TEST(TlsMaterial, AnotherCaIsRefused) {
  const TestCa ca("CA"), other("CA");  // of the same name
  auto texts = test::texts_of(ca, ca.issue({{"spiffe://shop/dc/tokyo"}}));
  texts.ca = other.pem();
  const auto made = TlsMaterial::make(texts, test::kFiles, {"shop", "tokyo"});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text.find("not in the `ca` file"), std::string::npos) << made.error().text;
}

TEST(TlsMaterial, CasAreABundle) {
  const TestCa ca("new CA"), other("old CA");
  auto texts = test::texts_of(ca, ca.issue({{"spiffe://shop/dc/tokyo"}}));
  texts.ca = other.pem() + texts.ca;
  EXPECT_TRUE(TlsMaterial::make(texts, test::kFiles, {"shop", "tokyo"}));
}

TEST(TlsMaterial, AGatewayThatIsDeniedDoesNotStart) {
  const TestCa ca("CA");
  const auto texts = test::texts_of(ca, ca.issue({{"spiffe://shop/dc/tokyo"}}));
  const auto good = TlsMaterial::make(texts, test::kFiles, {"shop", "tokyo"});
  ASSERT_TRUE(good);
  TlsConfig denying = test::kFiles;
  denying.denied = {(*good)->certificate().fingerprint()};
  const auto made = TlsMaterial::make(texts, denying, {"shop", "tokyo"});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text.find("security.denied"), std::string::npos) << made.error().text;
  EXPECT_FALSE((*good)->is_of(texts, denying));
  EXPECT_TRUE((*good)->is_of(texts, test::kFiles));
}

}  // namespace
}  // namespace entente
