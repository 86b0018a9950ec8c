#include "gateway/commands/cert.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "gateway/transport/tls_material.h"
#include "tests/support/process.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDay = 24 * 3600;

class CertTest : public ::testing::Test {
 protected:
  CertTest() {
    std::ofstream(options_.file)
        << "cluster: shop\ntopology: {kind: all-to-all}\ndatacenters:\n"
           "  tokyo: {peers: 'wss://tokyo.example.com:1', clients: '0.0.0.0:8080'}\n"
           "  lima: {peers: 'wss://10.1.2.3:1', clients: 'lima.example.com:8080'}\n"
           "security: {tls: {cert: node.crt, key: node.key, ca: ca.crt}}\n";
  }

  // Runs a command; its exit code. What it said is in said_.
  int run(decltype(cert_init) command) {
    std::ostringstream out, err;
    const int code = command(options_, OutputFormat::kTable, out, err);
    said_ = out.str() + err.str();
    return code;
  }
  int init() { return run(cert_init); }
  int issue(std::vector<std::string> dcs) {
    options_.dcs = std::move(dcs);
    return run(cert_issue);
  }

  static std::string text(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static mode_t mode(const fs::path& path) {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
  }
  fs::path ca() const { return options_.folder; }
  Certificate certificate(const std::string& dc) const {
    return std::move(parse_certificates(text(ca() / dc / "node.crt"), "node.crt")->front());
  }
  // As `serve` takes it.
  Result<std::shared_ptr<const TlsMaterial>> material(const std::string& dc,
                                                      const fs::path& folder) {
    TlsConfig files;
    files.cert = folder / "node.crt";
    files.key = folder / "node.key";
    files.ca = folder / "ca.crt";
    return TlsMaterial::make(*TlsTexts::read(files), files, {"shop", dc});
  }

  testing::TemporaryFolder folder_;
  CertOptions options_ = [this] {
    CertOptions options;
    options.file = folder_.path() / "shop.yaml";
    options.folder = folder_.path() / "shop-ca";
    return options;
  }();
  std::string said_;
};

TEST_F(CertTest, InitMakesACaThatOnlyItsOwnerReads) {
  ASSERT_EQ(init(), kFine) << said_;
  EXPECT_EQ(mode(ca()), 0700u);
  EXPECT_EQ(mode(ca() / "ca.key"), 0600u);
  const auto made = parse_certificates(text(ca() / "ca.crt"), "ca.crt");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->front().is_ca());
  EXPECT_EQ(made->front().uris(), std::vector<std::string>{"spiffe://shop"});
  EXPECT_EQ(made->front().key(), "P-256");
  const int64_t years = (made->front().valid_until() - std::time(nullptr)) / kDay / 365;
  EXPECT_EQ(years, 10);
}

TEST_F(CertTest, InitDoesNotReplaceACa) {
  ASSERT_EQ(init(), kFine);
  const auto before = text(ca() / "ca.key");
  EXPECT_EQ(init(), kDegraded);
  EXPECT_EQ(text(ca() / "ca.key"), before);
}

TEST_F(CertTest, IssueMakesWhatServeTakes) {
  ASSERT_EQ(init(), kFine);
  options_.all = true;
  ASSERT_EQ(issue({}), kFine) << said_;
  for (const std::string dc : {"tokyo", "lima"}) {
    const auto made = material(dc, ca() / dc);
    EXPECT_TRUE(made) << made.error().text;
    EXPECT_EQ(mode(ca() / dc / "node.key"), 0600u);
  }
  EXPECT_EQ(certificate("tokyo").hosts(),
            (std::vector<std::string>{"tokyo.example.com", "localhost", "127.0.0.1", "::1"}));
  EXPECT_EQ(
      certificate("lima").hosts(),
      (std::vector<std::string>{"10.1.2.3", "lima.example.com", "localhost", "127.0.0.1", "::1"}));
  EXPECT_EQ((certificate("tokyo").valid_until() - std::time(nullptr) + 60) / kDay, 90);
}

TEST_F(CertTest, WhatItMakesIsStrictlyRight) {
  ASSERT_EQ(init(), kFine);
  ASSERT_EQ(issue({"tokyo"}), kFine) << said_;
  for (const std::string purpose : {"sslserver", "sslclient"}) {
    testing::Process verify(
        {"/usr/bin/openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
         (ca() / "ca.crt").string(), (ca() / "tokyo" / "node.crt").string()},
        folder_.path() / "verify.log");
    EXPECT_EQ(verify.wait(), 0) << text(folder_.path() / "verify.log");
  }
}

TEST_F(CertTest, IssueNeedsACaAndKnownDatacenters) {
  EXPECT_EQ(issue({"tokyo"}), kDegraded);
  EXPECT_NE(said_.find("entente cert init"), std::string::npos) << said_;
  ASSERT_EQ(init(), kFine);
  EXPECT_EQ(issue({"tokio"}), kUsage);
  EXPECT_NE(said_.find("did you mean `tokyo`"), std::string::npos) << said_;
  EXPECT_EQ(issue({}), kUsage);
  ASSERT_EQ(issue({"tokyo"}), kFine);
  const auto before = text(ca() / "tokyo" / "node.crt");
  EXPECT_EQ(issue({"tokyo"}), kDegraded);
  EXPECT_NE(said_.find("entente cert renew"), std::string::npos) << said_;
  EXPECT_EQ(text(ca() / "tokyo" / "node.crt"), before);
}

TEST_F(CertTest, MoreHostsAreTakenAndCheckedAndKept) {
  ASSERT_EQ(init(), kFine);
  options_.hosts = {"shop.example.com,URI:spiffe://shop/dc/lima"};
  EXPECT_EQ(issue({"tokyo"}), kUsage);
  options_.hosts = {"shop.example.com", "2001:db8::1"};
  ASSERT_EQ(issue({"tokyo"}), kFine) << said_;
  options_.hosts.clear();
  options_.now = true;
  ASSERT_EQ(run(cert_renew), kFine) << said_;
  const auto hosts = certificate("tokyo").hosts();
  EXPECT_NE(std::find(hosts.begin(), hosts.end(), "shop.example.com"), hosts.end());
  EXPECT_NE(std::find(hosts.begin(), hosts.end(), "2001:db8::1"), hosts.end());
}

TEST_F(CertTest, AKeyMayStayOnItsHost) {
  ASSERT_EQ(init(), kFine);
  options_.dcs = {"lima"};
  options_.to = folder_.path() / "host";
  ASSERT_EQ(run(cert_request), kFine) << said_;
  options_.dcs.clear();
  options_.request = options_.to / "node.csr";
  ASSERT_EQ(run(cert_sign), kFine) << said_;
  EXPECT_FALSE(fs::exists(ca() / "lima" / "node.key"));
  for (const std::string name : {"node.crt", "ca.crt"}) {
    fs::copy_file(ca() / "lima" / name, options_.to / name);
  }
  const auto made = material("lima", options_.to);
  EXPECT_TRUE(made) << made.error().text;
  // Renewed, it is for the same key.
  options_.dcs = {"lima"};
  options_.now = true;
  ASSERT_EQ(run(cert_renew), kFine) << said_;
  fs::copy_file(ca() / "lima" / "node.crt", options_.to / "node.crt",
                fs::copy_options::overwrite_existing);
  EXPECT_TRUE(material("lima", options_.to));
}

TEST_F(CertTest, OnlyRequestsOfThisClusterAreSigned) {
  ASSERT_EQ(init(), kFine);
  options_.dcs = {"lima"};
  options_.to = folder_.path() / "host";
  ASSERT_EQ(run(cert_request), kFine);
  // A file in which there is no lima.
  std::ofstream(options_.file) << "cluster: shop\ntopology: {kind: all-to-all}\ndatacenters:\n"
                                  "  tokyo: {peers: 'wss://t:1', clients: 't:2'}\n"
                                  "security: {tls: {cert: a, key: b, ca: c}}\n";
  options_.dcs.clear();
  options_.request = options_.to / "node.csr";
  EXPECT_EQ(run(cert_sign), kDegraded);
  EXPECT_NE(said_.find("no datacenter of cluster shop"), std::string::npos) << said_;
  std::ofstream(options_.to / "node.csr") << "nonsense";
  EXPECT_EQ(run(cert_sign), kDegraded);
  EXPECT_NE(said_.find("no certificate request"), std::string::npos) << said_;
}

TEST_F(CertTest, RenewLeavesAloneWhatIsGoodForLong) {
  ASSERT_EQ(init(), kFine);
  ASSERT_EQ(issue({"tokyo"}), kFine);
  const auto cert = text(ca() / "tokyo" / "node.crt"), key = text(ca() / "tokyo" / "node.key");
  ASSERT_EQ(run(cert_renew), kFine) << said_;
  EXPECT_NE(said_.find("left as it is"), std::string::npos) << said_;
  EXPECT_EQ(text(ca() / "tokyo" / "node.crt"), cert);
  options_.now = true;
  ASSERT_EQ(run(cert_renew), kFine) << said_;
  EXPECT_NE(text(ca() / "tokyo" / "node.crt"), cert);
  EXPECT_NE(text(ca() / "tokyo" / "node.key"), key);
  EXPECT_TRUE(material("tokyo", ca() / "tokyo"));
}

TEST_F(CertTest, ShowSaysWhatItIsNotGoodFor) {
  ASSERT_EQ(init(), kFine);
  ASSERT_EQ(issue({"tokyo"}), kFine);
  options_.certificates = {ca() / "tokyo" / "node.crt"};
  EXPECT_EQ(run(cert_show), kFine);
  EXPECT_NE(said_.find("spiffe://shop/dc/tokyo"), std::string::npos) << said_;
  EXPECT_NE(said_.find(certificate("tokyo").fingerprint()), std::string::npos) << said_;
  EXPECT_EQ(said_.find("not good for"), std::string::npos) << said_;
  options_.certificates = {ca() / "ca.crt"};
  EXPECT_EQ(run(cert_show), kFine);
  EXPECT_NE(said_.find("not good for a gateway: it is a CA's"), std::string::npos) << said_;
}

}  // namespace
}  // namespace entente
