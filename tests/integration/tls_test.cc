// Gateways that talk TLS to each other and to their clients, as processes; and strangers at their
// doors.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <optional>

#include "gateway/replica/messages.h"
#include "gateway/transport/certificate.h"
#include "tests/integration/operations_view.h"
#include "tests/support/cluster.h"
#include "tests/support/http_client.h"
#include "tests/support/writer.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kDay = 24 * 3600;

Cluster::Options secure(std::vector<std::string> dcs) {
  Cluster::Options options;
  options.dcs = std::move(dcs);
  options.topology = "{kind: all-to-all}";
  options.schema = kItemsTable;
  options.extra =
      "limits: {heartbeat: 100ms, link_timeout: 2s, reconnect_max: 200ms, header_timeout: 2s}\n";
  options.tls = true;
  return options;
}

// ---- A stranger: TCP, and TLS if it likes -------------------------------------------------------

class Stranger {
 public:
  explicit Stranger(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<uint16_t>(port));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  }
  ~Stranger() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(socket_);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  // With this certificate, or none; does not look at the gateway's.
  bool secure(const std::optional<Issued>& as) {
    context_ = SSL_CTX_new(TLS_client_method());
    if (as) {
      BIO* const cert = BIO_new_mem_buf(as->cert.data(), -1);
      BIO* const key = BIO_new_mem_buf(as->key.data(), -1);
      X509* const x509 = PEM_read_bio_X509(cert, nullptr, nullptr, nullptr);
      EVP_PKEY* const private_key = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
      SSL_CTX_use_certificate(context_, x509);
      SSL_CTX_use_PrivateKey(context_, private_key);
      X509_free(x509);
      EVP_PKEY_free(private_key);
      BIO_free(cert);
      BIO_free(key);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_);
    return SSL_connect(ssl_) == 1;
  }

  void send(const std::string& bytes) {
    if (ssl_ != nullptr) {
      SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    } else {
      ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }

  // What comes until the other side ends it, or has said this much; with TLS, `why` says how it
  // ended: an alert's name.
  std::string receive(size_t enough = 1 << 20) {
    std::string all;
    char buffer[4096];
    while (all.size() < enough) {
      ERR_clear_error();
      const ssize_t n = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer)
                                        : ::recv(socket_, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      all.append(buffer, static_cast<size_t>(n));
    }
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    why = reason != nullptr ? reason : "";
    return all;
  }

  std::string why;

 private:
  int socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

std::string gateway_post(const std::string& path, const std::string& dc,
                         const std::string& fingerprint, const std::string& body = "{}") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nEntente-Gateway: {\"protocol\":" +
         std::to_string(Hello().protocol) + ",\"cluster\":\"test\",\"dc\":\"" + dc +
         "\",\"topology\":\"" + fingerprint +
         "\"}\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

// ---- Who may come in ----------------------------------------------------------------------------

// One gateway, with its door open, for all of these tests.
class TlsDoor : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>(secure({"a", "b"}));
    cluster_->start_all();
    ASSERT_TRUE(cluster_->wait_ready("a")) << cluster_->output("a");
    ASSERT_TRUE(cluster_->wait_ready("b")) << cluster_->output("b");
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  // What the stranger is told, and that the gateway's log says why.
  static void expect_refused(const std::optional<Issued>& as, const std::string& alert,
                             const std::string& sentence) {
    Stranger stranger(cluster_->peer_port("a"));
    stranger.secure(as);
    stranger.send(gateway_post("/v1/digest", "b", "x"));
    EXPECT_EQ(stranger.receive(), "");
    EXPECT_NE(stranger.why.find(alert), std::string::npos) << stranger.why;
    EXPECT_TRUE(comes_true([&] { return has(cluster_->output("a"), sentence); }, 5s))
        << cluster_->output("a");
    EXPECT_TRUE(has(cluster_->output("a"), "TLS with 127.0.0.1 failed: "));
  }
  static Issued by_ca(const TestCa::Wish& wish) { return cluster_->ca().issue(wish); }

  static std::unique_ptr<Cluster> cluster_;
};
std::unique_ptr<Cluster> TlsDoor::cluster_;

TEST_F(TlsDoor, NobodyWithoutACertificate) {
  expect_refused(std::nullopt, "certificate required", "it shows no certificate");
}

TEST_F(TlsDoor, NobodyOfAnotherCa) {
  const TestCa other("another CA"), same("CA of test");
  expect_refused(other.issue({{"spiffe://test/dc/b"}}), "unknown ca",
                 "was issued by CN=another CA, which is not in the `ca` file here");
  expect_refused(same.issue({{"spiffe://test/dc/b"}}), "decrypt error",
                 "was issued by CN=CA of test, which is not in the `ca` file here");
}

TEST_F(TlsDoor, NobodyWhoseCertificateIsOver) {
  expect_refused(by_ca({{"spiffe://test/dc/b"}, "serverAuth,clientAuth", -2 * kDay, -kDay}),
                 "certificate expired", "its certificate (spiffe://test/dc/b) has expired on");
}

TEST_F(TlsDoor, NobodyWhoseCertificateIsYetToCome) {
  expect_refused(by_ca({{"spiffe://test/dc/b"}, "serverAuth,clientAuth", kDay, 2 * kDay}),
                 "bad certificate", "its certificate (spiffe://test/dc/b) is valid from");
}

TEST_F(TlsDoor, NobodyOfAnotherCluster) {
  expect_refused(by_ca({{"spiffe://other/dc/b"}}), "handshake failure",
                 "is of cluster other (spiffe://other/dc/b), and this is cluster test");
}

TEST_F(TlsDoor, NobodyWithoutAName) {
  expect_refused(by_ca({{}}), "handshake failure", "has no URI among its names");
}

TEST_F(TlsDoor, NobodyWithTwoNames) {
  expect_refused(by_ca({{"spiffe://test/dc/b", "spiffe://test/dc/a"}}), "handshake failure",
                 "has 2 URIs among its names");
}

TEST_F(TlsDoor, NobodyWhoseCertificateIsForServersOnly) {
  expect_refused(by_ca({{"spiffe://test/dc/b"}, "serverAuth"}), "unsupported certificate",
                 "is not made for this: it lacks clientAuth");
}

// Tokyo's certificate saying hello as virginia.
TEST_F(TlsDoor, NobodyUnderAnotherName) {
  for (const std::string path : {"/v1/digest", "/v1/snapshot", "/v3/pipeline", "/v1/topology",
                                 "/v1/unshipped", "/v1/nothing"}) {
    Stranger stranger(cluster_->peer_port("a"));
    ASSERT_TRUE(stranger.secure(by_ca({{"spiffe://test/dc/c"}})));
    stranger.send(gateway_post(path, "b", "x"));
    const std::string answer = stranger.receive();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 403") << path;
    EXPECT_TRUE(has(answer, "not_this_gateway")) << answer;
    EXPECT_TRUE(has(answer, "it says that it is `b`, and its certificate is c's")) << answer;
    EXPECT_FALSE(has(answer, "fingerprint")) << answer;
  }
}

// A datacenter that was removed, or never was, of this cluster.
TEST_F(TlsDoor, WhoIsNotInTheTopologyMayAskForItAndNothingElse) {
  for (const std::string path : {"/v1/digest", "/v1/snapshot", "/v3/pipeline", "/v1/unshipped"}) {
    Stranger stranger(cluster_->peer_port("a"));
    ASSERT_TRUE(stranger.secure(by_ca({{"spiffe://test/dc/c"}})));
    stranger.send(gateway_post(path, "c", "x"));
    const std::string answer = stranger.receive();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 403") << path << answer;
    EXPECT_TRUE(has(answer, "not in the topology")) << answer;
  }
}

TEST_F(TlsDoor, PlainHttpIsToldWhereToGo) {
  for (const bool peers : {false, true}) {
    Stranger stranger(peers ? cluster_->peer_port("a") : cluster_->port("a"));
    stranger.send("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const std::string answer = stranger.receive();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400") << answer;
    EXPECT_TRUE(has(answer, peers ? "gateways connect here, with TLS"
                                  : "this port speaks HTTPS: ask https://127.0.0.1:"))
        << answer;
  }
}

TEST_F(TlsDoor, HalfAClientHelloKeepsNobodyOut) {
  const std::string half("\x16\x03\x01\x02\x00\x01\x00", 7);
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (const int port : {cluster_->port("a"), cluster_->peer_port("a")}) {
    for (int i = 0; i < 80; ++i) {
      strangers.push_back(std::make_unique<Stranger>(port));
      strangers.back()->send(half);
    }
  }
  HttpClient client(cluster_->port("a"));
  EXPECT_EQ(client.request("GET", "/livez").status, 200);
  // Within header_timeout, or link_timeout, each is cut.
  const auto began = std::chrono::steady_clock::now();
  for (auto& stranger : strangers) EXPECT_EQ(stranger->receive(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 9s);
  EXPECT_EQ(HttpClient(cluster_->port("a")).request("GET", "/livez").status, 200);
  EXPECT_TRUE(comes_true([&] { return flag(page(cluster_->port("a"), "/v1/status"), "healthy"); }));
}

TEST_F(TlsDoor, ManyHandshakesAreAllAnswered) {
  std::vector<std::thread> crowd;
  std::atomic<int> answered{0};
  for (int i = 0; i < 8; ++i) {
    crowd.emplace_back([&] {
      for (int n = 0; n < 250; ++n) {
        answered += HttpClient(cluster_->port("a")).request("GET", "/livez").status == 200;
      }
    });
  }
  for (auto& one : crowd) one.join();
  EXPECT_EQ(answered, 2000);
  const auto metrics = HttpClient(cluster_->port("a")).request("GET", "/metrics").body;
  const auto at = metrics.find("entente_tls_handshakes_total{outcome=\"done\"} ");
  ASSERT_NE(at, std::string::npos) << metrics;
  EXPECT_GE(std::atoi(metrics.c_str() + at + 45), 2000);
}

TEST_F(TlsDoor, AClientThatTrustsAnotherCaIsHeardOf) {
  const std::string cli = Cluster::binary();
  const auto log = cluster_->folder() / "cli.log";
  const auto status = [&](std::vector<std::string> more) {
    std::vector<std::string> command{cli, "status",
                                     "https://localhost:" + std::to_string(cluster_->port("a"))};
    command.insert(command.end(), more.begin(), more.end());
    const int code = Process(command, log).wait();
    std::ifstream in(log);
    return std::pair(code, std::string(std::istreambuf_iterator<char>(in), {}));
  };
  const auto good = status({"--ca", (cluster_->tls_folder("a") / "ca.crt").string()});
  EXPECT_EQ(good.first, 0) << good.second;
  const auto bad = status({});
  EXPECT_EQ(bad.first, 1);
  EXPECT_TRUE(has(bad.second, "give the cluster's ca.crt with --ca")) << bad.second;
  EXPECT_TRUE(
      comes_true([&] { return has(cluster_->output("a"), "tls_refused port=clients"); }, 5s));
}

// ---- What works over it -------------------------------------------------------------------------

TEST(Tls, WritesSchemaChangesAndComparisonsGoOverIt) {
  Cluster cluster(secure({"a", "b", "c"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  HttpClient b(cluster.port("b"));
  // The leader of the schema is a: b sends it on.
  EXPECT_FALSE(has(sql(cluster.port("b"), "CREATE TABLE more (id INTEGER PRIMARY KEY)"), "error"));
  const auto put = b.request("PUT", "/v1/tables/items/rows/x", R"({"row": {"v": "1"}})");
  ASSERT_EQ(put.status, 200) << put.body;
  EXPECT_TRUE(cluster.wait_converged(cluster.applied("b"), 20));
  EXPECT_EQ(b.request("POST", "/v1/verify", "{}").status, 202);
  EXPECT_TRUE(comes_true([&] {
    const auto run = HttpClient(cluster.port("b")).request("GET", "/v1/verify").body;
    return has(run, "\"different\":0") || has(run, "\"alike\"") || has(run, "\"same\"");
  })) << HttpClient(cluster.port("b")).request("GET", "/v1/verify").body;
  const auto metrics = b.request("GET", "/metrics").body;
  EXPECT_TRUE(has(metrics, "entente_certificate_expiry_timestamp_seconds{use=\"gateway\"}"));
  EXPECT_TRUE(has(metrics, "entente_certificate_expiry_timestamp_seconds{use=\"ca\"}"));
}

// A datacenter whose database is lost gets a copy over it.
TEST(Tls, ACopyIsFetchedOverIt) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  HttpClient a(cluster.port("a"));
  ASSERT_EQ(a.request("PUT", "/v1/tables/items/rows/x", R"({"row": {"v": "1"}})").status, 200);
  ASSERT_TRUE(cluster.wait_converged(cluster.applied("a"), 20));
  cluster.kill("b");
  std::filesystem::remove_all(cluster.folder() / "b");
  cluster.start("b", false);
  ASSERT_TRUE(cluster.wait_ready("b", 40)) << cluster.output("b");
  EXPECT_EQ(keys_at(cluster, "b"), std::set<std::string>{"x"});
}

TEST(Tls, AFlippedBitCostsTheLinkAndNothingElse) {
  Cluster cluster(secure({"a", "b"}));
  auto& proxy = cluster.proxy("a", "b");
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  proxy.flip_every(TcpProxy::Way::kToTarget, 20'000);
  proxy.flip_every(TcpProxy::Way::kFromTarget, 20'000);
  Writer writer(cluster, "a");
  EXPECT_TRUE(comes_true([&] { return proxy.flips() >= 3; }, 60s));
  proxy.heal();
  writer.stop();
  EXPECT_TRUE(cluster.wait_converged(cluster.applied("a"), 40));
  EXPECT_EQ(keys_at(cluster, "b"), writer.acknowledged());
  EXPECT_TRUE(has(cluster.output("a") + cluster.output("b"), "damaged on the way"))
      << cluster.output("a");
}

// ---- Starting -----------------------------------------------------------------------------------

TEST(Tls, AGatewayThatIsNotWhoItShouldBeDoesNotStart) {
  Cluster cluster(secure({"a", "b"}));
  auto keys = cluster.ca().issue({{"spiffe://test/dc/a"}});
  const auto fails = [&](const Issued& issued, const std::string& sentence) {
    cluster.give("a", issued);
    cluster.start("a", true);
    EXPECT_EQ(cluster.process("a").wait(), 2);
    EXPECT_TRUE(has(cluster.output("a"), sentence)) << cluster.output("a");
  };
  fails({keys.cert, cluster.ca().issue({{"spiffe://test/dc/a"}}).key},
        "does not fit the certificate");
  fails(cluster.ca().issue({{"spiffe://test/dc/b"}}), "is the certificate of spiffe://test/dc/b");
  fails(cluster.ca().issue({{"spiffe://test/dc/a"}, "clientAuth,serverAuth", -2 * kDay, -kDay}),
        "has expired on");
  fails({"", ""}, "holds no certificate in PEM");
}

// Tokyo's certificate at virginia's address: the dialler says nothing to it.
TEST(Tls, WhoAnswersUnderAnotherNameHearsNoHello) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start("a");
  ASSERT_TRUE(cluster.wait_ready("a"));
  // c listens where b should: its own file says so.
  const auto folder = cluster.folder() / "c-tls";
  std::filesystem::create_directories(folder);
  const auto issued = cluster.ca().issue({{"spiffe://test/dc/c"}});
  std::ofstream(folder / "node.crt") << issued.cert;
  std::ofstream(folder / "node.key") << issued.key;
  std::ofstream(folder / "ca.crt") << cluster.ca().pem();
  const auto file = cluster.folder() / "c.yaml";
  std::ofstream(file) << "cluster: test\ntopology: {kind: all-to-all}\ndatacenters:\n  c: {peers: "
                      << "\"wss://127.0.0.1:" << cluster.peer_port("b")
                      << "\", clients: \"127.0.0.1:0\", database: {kind: memory}}\n"
                      << "security: {tls: {cert: c-tls/node.crt, key: c-tls/node.key, "
                      << "ca: c-tls/ca.crt}}\n";
  Process c({Cluster::binary(), "serve", "--config", file.string(), "--dc", "c", "--data",
             (cluster.folder() / "c").string(), "--first"},
            cluster.folder() / "c.log");
  EXPECT_TRUE(comes_true([&] {
    return has(HttpClient(cluster.port("a")).request("GET", "/v1/links").body,
               "its certificate is c's (spiffe://test/dc/c), and this is the address of b");
  })) << HttpClient(cluster.port("a")).request("GET", "/v1/links").body;
  EXPECT_TRUE(comes_true([&] {
    return has(cluster.output("c"), "does not take this side's certificate (spiffe://test/dc/c)");
  })) << cluster.output("c");
}

// ---- Rotation -----------------------------------------------------------------------------------

// Writes over connections that last, and over new ones, until told to stop; counts what fails.
class Load {
 public:
  explicit Load(const Cluster& cluster) {
    for (const auto& dc : cluster.dcs()) {
      const int port = cluster.port(dc);
      for (const bool lasting : {true, false}) {
        threads_.emplace_back([this, port, dc, lasting] { run(port, dc, lasting); });
      }
    }
  }
  ~Load() { stop(); }
  void stop() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  std::atomic<int> done{0}, failed{0};

 private:
  void run(int port, const std::string& dc, bool lasting) {
    HttpClient client(port);
    for (int n = 0; !stop_; ++n) {
      const std::string path =
          "/v1/tables/items/rows/" + dc + (lasting ? "-l-" : "-n-") + std::to_string(n);
      const auto answer = client.request("PUT", path, R"({"row": {"v": "1"}})");
      ++(answer.status == 200 ? done : failed);
      if (!lasting) client.close();
    }
  }
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

double losses(const Cluster& cluster, const std::string& dc) {
  double all = 0;
  const auto links = page(cluster.port(dc), "/v1/links");
  const Json* list = links.find("links");
  if (list == nullptr || list->array() == nullptr) return -1;
  for (const auto& link : *list->array()) all += number(link, "losses");
  return all;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(TlsRotation, NoRequestFailsAndNoLinkGoes) {
  Cluster cluster(secure({"a", "b", "c"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  const auto linked = [&](const std::string& dc) {
    return flag(page(cluster.port(dc), "/v1/status"), "healthy");
  };
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(comes_true([&] { return linked(dc); }));
  std::map<std::string, double> before;
  for (const auto& dc : cluster.dcs()) before[dc] = losses(cluster, dc);
  Load load(cluster);
  for (int round = 1; round <= 3; ++round) {
    for (const auto& dc : cluster.dcs()) {
      cluster.give(dc, cluster.ca().issue({{"spiffe://test/dc/" + dc}}));
      cluster.process(dc).signal(SIGHUP);
      EXPECT_TRUE(comes_true([&] {
        return count(cluster.output(dc), "certificate_reloaded") == static_cast<size_t>(round);
      })) << cluster.output(dc);
    }
  }
  load.stop();
  EXPECT_GT(load.done, 20);
  EXPECT_EQ(load.failed, 0);
  for (const auto& dc : cluster.dcs()) EXPECT_EQ(losses(cluster, dc), before[dc]) << dc;
  EXPECT_TRUE(cluster.wait_converged(cluster.applied("a"), 30));
}

TEST(TlsRotation, FilesThatAreNoGoodLeaveWhatWasThere) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  cluster.give("a", {cluster.ca().issue({{"spiffe://test/dc/a"}}).cert,
                     cluster.ca().issue({{"spiffe://test/dc/a"}}).key});
  cluster.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return has(cluster.output("a"), "certificate_not_reloaded"); }))
      << cluster.output("a");
  EXPECT_TRUE(has(cluster.output("a"), "does not fit the certificate"));
  const auto metrics = HttpClient(cluster.port("a")).request("GET", "/metrics").body;
  EXPECT_TRUE(has(metrics, "entente_certificate_reload_failures_total 1")) << metrics;
  std::this_thread::sleep_for(1500ms);  // it looks again, and has said it
  EXPECT_EQ(count(cluster.output("a"), "certificate_not_reloaded"), 1u);
  EXPECT_TRUE(flag(page(cluster.port("b"), "/v1/status"), "healthy"));
}

TEST(TlsRotation, ACaThatIsDroppedTakesItsLinksWithIt) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
  const TestCa next("next CA");
  std::ofstream(cluster.tls_folder("a") / "ca.crt") << next.pem();
  cluster.give("a", next.issue({{"spiffe://test/dc/a"}}));
  speak_tls(cluster.port("a"), (cluster.tls_folder("a") / "ca.crt").string());
  cluster.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] {
    return has(HttpClient(cluster.port("a")).request("GET", "/v1/links").body,
               "its certificate (spiffe://test/dc/b) was issued by CN=CA of test, which is not in "
               "the `ca` file here");
  })) << cluster.output("a");
  EXPECT_TRUE(comes_true([&] {
    return has(cluster.output("b"), "the peer refuses") || has(cluster.output("b"), "TLS with");
  })) << cluster.output("b");
  // With both CAs at both, and certificates of the next, they are together again.
  std::ofstream(cluster.tls_folder("b") / "ca.crt") << next.pem();
  cluster.give("b", next.issue({{"spiffe://test/dc/b"}}));
  speak_tls(cluster.port("b"), (cluster.tls_folder("b") / "ca.crt").string());
  cluster.process("b").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
}

// The order in which a CA is changed: nobody ever refuses anybody.
TEST(TlsRotation, ACaIsReplacedWithoutALostLink) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
  const double before = losses(cluster, "a");
  const TestCa next("next CA");
  size_t reloads = 0;
  const auto everywhere = [&](const auto& change) {
    ++reloads;
    for (const auto& dc : cluster.dcs()) {
      change(dc);
      cluster.process(dc).signal(SIGHUP);
      EXPECT_TRUE(comes_true([&] {
        return count(cluster.output(dc), "certificate_reloaded") == reloads;
      })) << cluster.output(dc);
    }
  };
  const auto trust = [&](const std::string& dc, const std::string& cas) {
    std::ofstream(cluster.tls_folder(dc) / "ca.new") << cas;
    std::filesystem::rename(cluster.tls_folder(dc) / "ca.new", cluster.tls_folder(dc) / "ca.crt");
    speak_tls(cluster.port(dc), (cluster.tls_folder(dc) / "ca.crt").string());
  };
  everywhere([&](const std::string& dc) { trust(dc, cluster.ca().pem() + next.pem()); });
  everywhere(
      [&](const std::string& dc) { cluster.give(dc, next.issue({{"spiffe://test/dc/" + dc}})); });
  // What was open has the old certificates still: it goes with the old CA, and comes back at once.
  everywhere([&](const std::string& dc) { trust(dc, next.pem()); });
  EXPECT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
  EXPECT_LE(losses(cluster, "a"), before + 2);
}

TEST(TlsRotation, AnExpiredCertificateEndsItsLink) {
  Cluster cluster(secure({"a", "b"}));
  cluster.give("b", cluster.ca().issue({{"spiffe://test/dc/b"}, "serverAuth,clientAuth", -60, 8}));
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_ready("a")) << cluster.output("a");
  ASSERT_TRUE(
      comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }, 6s));
  EXPECT_TRUE(comes_true([&] {
    return has(HttpClient(cluster.port("a")).request("GET", "/v1/links").body,
               "its certificate (spiffe://test/dc/b) has expired on");
  })) << cluster.output("a");
  cluster.give("b", cluster.ca().issue({{"spiffe://test/dc/b"}}));
  cluster.process("b").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }))
      << cluster.output("b");
}

// Known by its SHA-256, whoever vouches for it; and let in again once it is not listed any more.
TEST(TlsRotation, ADeniedCertificateEndsItsLink) {
  Cluster cluster(secure({"a", "b"}));
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) ASSERT_TRUE(cluster.wait_ready(dc)) << cluster.output(dc);
  ASSERT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
  const auto file = cluster.folder() / "a.yaml";
  const auto text = read_pem(file.string());
  const auto pem = read_pem((cluster.tls_folder("b") / "node.crt").string());
  ASSERT_TRUE(text && pem);
  std::string denying = *text;
  denying.replace(
      denying.find("security: {"), 11,
      "security: {denied: [" + parse_certificates(*pem, "b")->front().fingerprint() + "], ");
  std::ofstream(file) << denying;
  cluster.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] {
    return has(HttpClient(cluster.port("a")).request("GET", "/v1/links").body,
               "is listed under security.denied");
  })) << cluster.output("a");
  EXPECT_TRUE(comes_true([&] {
    const auto said = HttpClient(cluster.port("b")).request("GET", "/v1/links").body;
    return has(said, "security.denied");
  })) << cluster.output("b");
  std::ofstream(file) << *text;
  cluster.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return flag(page(cluster.port("a"), "/v1/status"), "healthy"); }));
}

TEST(Tls, HangupEndsNobody) {
  Cluster::Options options = secure({"a"});
  options.tls = false;
  Cluster cluster(options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_ready("a"));
  for (int i = 0; i < 3; ++i) cluster.process("a").signal(SIGHUP);
  EXPECT_TRUE(comes_true([&] { return has(cluster.output("a"), "reloading dc=a"); }));
  EXPECT_TRUE(cluster.process("a").running());
  EXPECT_EQ(cluster.stop("a"), 0);
}

}  // namespace
}  // namespace entente::testing
