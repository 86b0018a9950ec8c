#include <gtest/gtest.h>

#include "tests/unit/topology/file_support.h"

namespace entente {
namespace {

using namespace test;

const std::string kSecure = "{tls: {cert: node.crt, key: keys/node.key, ca: /ca/ca.crt}}";

std::string file(const std::string& security, const std::string& peers = "wss://fra.example.com:1",
                 const std::string& clients = "0.0.0.0:8080") {
  return "cluster: shop\nsecurity: " + security +
         "\ntopology: {kind: all-to-all}\ndatacenters:\n"
         "  a: {peers: '" +
         peers + "', clients: '" + clients + "'}\n";
}

const std::string kPrint(64, 'a');

TEST(TlsSection, AddressesMayBeAnywhereAndAreServedWithTls) {
  const auto config =
      loaded(file(kSecure) + "  b: {peers: 'wss://10.1.2.3:1', clients: '0.0.0.0:8080'}\n");
  EXPECT_FALSE(config.insecure);
  EXPECT_EQ(config.datacenters[0].peers, (Endpoint{"fra.example.com", 1, true}));
  EXPECT_EQ(config.datacenters[0].clients, (Endpoint{"0.0.0.0", 8080, true}));
  EXPECT_EQ(config.datacenters[1].peers, (Endpoint{"10.1.2.3", 1, true}));
}

TEST(TlsSection, FilesAreRelativeToTheTopologyFile) {
  const auto tls = loaded(file(kSecure)).tls;
  EXPECT_EQ(tls.cert, "/etc/entente/node.crt");
  EXPECT_EQ(tls.key, "/etc/entente/keys/node.key");
  EXPECT_EQ(tls.ca, "/ca/ca.crt");
  EXPECT_TRUE(tls.denied.empty());
}

TEST(TlsSection, FingerprintsAreTakenAsOpensslPrintsThem) {
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "AB" : ":AB";
  const auto tls =
      loaded(file("{tls: {cert: a, key: b, ca: c}, denied: ['" + kPrint + "', '" + colons + "']}"))
          .tls;
  std::string plain;
  for (int i = 0; i < 32; ++i) plain += "ab";
  EXPECT_EQ(tls.denied, (std::vector{kPrint, plain}));
}

TEST(TlsSection, OnLoopbackTlsIsTlsToo) {
  const auto config = loaded(file(kSecure, "wss://localhost:1", "127.0.0.1:2"));
  EXPECT_TRUE(config.datacenters[0].peers.tls);
  EXPECT_TRUE(config.datacenters[0].clients.tls);
}

class BadTls : public testing::TestWithParam<Bad> {};
TEST_P(BadTls, IsReportedOnceWithItsPlace) { expect_reported_once(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    TlsSection, BadTls,
    testing::Values(Bad{"InsecureToo", file("{insecure: true, tls: {cert: a, key: b, ca: c}}"), 2,
                        12, "`insecure: true` means that there is no TLS"},
                    Bad{"NoKey", file("{tls: {cert: a, ca: c}}"), 2, 12, "needs `key`"},
                    Bad{"NoCa", file("{tls: {cert: a, key: c}}"), 2, 12, "needs `ca`"},
                    Bad{"UnknownKey", file("{tls: {cert: a, key: b, ca: c, crt: d}}"), 2, 42,
                        "`crt`", "cert"},
                    Bad{"NoFingerprint", file("{tls: {cert: a, key: b, ca: c}, denied: [abc]}"), 2,
                        52, "`abc` is not the SHA-256"},
                    Bad{"PlainLink", file(kSecure, "ws://fra.example.com:1"), 5, 14,
                        "links between gateways are wss://", "wss://fra.example.com:1"},
                    Bad{"NobodyConnectsToEverywhere", file(kSecure, "wss://0.0.0.0:1"), 5, 14,
                        "no address that the others could connect to"},
                    Bad{"ClientsScheme", file(kSecure, "wss://a.example:1", "https://a.example:2"),
                        5, 44, "leave `https://` out", "a.example:2"}),
    name_of);

}  // namespace
}  // namespace entente
