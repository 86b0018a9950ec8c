// The proxy does what it says, and gateways behind one that flips bits take none of them.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <thread>

#include "tests/support/cluster.h"
#include "tests/support/http_client.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/writer.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Way = TcpProxy::Way;

// Sends back what it gets, on any number of connections, one after the other.
class Echo {
 public:
  Echo() : port_(free_port()), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_, 4);
    thread_ = std::thread([this] { serve(); });
  }
  ~Echo() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  int port() const { return port_; }

 private:
  void serve() {
    while (!stop_) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) std::this_thread::sleep_for(1ms);
      char bytes[4096];
      for (ssize_t n = 0; fd >= 0 && (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) {
        ::send(fd, bytes, static_cast<size_t>(n), MSG_NOSIGNAL);
      }
      if (fd >= 0) ::close(fd);
    }
  }

  const int port_, listener_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class LinkFaults : public ::testing::Test {
 protected:
  void SetUp() override { connect(); }
  void TearDown() override { ::close(fd_); }
  void connect() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const timeval patience{2, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(proxy_.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  // What comes back of it, until `size` bytes are there or nothing more comes.
  std::string echo(const std::string& bytes, size_t size) {
    ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return receive(size);
  }
  std::string receive(size_t size) {
    std::string back;
    char chunk[4096];
    ssize_t n = 0;
    while (back.size() < size && (n = ::recv(fd_, chunk, sizeof chunk, 0)) > 0) {
      back.append(chunk, static_cast<size_t>(n));
    }
    return back;
  }

  Echo echo_;
  TcpProxy proxy_{echo_.port()};
  int fd_ = -1;
};

TEST_F(LinkFaults, ADelayDelaysBothWays) {
  EXPECT_EQ(echo("quick", 5), "quick");
  proxy_.delay(60ms);
  const auto began = Clock::now();
  EXPECT_EQ(echo("later", 5), "later");
  EXPECT_GE(Clock::now() - began, 120ms);
}

TEST_F(LinkFaults, LittleBandwidthTakesItsTime) {
  proxy_.slow_down(40'000);
  const auto began = Clock::now();
  EXPECT_EQ(echo(std::string(8'000, 'x'), 8'000).size(), 8'000u);
  EXPECT_GE(Clock::now() - began, 200ms);
}

TEST_F(LinkFaults, ABlockedWayHoldsAndThenDelivers) {
  proxy_.block(Way::kFromTarget, true);
  EXPECT_EQ(echo("held", 4), "");
  proxy_.block(Way::kFromTarget, false);
  EXPECT_EQ(receive(4), "held");
}

TEST_F(LinkFaults, ACutComesAfterSoManyBytesAndTheNextConnectionIsCutToo) {
  proxy_.cut_every(Way::kToTarget, 101);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(echo(std::string(100, 'x'), 100).size(), 100u);
    EXPECT_EQ(echo("x", 1), "");
    connect();
  }
  EXPECT_EQ(proxy_.cuts(), 2u);
  proxy_.heal();
  EXPECT_EQ(echo(std::string(500, 'x'), 500).size(), 500u);
}

TEST_F(LinkFaults, OneBitIsFlipped) {
  proxy_.flip_every(Way::kToTarget, 10);
  const std::string back = echo(std::string(15, 'x'), 15);
  EXPECT_EQ(back.substr(0, 9) + back.substr(10), std::string(14, 'x'));
  EXPECT_EQ(std::popcount(static_cast<unsigned>(back.at(9) ^ 'x')), 1);
  EXPECT_EQ(proxy_.flips(), 1u);
}

// Every few hundred bytes, both ways, also of the handshake: the links break again and again, and
// nothing that was changed on the way is taken (P6).
TEST(BitFlips, AreFoundByTheChecksumAndNeverApplied) {
  Cluster cluster({{"a", "b"},
                   "{kind: all-to-all}",
                   kItemsTable,
                   "limits: {heartbeat: 100ms, reconnect_max: 50ms}\n"});
  TcpProxy& link = cluster.proxy("a", "b");
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(cluster.wait_converged({}, 20));
  const auto told = [&] {
    const std::string checksum = "checksum";
    return cluster.output("a").find(checksum) != std::string::npos ||
           cluster.output("b").find(checksum) != std::string::npos;
  };
  link.flip_every(Way::kToTarget, 1'901);
  link.flip_every(Way::kFromTarget, 2'903);
  {
    Writer a(cluster, "a", "a", 5ms), b(cluster, "b", "b", 5ms);
    const auto deadline = Clock::now() + 20s;
    while ((link.flips() < 30 || !told()) && Clock::now() < deadline) {
      std::this_thread::sleep_for(20ms);
    }
    a.stop();
    b.stop();
    EXPECT_TRUE(told()) << link.flips() << " flips\n" << cluster.output("a");
    link.heal();
    ASSERT_TRUE(cluster.wait_converged({}, 30));
    for (const std::string dc : {"a", "b"}) {
      const auto keys = keys_at(cluster, dc);
      EXPECT_TRUE(includes(keys, a.acknowledged()) && includes(keys, b.acknowledged())) << dc;
    }
  }
  const std::string wrong = "SELECT count(*) FROM items WHERE v <> '" + std::string(200, 'x') + "'";
  for (const auto& dc : cluster.dcs()) {
    EXPECT_NE(sql(cluster.port(dc), wrong).find(R"("value":"0")"), std::string::npos) << dc;
  }
}

}  // namespace
}  // namespace entente::testing
