#include "gateway/transport/gateway_tls.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/certificates.h"
#include "tests/support/expect.h"
#include "tests/support/process.h"

namespace entente {
namespace {

using testing::comes_true;
using testing::Issued;
using testing::TestCa;

class GatewayTlsTest : public ::testing::Test {
 protected:
  GatewayTlsTest() {
    for (auto* file : {&files_.cert, &files_.key, &files_.ca}) {
      *file = (folder_.path() / std::to_string(++made_)).string();
    }
    std::ofstream(files_.ca) << ca_.pem();
    put(good());
    auto opened = GatewayTls::open(files_, {"shop", "tokyo"});
    EXPECT_TRUE(opened) << opened.error().text;
    tls_ = std::move(*opened);
    tls_->watch();
  }

  Issued good() const { return ca_.issue({{"spiffe://shop/dc/tokyo"}}); }
  void put(const Issued& issued) const {
    std::ofstream(files_.cert) << issued.cert;
    std::ofstream(files_.key) << issued.key;
  }

  testing::TemporaryFolder folder_;
  const TestCa ca_{"CA"};
  int made_ = 0;
  TlsConfig files_;
  std::shared_ptr<GatewayTls> tls_;
};

TEST_F(GatewayTlsTest, OtherFilesAreAnotherMaterial) {
  const auto before = tls_->current();
  put(good());
  tls_->look({});
  EXPECT_TRUE(comes_true([&] { return tls_->current() != before; }));
  EXPECT_NE(tls_->current()->certificate().fingerprint(), before->certificate().fingerprint());
  EXPECT_EQ(tls_->reload_failures(), 0u);
}

TEST_F(GatewayTlsTest, TheSameFilesAreTheSame) {
  const auto before = tls_->current();
  tls_->look({});
  tls_->look({});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(tls_->current(), before);
}

TEST_F(GatewayTlsTest, WhatIsNoGoodLeavesWhatWasThereAndIsCountedOnce) {
  const auto before = tls_->current();
  put({good().cert, good().key});  // of another
  tls_->look({});
  EXPECT_TRUE(comes_true([&] { return tls_->reload_failures() == 1; }));
  tls_->look({});
  std::filesystem::remove(files_.key);
  tls_->look({});
  EXPECT_TRUE(comes_true([&] { return tls_->reload_failures() == 2; }));
  EXPECT_EQ(tls_->current(), before);
  put(good());
  tls_->look({});
  EXPECT_TRUE(comes_true([&] { return tls_->current() != before; }));
}

TEST_F(GatewayTlsTest, TwoFilesSwappedOneAfterTheOtherAreNoFailure) {
  const auto before = tls_->current();
  const auto next = good();
  std::ofstream(files_.key) << next.key;
  tls_->look({});
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  std::ofstream(files_.cert) << next.cert;
  EXPECT_TRUE(comes_true([&] { return tls_->current() != before; }));
  EXPECT_EQ(tls_->reload_failures(), 0u);
}

TEST_F(GatewayTlsTest, WhoIsDeniedMayChange) {
  const auto before = tls_->current();
  tls_->look({std::string(64, 'a')});
  EXPECT_TRUE(comes_true([&] { return tls_->current() != before; }));
}

}  // namespace
}  // namespace entente
