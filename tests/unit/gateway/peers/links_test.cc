#include "gateway/peers/links.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <fstream>

#include "gateway/transport/gateway_tls.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/unit/gateway/server/web_socket_client.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;

Origin origin(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

Config config_of(std::vector<std::string> names) {
  Config config;
  config.cluster = "shop";
  config.topology.kind = TopologyKind::kAllToAll;
  config.limits.heartbeat = 20ms;
  config.limits.link_timeout = 500ms;
  config.limits.reconnect_max = 50ms;
  for (const auto& name : names) {
    Datacenter dc;
    dc.name = name;
    dc.peers = {"127.0.0.1", static_cast<uint16_t>(testing::free_port()), false};
    config.datacenters.push_back(dc);
  }
  return config;
}

// One gateway's links, and what they said.
struct Site {
  Site(asio::io_context& io, Config c, const std::string& name, uint8_t incarnation)
      : config(std::move(c)), graph(config), dc(name) {
    hello.cluster = config.cluster;
    hello.dc = name;
    hello.incarnation = origin(incarnation);
    Links::Events e;
    e.hello = [this] { return hello; };
    e.check_history = [this](const Hello&, const Hello&) { return history; };
    e.up = [this](const Hello& theirs) { ups.push_back(theirs.dc); };
    e.down = [this](const std::string& peer) { downs.push_back(peer); };
    e.received = [this](const std::string& peer, Message m) {
      received.emplace_back(peer, std::move(m));
    };
    e.in_use = [this](const std::string&) { return in_use; };
    e.asked = [this](Transport transport, std::string bytes) {
      asked.emplace_back(std::move(transport), std::move(bytes));
    };
    links.emplace(io, config, graph, name, std::move(e));
  }

  LinkView view(const std::string& peer) const {
    for (const auto& v : links->view()) {
      if (v.peer == peer) return v;
    }
    return {};
  }
  bool up(const std::string& peer) const { return is_up(view(peer).state); }

  Config config;
  Graph graph;
  std::string dc;
  Hello hello;
  Result<void> history;
  bool in_use = false;
  std::vector<std::string> ups, downs;
  std::vector<std::pair<std::string, Message>> received;
  std::vector<std::pair<Transport, std::string>> asked;
  std::optional<Links> links;
};

const std::string kUpgrade =
    "GET /v1/peer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

std::string message(std::string_view payload, uint8_t opcode = test::WebSocketClient::kBinary) {
  return test::masked_frame(payload, opcode);
}

class LinksTest : public ::testing::Test {
 protected:
  ~LinksTest() override {
    for (auto& site : sites_) site.links->stop();
    io_.restart();
    io_.run_for(5s);
    EXPECT_TRUE(io_.stopped());  // nothing is left over
  }

  Site& add(const std::string& name, uint8_t incarnation, Config config) {
    return sites_.emplace_back(io_, std::move(config), name, incarnation);
  }
  Site& add(const std::string& name, uint8_t incarnation) {
    return add(name, incarnation, config_);
  }

  void start_all() {
    for (auto& site : sites_) {
      const auto started = site.links->start();
      ASSERT_TRUE(started) << started.error().text;
    }
  }

  // Runs everybody until the condition holds; false after ten seconds.
  template <class Condition>
  bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_one_for(10ms);
    }
    return true;
  }

  tcp::socket plain_connection(const Site& to) {
    tcp::socket socket(io_);
    socket.connect({asio::ip::address_v4::loopback(), to.links->port()});
    return socket;
  }

  std::string read_until_closed(tcp::socket& socket) {
    std::string answer;
    bool closed = false;
    asio::async_read(socket, asio::dynamic_buffer(answer),
                     [&](boost::system::error_code, size_t) { closed = true; });
    EXPECT_TRUE(until([&] { return closed; }));
    return answer;
  }

  // Writes `bytes` and gives what comes back until the other side closes.
  std::string talk(const Site& to, const std::string& bytes) {
    auto socket = plain_connection(to);
    asio::write(socket, asio::buffer(bytes));
    return read_until_closed(socket);
  }

  // The same, in a WebSocket. Gives the frames' bytes.
  std::string talk_frames(const Site& to, const std::string& bytes) {
    auto socket = plain_connection(to);
    asio::write(socket, asio::buffer(kUpgrade));
    std::string head;
    bool upgraded = false;
    asio::async_read_until(socket, asio::dynamic_buffer(head), "\r\n\r\n",
                           [&](boost::system::error_code, size_t) { upgraded = true; });
    EXPECT_TRUE(until([&] { return upgraded; }));
    EXPECT_EQ(head.substr(0, 12), "HTTP/1.1 101");
    asio::write(socket, asio::buffer(bytes));
    return head.substr(head.find("\r\n\r\n") + 4) + read_until_closed(socket);
  }

  asio::io_context io_{1};
  Config config_ = config_of({"a", "b", "c"});
  std::deque<Site> sites_;
};

TEST_F(LinksTest, NeighboursFindEachOther) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  auto& c = add("c", 3);
  start_all();
  EXPECT_TRUE(until(
      [&] { return a.up("b") && a.up("c") && b.up("a") && b.up("c") && c.up("a") && c.up("b"); }));
  EXPECT_EQ(a.ups.size(), 2u);
  EXPECT_TRUE(a.downs.empty());
}

TEST_F(LinksTest, MessagesArriveInOrderBothWays) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  for (uint64_t i = 0; i < 100; ++i) {
    a.links->send("b", Credit{i});
    b.links->send("a", Subscribe{origin(9), i});
  }
  a.links->send("c", Credit{1});  // not linked: nothing happens
  ASSERT_TRUE(until([&] { return a.received.size() == 100 && b.received.size() == 100; }));
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(std::get<Credit>(b.received[i].second), Credit{i});
    EXPECT_EQ(std::get<Subscribe>(a.received[i].second), (Subscribe{origin(9), i}));
  }
}

TEST_F(LinksTest, ALargeFrameArrivesWhole) {
  config_.limits.link_timeout = 10s;  // both ends share one slow thread
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  std::string noise(6 << 20, '\0');
  std::minstd_rand random(1);
  for (auto& ch : noise) ch = static_cast<char>(random());
  a.links->send("b", Changes{{{origin(1), 1, 1, noise}}});
  ASSERT_TRUE(until([&] { return !b.received.empty(); }));
  EXPECT_EQ(std::get<Changes>(b.received[0].second).runs[0].records, noise);
}

TEST_F(LinksTest, APulseKeepsAnIdleLinkAndMeasuresIt) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return std::chrono::steady_clock::now() - begin > 1200ms; }));
  EXPECT_TRUE(a.up("b") && b.up("a"));
  EXPECT_TRUE(a.downs.empty());
  EXPECT_GT(a.view("b").round_trip_ms, 0);
  EXPECT_LT(a.view("b").round_trip_ms, 500);
  EXPECT_LT(std::abs(a.view("b").clock_offset_ms), 500);
}

TEST_F(LinksTest, ANeighbourThatGoesIsMissedAndOneThatComesBackIsLinkedAgain) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  b.links->stop();
  ASSERT_TRUE(until([&] { return a.downs.size() == 1 && !a.up("b"); }));
  ASSERT_TRUE(until([&] { return a.view("b").reason.find("cannot connect") == 0; }));
  EXPECT_EQ(a.view("b").state, LinkState::kConnecting);
  auto& again = add("b", 2);
  ASSERT_TRUE(again.links->start());
  EXPECT_TRUE(until([&] { return a.up("b") && again.up("a"); }));
  EXPECT_EQ(a.ups.size(), 2u);
}

TEST_F(LinksTest, ACutLinkSaysWhyOnBothSidesAndTriesAgain) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  b.links->cut("a", "its clock is ahead");
  EXPECT_EQ(b.view("a").state, LinkState::kRefused);
  ASSERT_TRUE(until([&] { return a.downs.size() == 1; }));
  EXPECT_EQ(a.view("b").reason, "the peer refuses: its clock is ahead");
  EXPECT_TRUE(b.downs.empty());  // who cut knows
  EXPECT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  for (const auto& view : {a.view("b"), b.view("a")}) {  // remembered, and not settled at once
    EXPECT_TRUE(view.refusal.ends_with("its clock is ahead")) << view.refusal;
    EXPECT_TRUE(view.refused_seconds_ago);
  }
  EXPECT_EQ(a.view("b").losses, 1u);
  EXPECT_TRUE(until(
      [&] { return a.view("b").state == LinkState::kUp && b.view("a").state == LinkState::kUp; }));
}

TEST_F(LinksTest, ALinkThatIsRefusedAgainAndAgainNeverLooksSettled) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
    EXPECT_EQ(b.view("a").state == LinkState::kUp, i == 0);
    b.links->cut("a", "its clock is ahead");
    ASSERT_TRUE(until([&] { return !a.up("b"); }));
  }
}

TEST_F(LinksTest, AHelloTellsHowTheClocksDiffer) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  b.hello.wall_ms = a.hello.wall_ms = 1'000;  // long ago
  a.config.limits.heartbeat = b.config.limits.heartbeat = 1h;
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  EXPECT_LT(a.view("b").clock_offset_ms, -1e9);
}

TEST_F(LinksTest, AnotherClusterIsRefusedWithTheReasonOnBothSides) {
  auto& a = add("a", 1);
  auto other = config_;
  other.cluster = "test";
  auto& b = add("b", 2, other);
  start_all();
  const std::string why = "the peer's cluster is test and this gateway's is shop";
  ASSERT_TRUE(until([&] { return a.view("b").state == LinkState::kRefused; }));
  EXPECT_TRUE(until([&] { return b.view("a").state == LinkState::kRefused; }));
  EXPECT_TRUE(a.view("b").reason == why || a.view("b").reason.find("the peer refuses: ") == 0)
      << a.view("b").reason;
  EXPECT_TRUE(a.ups.empty() && b.ups.empty());
}

TEST_F(LinksTest, AForkedHistoryIsRefused) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  b.history = fail(Code::kFork, "two histories of a");
  start_all();
  ASSERT_TRUE(until([&] {
    return b.view("a").state == LinkState::kRefused &&
           a.view("b").reason == "the peer refuses: two histories of a";
  }));
  EXPECT_EQ(b.view("a").reason, "two histories of a");
  EXPECT_TRUE(b.ups.empty());
  b.history = {};
  EXPECT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
}

TEST_F(LinksTest, AnEndpointAnsweredBySomebodyElseIsRefused) {
  auto crossed = config_;
  crossed.datacenters[1].peers = config_.datacenters[2].peers;  // a believes that b is where c is
  auto& a = add("a", 1, crossed);
  auto& c = add("c", 3);
  start_all();
  ASSERT_TRUE(until([&] { return a.view("b").state == LinkState::kRefused; }));
  EXPECT_TRUE(a.view("b").reason == "the `peers` endpoint of b is answered by c" ||
              a.view("b").reason.find("the peer refuses: a is linked already") == 0)
      << a.view("b").reason;
  EXPECT_TRUE(until([&] { return a.up("c") && c.up("a"); }));
}

TEST_F(LinksTest, ASecondGatewayUnderOneNameIsRefusedWhileTheFirstLives) {
  auto& b = add("b", 2);
  auto& a = add("a", 1);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  auto elsewhere = config_;
  elsewhere.datacenters[0].peers.port = static_cast<uint16_t>(testing::free_port());
  auto& twin = add("a", 9, elsewhere);
  ASSERT_TRUE(twin.links->start());
  ASSERT_TRUE(until([&] {
    return twin.view("b").reason.find("another gateway is a") != std::string::npos;
  })) << twin.view("b").reason;
  EXPECT_TRUE(a.up("b") && b.up("a"));
  EXPECT_TRUE(b.downs.empty());
  a.links->stop();
  EXPECT_TRUE(until([&] { return twin.up("b") && b.up("a"); }));
}

TEST_F(LinksTest, OtherPagesAndPlainRequestsAreRefused) {
  auto& b = add("b", 2);
  start_all();
  EXPECT_EQ(talk(b, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(talk(b, "GET /v1/peer HTTP/1.1\r\nHost: x\r\n\r\n").substr(0, 12), "HTTP/1.1 426");
  EXPECT_EQ(talk(b, "GET /v1/peer HTTP/1.1\r\nHost: x\r\nOrigin: null\r\n\r\n").substr(0, 12),
            "HTTP/1.1 403");
  EXPECT_EQ(
      talk(b, "GET /v1/peer HTTP/1.1\r\nHost: x\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n"),
      "");
}

TEST_F(LinksTest, APostRequestIsHandedOverWithItsConnectionAndWhatWasRead) {
  auto& b = add("b", 2);
  start_all();
  auto socket = plain_connection(b);
  asio::write(socket, asio::buffer(std::string_view("PO")));
  asio::write(socket, asio::buffer(std::string_view("ST /x")));
  ASSERT_TRUE(until([&] { return b.asked.size() == 1; }));
  EXPECT_EQ(b.asked[0].second.substr(0, 5), "POST ");
  asio::write(b.asked[0].first.socket(), asio::buffer(std::string_view("answer")));
  b.asked.clear();
  EXPECT_EQ(read_until_closed(socket), "answer");
}

TEST_F(LinksTest, BytesThatAreNoRequestAndSilenceEndTheConnectionAndNothingElse) {
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  std::minstd_rand random(3);
  for (int i = 0; i < 20; ++i) {
    std::string noise(random() % 3000, '\0');
    for (auto& ch : noise) ch = static_cast<char>(random());
    talk(b, noise + "\r\n\r\n");
  }
  EXPECT_EQ(talk(b, ""), "");  // until limits.link_timeout
  EXPECT_TRUE(a.up("b") && b.up("a"));
  EXPECT_TRUE(a.downs.empty() && b.downs.empty());
}

TEST_F(LinksTest, WhateverComesInsteadOfAHelloEndsTheConnection) {
  auto& b = add("b", 2);
  start_all();
  const auto said = talk_frames(b, message(encode_frame(Ping{1})));
  EXPECT_NE(said.find("the peer's first frame is not a hello"), std::string::npos);
  talk_frames(b, message("garbage"));
  talk_frames(b, message("text", 1));
  talk_frames(b, message(encode_frame(Bye{"no"})));
  talk_frames(b, std::string("\x82\xff\0\0\0\1\0\0\0\0\0\0\0\0", 14));  // 4 GiB are to follow
  talk_frames(b, "");                                                   // silence
  EXPECT_TRUE(b.ups.empty());
}

TEST_F(LinksTest, AGreetedPeerThatSendsGarbageOrASecondHelloLosesItsLink) {
  auto& b = add("b", 2);
  start_all();
  Hello hello = b.hello;
  hello.dc = "a";
  hello.incarnation = origin(1);
  for (const auto& second : {encode_frame(hello), std::string("garbage")}) {
    talk_frames(b, message(encode_frame(hello)) + message(second));
    ASSERT_TRUE(until([&] { return b.downs.size() == b.ups.size(); }));
    EXPECT_FALSE(b.up("a"));
    EXPECT_NE(b.view("a").reason, "");
  }
  EXPECT_EQ(b.ups.size(), 2u);
}

TEST_F(LinksTest, AGreetedPeerThatFallsSilentIsCut) {
  auto& b = add("b", 2);
  start_all();
  Hello hello = b.hello;
  hello.dc = "a";
  hello.incarnation = origin(1);
  talk_frames(b, message(encode_frame(hello)));  // returns once b gives up
  EXPECT_EQ(b.ups.size(), 1u);
  ASSERT_TRUE(until([&] { return b.downs.size() == 1; }));
  EXPECT_EQ(b.view("a").reason, "nothing heard within limits.link_timeout");
}

TEST_F(LinksTest, SilentStrangersAreBoundedAndKeepNoNeighbourOut) {
  config_.limits.link_timeout = 60s;
  auto& b = add("b", 2);
  start_all();
  std::vector<tcp::socket> many;
  for (size_t i = 0; i < Links::kStrangers; ++i) many.push_back(plain_connection(b));
  auto& a = add("a", 1);
  ASSERT_TRUE(a.links->start());
  EXPECT_TRUE(until([&] { return a.up("b") && b.up("a"); }));
  // It cost the oldest its place, at once and not after limits.link_timeout.
  many.front().non_blocking(true);
  EXPECT_TRUE(until([&] {
    boost::system::error_code ec;
    char byte = 0;
    many.front().read_some(asio::buffer(&byte, 1), ec);
    return ec && ec != asio::error::would_block;
  }));
}

// Five in a circle; a spare link is opened after a tenth of a second.
Config circle_of_five(Config config) {
  config.topology.kind = TopologyKind::kCircle;
  config.topology.order = {"a", "b", "c", "d", "e"};
  config.topology.failover_after = 100ms;
  return config;
}

TEST_F(LinksTest, ASpareLinkLeadsPastTwoWhoAreGoneAndIsClosedWhenOneReturns) {
  config_ = circle_of_five(config_of({"a", "b", "c", "d", "e"}));
  auto& a = add("a", 1);
  auto& d = add("d", 4);
  auto& e = add("e", 5);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("e") && d.up("e") && a.up("d") && d.up("a"); }));
  EXPECT_TRUE(a.view("d").spare && d.view("a").spare);
  EXPECT_FALSE(a.view("e").spare);
  auto& b = add("b", 2);
  ASSERT_TRUE(b.links->start());
  ASSERT_TRUE(until([&] { return a.up("b") && d.up("b"); }));
  EXPECT_TRUE(until([&] { return !a.up("d") && !d.up("a"); }));
  EXPECT_EQ(a.view("d").peer, "");  // nothing to show
  EXPECT_TRUE(e.downs.empty());
}

TEST_F(LinksTest, ASpareLinkThatIsInUseStaysUntilItIsNot) {
  config_ = circle_of_five(config_of({"a", "b", "c", "d", "e"}));
  auto& a = add("a", 1);
  auto& c = add("c", 3);
  a.in_use = c.in_use = true;
  add("d", 4);
  add("e", 5);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("c") && c.up("a"); }));
  auto& b = add("b", 2);
  ASSERT_TRUE(b.links->start());
  ASSERT_TRUE(until([&] { return a.up("b") && c.up("b"); }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return std::chrono::steady_clock::now() - begin > 500ms; }));
  EXPECT_TRUE(a.up("c") && c.up("a"));
  a.in_use = c.in_use = false;
  EXPECT_TRUE(until([&] { return !a.up("c") && !c.up("a"); }));
}

// One of the two misses its neighbour, for its file has another address; the other misses nobody,
// and would be the one to open a link between neighbours.
TEST_F(LinksTest, WhoeverNeedsASpareLinkOpensIt) {
  config_ = circle_of_five(config_of({"a", "b", "c", "d", "e"}));
  config_.topology.order = {"b", "c", "d", "a", "e"};
  auto blind = config_;
  blind.datacenters[3].peers.port = static_cast<uint16_t>(testing::free_port());  // c misses d
  auto& c = add("c", 3, blind);
  auto& a = add("a", 1);
  auto& b = add("b", 2);
  auto& d = add("d", 4);
  auto& e = add("e", 5);
  start_all();
  EXPECT_TRUE(until([&] { return c.up("a") && a.up("c"); }));
  EXPECT_TRUE(until([&] { return b.up("c") && d.up("a") && a.up("e") && e.up("b"); }));
}

TEST_F(LinksTest, TwoWhoOpenASpareLinkAtOnceKeepOneOfThem) {
  config_ = circle_of_five(config_of({"a", "b", "c", "d", "e"}));
  auto& a = add("a", 1);
  auto& c = add("c", 3);
  start_all();
  ASSERT_TRUE(until([&] { return a.up("c") && c.up("a"); }));
  a.links->cut("c", "both try again at once");
  ASSERT_TRUE(until([&] { return a.up("c") && c.up("a") && a.ups.size() >= 2; }));
  const auto ups = a.ups.size();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return std::chrono::steady_clock::now() - begin > 300ms; }));
  EXPECT_LE(a.ups.size(), ups + 1);  // it changed hands at most
  EXPECT_TRUE(a.up("c") && c.up("a"));
}

TEST_F(LinksTest, WithoutReroutingNoSpareLinkIsOpened) {
  config_ = circle_of_five(config_of({"a", "b", "c", "d", "e"}));
  config_.topology.reroute = false;
  auto& a = add("a", 1);
  auto& c = add("c", 3);
  start_all();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(until([&] { return std::chrono::steady_clock::now() - begin > 400ms; }));
  EXPECT_TRUE(a.ups.empty() && c.ups.empty());
}

// ---- With TLS
// ------------------------------------------------------------------------------------

class TlsLinksTest : public LinksTest {
 protected:
  // `as`: whose certificate it has.
  Config secure(const std::string& as) {
    const auto issued = ca_.issue({{"spiffe://shop/dc/" + as}});
    const auto file = [&](const std::string& text) {
      const auto path = (folder_.path() / std::to_string(++files_)).string();
      std::ofstream(path) << text;
      return path;
    };
    Config config = config_;
    config.tls = {file(issued.cert), file(issued.key), file(ca_.pem()), {}, nullptr};
    auto live = GatewayTls::open(config.tls, {"shop", as});
    EXPECT_TRUE(live) << live.error().text;
    config.tls.live = *live;
    return config;
  }

  testing::TemporaryFolder folder_;
  const testing::TestCa ca_{"CA"};
  int files_ = 0;
};

TEST_F(TlsLinksTest, NeighboursFindEachOther) {
  auto& a = add("a", 1, secure("a"));
  auto& b = add("b", 2, secure("b"));
  start_all();
  EXPECT_TRUE(until([&] { return a.up("b") && b.up("a"); })) << a.view("b").reason;
}

TEST_F(TlsLinksTest, AHelloUnderAnotherNameThanTheCertificatesIsRefused) {
  auto& a = add("a", 1, secure("c"));
  auto& b = add("b", 2, secure("b"));
  start_all();
  ASSERT_TRUE(until([&] { return a.view("b").state == LinkState::kRefused; }));
  EXPECT_EQ(a.view("b").reason,
            "the peer refuses: it says that it is `a`, and its certificate is c's "
            "(spiffe://shop/dc/c)");
  EXPECT_TRUE(b.ups.empty());
  EXPECT_NE(b.view("a").state, LinkState::kRefused);  // it was not a
}

TEST_F(TlsLinksTest, WhoAnswersForAnotherHearsNoHello) {
  auto& a = add("a", 1, secure("a"));
  auto& b = add("b", 2, secure("c"));
  start_all();
  ASSERT_TRUE(until([&] { return a.view("b").reason.find("certificate") != std::string::npos; }));
  EXPECT_NE(a.view("b").reason.find("its certificate is c's (spiffe://shop/dc/c), and this is the "
                                    "address of b"),
            std::string::npos)
      << a.view("b").reason;
  EXPECT_TRUE(b.ups.empty());
}

TEST_F(TlsLinksTest, PostRequestsComeWithWhoAsks) {
  const Config config = secure("a");
  auto& b = add("b", 2, secure("b"));
  start_all();
  Transport asker(plain_connection(b));
  asker.secure(config.tls.live->current()->dial_gateway("b", nullptr));
  asker.async_handshake([&](boost::system::error_code e) {
    EXPECT_FALSE(e) << asker.failure();
    boost::system::error_code error;
    asker.write_now("POST /x", error);
  });
  ASSERT_TRUE(until([&] { return b.asked.size() == 1; }));
  EXPECT_EQ(b.asked[0].second, "POST /x");
  ASSERT_TRUE(b.asked[0].first.peer());
  EXPECT_EQ(b.asked[0].first.peer()->name.dc, "a");
  b.asked.clear();
}

}  // namespace
}  // namespace entente
