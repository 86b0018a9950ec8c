#include "gateway/transport/transport.h"

#include <gtest/gtest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "tests/unit/gateway/transport/tls_files.h"

namespace entente {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using testing::TestCa;
using Session = std::unique_ptr<TlsSession>;

std::string noise(size_t size) {
  std::string out(size, '\0');
  uint32_t state = 1;
  for (auto& c : out) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

// Two ends of one connection on one io_context.
class TransportTest : public ::testing::Test {
 protected:
  void connect() {
    tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    dialled_ = Transport(tcp::socket(io_));
    dialled_.socket().connect(acceptor.local_endpoint());
    accepted_ = Transport(acceptor.accept());
    for (auto* end : {&dialled_, &accepted_}) end->socket().non_blocking(true);
  }

  // What came of the handshake at either end.
  std::pair<error_code, error_code> shake(Session dials, Session accepts) {
    connect();
    dialled_.secure(std::move(dials));
    accepted_.secure(std::move(accepts));
    std::pair<error_code, error_code> errors;
    dialled_.async_handshake([&](error_code e) { errors.first = e; });
    accepted_.async_handshake([&](error_code e) {
      errors.second = e;
      if (e) accepted_.shutdown_send();
    });
    run();
    return errors;
  }

  void secure() {
    const auto errors =
        shake(tokyo_->dial_gateway("lima", nullptr), lima_->accept_gateway(nullptr));
    ASSERT_FALSE(errors.first) << dialled_.failure();
    ASSERT_FALSE(errors.second) << accepted_.failure();
  }

  void run() {
    io_.restart();
    io_.run_for(std::chrono::seconds(10));
    EXPECT_TRUE(io_.stopped());
  }

  // The first thing that the dialler reads.
  error_code first_read() {
    error_code error;
    char byte = 0;
    dialled_.async_read_some(asio::buffer(&byte, 1), [&](error_code e, size_t) { error = e; });
    run();
    return error;
  }

  // Sends `bytes` one way, and tells whether they arrive.
  bool carries(Transport& from, Transport& to, const std::string& bytes) {
    std::string got(bytes.size(), '\0');
    error_code wrote, read;
    asio::async_write(from, asio::buffer(bytes), [&](error_code e, size_t) { wrote = e; });
    asio::async_read(to, asio::buffer(got), [&](error_code e, size_t) { read = e; });
    run();
    EXPECT_FALSE(wrote) << from.failure_or(wrote);
    EXPECT_FALSE(read) << to.failure_or(read);
    return got == bytes;
  }

  const TestCa ca_{"CA"};
  std::shared_ptr<const TlsMaterial> tokyo_ = test::material_of(ca_, "tokyo"),
                                     lima_ = test::material_of(ca_, "lima");
  asio::io_context io_{1};
  Transport dialled_{tcp::socket(io_)}, accepted_{tcp::socket(io_)};
};

TEST_F(TransportTest, PlainIsTheSocket) {
  connect();
  EXPECT_TRUE(carries(dialled_, accepted_, noise(1 << 20)));
  EXPECT_TRUE(carries(accepted_, dialled_, "x"));
  EXPECT_EQ(dialled_.peer(), nullptr);
}

TEST_F(TransportTest, EachEndKnowsWhoTheOtherIs) {
  secure();
  ASSERT_TRUE(dialled_.peer() && accepted_.peer());
  EXPECT_EQ(dialled_.peer()->name, (GatewayName{"shop", "lima"}));
  EXPECT_EQ(accepted_.peer()->name, (GatewayName{"shop", "tokyo"}));
}

TEST_F(TransportTest, BothDirectionsAtOnceWithMoreThanFits) {
  secure();
  const std::string there = noise(4 << 20), back = noise(3 << 20);
  std::string got_there(there.size(), '\0'), got_back(back.size(), '\0');
  int done = 0;
  const auto count = [&](error_code e, size_t) {
    EXPECT_FALSE(e) << e.message();
    ++done;
  };
  asio::async_write(dialled_, asio::buffer(there), count);
  asio::async_write(accepted_, asio::buffer(back), count);
  asio::async_read(accepted_, asio::buffer(got_there), count);
  asio::async_read(dialled_, asio::buffer(got_back), count);
  run();
  EXPECT_EQ(done, 4);
  EXPECT_TRUE(got_there == there && got_back == back);
}

TEST_F(TransportTest, ManySmallBuffersArriveInOrder) {
  secure();
  const std::string pieces[] = {"a", "", noise(20'000), "b", noise(3)};
  std::vector<asio::const_buffer> buffers;
  std::string all;
  for (const auto& piece : pieces) {
    buffers.push_back(asio::buffer(piece));
    all += piece;
  }
  std::string got(all.size(), '\0');
  asio::async_write(dialled_, buffers, [](error_code e, size_t) { EXPECT_FALSE(e); });
  asio::async_read(accepted_, asio::buffer(got), [](error_code e, size_t) { EXPECT_FALSE(e); });
  run();
  EXPECT_EQ(got, all);
}

TEST_F(TransportTest, AConnectionMovesToAnotherIoContext) {
  secure();
  ASSERT_TRUE(carries(dialled_, accepted_, "POST "));
  asio::io_context other(1);
  Transport moved = std::move(accepted_).moved_to(other);
  EXPECT_EQ(moved.peer()->name.dc, "tokyo");
  const std::string answer = noise(100'000);
  std::string got(answer.size(), '\0');
  asio::async_write(moved, asio::buffer(answer), [](error_code e, size_t) { EXPECT_FALSE(e); });
  std::optional<error_code> read;
  asio::async_read(dialled_, asio::buffer(got), [&](error_code e, size_t) { read = e; });
  io_.restart();
  for (int i = 0; i < 1000 && !read; ++i) {
    other.restart();
    other.run_for(std::chrono::milliseconds(1));
    io_.run_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(read);
  EXPECT_FALSE(*read) << dialled_.failure_or(*read);
  EXPECT_TRUE(got == answer);
}

TEST_F(TransportTest, GoodbyeIsTheEndAndSilenceIsNot) {
  secure();
  accepted_.close();
  EXPECT_EQ(first_read(), asio::error::eof);
  secure();
  accepted_.socket().close();  // as if killed
  const auto cut = first_read();
  EXPECT_TRUE(cut && cut != asio::error::eof) << cut.message();
}

TEST_F(TransportTest, AFlippedByteEndsTheConnectionWithASentence) {
  secure();
  const std::string damaged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  asio::write(accepted_.socket(), asio::buffer(damaged));
  EXPECT_TRUE(first_read());
  EXPECT_NE(dialled_.failure().find("damaged on the way"), std::string::npos) << dialled_.failure();
}

TEST_F(TransportTest, PlainHttpIsKnownAndToldNothingOfTls) {
  connect();
  accepted_.secure(lima_->accept_client(nullptr));
  asio::write(dialled_.socket(), asio::buffer(std::string_view("GET / HTTP/1.1\r\n\r\n")));
  error_code failed;
  accepted_.async_handshake([&](error_code e) { failed = e; });
  run();
  EXPECT_TRUE(failed);
  EXPECT_TRUE(accepted_.tls()->spoke_plainly());
  EXPECT_EQ(accepted_.failure(), "it does not speak TLS");
  EXPECT_EQ(dialled_.socket().available(), 0u);
  accepted_.answer_plainly("ask https://");
  std::string answer(500, '\0');
  answer.resize(dialled_.socket().read_some(asio::buffer(answer)));
  EXPECT_EQ(answer.substr(0, 24), "HTTP/1.1 400 Bad Request");
  EXPECT_NE(answer.find("ask https://"), std::string::npos);
}

TEST_F(TransportTest, AServerWithoutTlsIsNamedAsSuch) {
  connect();
  dialled_.secure(tokyo_->dial_gateway("lima", nullptr));
  asio::write(accepted_.socket(),
              asio::buffer(std::string_view("HTTP/1.1 400 Bad Request\r\n\r\n")));
  error_code failed;
  dialled_.async_handshake([&](error_code e) { failed = e; });
  run();
  EXPECT_TRUE(failed);
  EXPECT_EQ(dialled_.failure(), "it does not speak TLS");
}

// ---- Who is refused, and what each end knows of it
// -----------------------------------------------

TEST_F(TransportTest, ADiallerTellsNothingToWhoIsNotThePeer) {
  const auto errors = shake(tokyo_->dial_gateway("oslo", nullptr), lima_->accept_gateway(nullptr));
  EXPECT_TRUE(errors.first);
  EXPECT_EQ(dialled_.failure(),
            "its certificate is lima's (spiffe://shop/dc/lima), and this is the address of oslo");
  EXPECT_TRUE(errors.second);
  EXPECT_NE(
      accepted_.failure().find("does not take this side's certificate (spiffe://shop/dc/lima)"),
      std::string::npos)
      << accepted_.failure();
}

TEST_F(TransportTest, ADiallerOfAnotherClusterIsRefused) {
  const auto store =
      *TlsMaterial::make(test::texts_of(ca_, ca_.issue({{"spiffe://store/dc/tokyo"}})),
                         test::kFiles, {"store", "tokyo"});
  const auto errors = shake(lima_->dial_gateway("tokyo", nullptr), store->accept_gateway(nullptr));
  EXPECT_TRUE(errors.first);
  EXPECT_NE(dialled_.failure().find(
                "is of cluster store (spiffe://store/dc/tokyo), and this is cluster shop"),
            std::string::npos)
      << dialled_.failure();
}

TEST_F(TransportTest, TheRefusalComesWithTheDiallersFirstRead) {
  const TestCa other("other CA");
  auto texts = test::texts_of(other, other.issue({{"spiffe://shop/dc/tokyo"}}));
  texts.ca += ca_.pem();  // it takes lima's, and lima does not take its
  const auto tokyo = TlsMaterial::make(texts, test::kFiles, {"shop", "tokyo"});
  ASSERT_TRUE(tokyo) << tokyo.error().text;
  const auto errors =
      shake((*tokyo)->dial_gateway("lima", nullptr), lima_->accept_gateway(nullptr));
  EXPECT_FALSE(errors.first);
  EXPECT_TRUE(errors.second);
  EXPECT_NE(
      accepted_.failure().find("was issued by CN=other CA, which is not in the `ca` file here"),
      std::string::npos)
      << accepted_.failure();
  EXPECT_TRUE(first_read());
  EXPECT_NE(dialled_.failure().find("does not know the CA of this side's certificate"),
            std::string::npos)
      << dialled_.failure();
  EXPECT_TRUE(dialled_.tls()->refused());
}

TEST_F(TransportTest, WhoShowsNoCertificateIsRefused) {
  auto context = client_context("");
  ASSERT_TRUE(context);
  SSL_CTX_set_min_proto_version(context->get(), TLS1_3_VERSION);
  const auto errors = shake(
      std::make_unique<TlsSession>(context->get(), TlsSession::Role::kDials, PeerRule{}, nullptr),
      lima_->accept_gateway(nullptr));
  EXPECT_TRUE(errors.second);
  EXPECT_EQ(accepted_.failure(), "it shows no certificate");
  EXPECT_TRUE(first_read());
  EXPECT_NE(dialled_.failure().find("wants a certificate"), std::string::npos)
      << dialled_.failure();
}

TEST_F(TransportTest, GatewaysSpeakTheLatestTlsOnly) {
  auto context = client_context("");
  ASSERT_TRUE(context);
  SSL_CTX_set_max_proto_version(context->get(), TLS1_2_VERSION);
  const auto errors = shake(
      std::make_unique<TlsSession>(context->get(), TlsSession::Role::kDials, PeerRule{}, nullptr),
      lima_->accept_gateway(nullptr));
  EXPECT_TRUE(errors.first && errors.second);
  EXPECT_NE(accepted_.failure().find("older TLS"), std::string::npos) << accepted_.failure();
}

TEST_F(TransportTest, ClientsAreNotAskedForACertificate) {
  auto context = client_context("");
  ASSERT_TRUE(context);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX_set_max_proto_version(context->get(), version);
    const auto errors = shake(
        std::make_unique<TlsSession>(context->get(), TlsSession::Role::kDials, PeerRule{}, nullptr),
        lima_->accept_client(nullptr));
    EXPECT_FALSE(errors.first) << dialled_.failure();
    EXPECT_FALSE(errors.second) << accepted_.failure();
    EXPECT_TRUE(carries(dialled_, accepted_, "hello"));
  }
}

TEST_F(TransportTest, ClientsMayOfferHttpAndNothingElse) {
  struct Offer {
    std::string protocols;  // each with its length before it
    bool taken;
  };
  for (const auto& [protocols, taken] : {Offer{"\x02h2\x08http/1.1", true},
                                         {"\x08http/1.1", true},
                                         {"\x02h2", false},
                                         {"\x0e"
                                          "entente-peer/1",
                                          false}}) {
    auto context = client_context("");
    ASSERT_TRUE(context);
    SSL_CTX_set_alpn_protos(context->get(),
                            reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
    const auto errors = shake(
        std::make_unique<TlsSession>(context->get(), TlsSession::Role::kDials, PeerRule{}, nullptr),
        lima_->accept_client(nullptr));
    EXPECT_EQ(!errors.first && !errors.second, taken) << protocols << dialled_.failure();
  }
}

TEST_F(TransportTest, ACertificateThatIsDeniedLaterIsNotTakenAgain) {
  secure();
  const auto& peer = *accepted_.peer();
  EXPECT_TRUE(lima_->check_again(peer, TlsSession::Role::kAccepts));
  const auto texts = test::texts_of(ca_, ca_.issue({{"spiffe://shop/dc/lima"}}));
  TlsConfig denying = test::kFiles;
  denying.denied = {peer.leaf.fingerprint()};
  const auto later = TlsMaterial::make(texts, denying, {"shop", "lima"});
  ASSERT_TRUE(later);
  const auto again = (*later)->check_again(peer, TlsSession::Role::kAccepts);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find("security.denied"), std::string::npos);
}

TEST_F(TransportTest, ACaThatIsDroppedVouchesForNobody) {
  secure();
  const TestCa next("next CA");
  const auto later = test::material_of(next, "lima");
  const auto again = later->check_again(*accepted_.peer(), TlsSession::Role::kAccepts);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find("not in the `ca` file"), std::string::npos)
      << again.error().text;
}

TEST(CheckClaim, OnlyTheCertificatesOwnNameMayBeUsed) {
  const TestCa ca("CA");
  auto parsed = parse_certificates(ca.issue({{"spiffe://shop/dc/tokyo"}}).cert, "x");
  const PeerCertificate tokyo{std::move(parsed->front()), {}, {"shop", "tokyo"}, 0};
  EXPECT_TRUE(check_claim(&tokyo, "tokyo"));
  EXPECT_TRUE(check_claim(nullptr, "anybody"));
  EXPECT_FALSE(check_claim(&tokyo, "virginia"));
  EXPECT_FALSE(check_claim(&tokyo, ""));
}

}  // namespace
}  // namespace entente
