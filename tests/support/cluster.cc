#include "tests/support/cluster.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "conflict/context.h"
#include "tests/support/connection.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPoll = 20ms;
constexpr int64_t kMonth = 30 * 24 * 3600;

// The two ends of a link in a fixed order: the one that opens the connection first.
std::pair<std::string, std::string> ends(std::string a, std::string b) {
  if (b < a) std::swap(a, b);
  return {a, b};
}

}  // namespace

std::string Cluster::binary() {
  const char* named = std::getenv("ENTENTE_BINARY");
  return named != nullptr ? named : ENTENTE_BINARY_DEFAULT;
}

Cluster::Cluster(Options options) : options_(std::move(options)) {
  for (const auto& dc : options_.dcs) {
    client_ports_[dc] = free_port();
    peer_ports_[dc] = free_port();
  }
  std::ofstream(folder_.path() / "schema.sql") << options_.schema;
  const char* const everywhere = std::getenv("ENTENTE_TEST_TLS");
  options_.tls = options_.tls || (everywhere != nullptr && *everywhere == '1');
  if (!options_.tls) return;
  ca_ = std::make_unique<TestCa>("CA of test");
  for (const auto& dc : options_.dcs) {
    std::filesystem::create_directories(tls_folder(dc));
    std::ofstream(tls_folder(dc) / "ca.crt") << ca_->pem();
    // Good for every clock that a test shifts.
    give(dc,
         ca_->issue({{"spiffe://test/dc/" + dc}, "serverAuth,clientAuth", -kMonth, 3 * kMonth}));
    speak_tls(port(dc), tls_folder(dc) / "ca.crt");
  }
}

std::filesystem::path Cluster::tls_folder(const std::string& dc) const {
  return folder_.path() / (dc + "-tls");
}

void Cluster::give(const std::string& dc, const Issued& issued) const {
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(tls_folder(dc) / (name + ".new")) << text;
    std::filesystem::rename(tls_folder(dc) / (name + ".new"), tls_folder(dc) / name);
  };
  put("node.key", issued.key);
  put("node.crt", issued.cert);
}

std::string Cluster::security(const std::string& dc) const {
  if (!options_.tls) return options_.security;
  const std::string at = tls_folder(dc).string();
  return "{tls: {cert: " + at + "/node.crt, key: " + at + "/node.key, ca: " + at + "/ca.crt}}";
}

TcpProxy& Cluster::proxy(const std::string& a, const std::string& b) {
  auto& proxy = proxies_[ends(a, b)];
  if (!proxy) proxy = std::make_unique<TcpProxy>(peer_ports_.at(ends(a, b).second));
  return *proxy;
}

// Every gateway has the same file but for the address of a neighbour behind a proxy.
std::filesystem::path Cluster::write_config(const std::string& dc) {
  const auto path = folder_.path() / (dc + ".yaml");
  std::ofstream out(path);
  out << "cluster: test\ntopology: " << options_.topology << "\ndatacenters:\n";
  for (const auto& other : options_.dcs) {
    const auto proxied = proxies_.find(ends(dc, other));
    const bool through = proxied != proxies_.end() && proxied->first.first == dc && other != dc;
    const int peers = through ? proxied->second->port() : peer_ports_.at(other);
    out << "  " << other << ": {peers: \"" << (options_.tls ? "wss" : "ws")
        << "://127.0.0.1:" << peers << "\", clients: \"127.0.0.1:" << client_ports_.at(other)
        << "\"";
    const auto more = options_.datacenters.find(other);
    out << (more == options_.datacenters.end() ? "" : ", " + more->second) << "}\n";
  }
  out << "security: " << security(dc) << "\nschema: schema.sql\n" << options_.extra;
  return path;
}

std::filesystem::path Cluster::clock_file(const std::string& dc) const {
  return folder_.path() / (dc + ".clock");
}

// In place: the gateway looks at the same bytes.
void Cluster::shift_clock(const std::string& dc, std::chrono::milliseconds by) {
  if (!std::filesystem::exists(clock_file(dc))) std::ofstream(clock_file(dc)) << std::string(8, 0);
  const int64_t ms = by.count();
  std::fstream(clock_file(dc), std::ios::in | std::ios::out | std::ios::binary)
      .write(reinterpret_cast<const char*>(&ms), sizeof ms);
}

void Cluster::start(const std::string& dc, bool first) {
  const auto config = write_config(dc);
  std::vector<std::string> command;
  if (std::filesystem::exists(clock_file(dc))) {
    command = {"/usr/bin/env", "LD_PRELOAD=" ENTENTE_SHIFTED_CLOCK,
               "SHIFTED_CLOCK=" + clock_file(dc).string()};
  }
  for (const auto& word :
       {binary(), std::string("serve"), std::string("--config"), config.string(),
        std::string("--dc"), dc, std::string("--data"), (folder_.path() / dc).string()}) {
    command.push_back(word);
  }
  if (first) command.emplace_back("--first");
  processes_[dc] = std::make_unique<Process>(std::move(command), folder_.path() / (dc + ".log"));
}

void Cluster::start_all() {
  for (const auto& dc : options_.dcs) start(dc);
}

void Cluster::kill(const std::string& dc) {
  processes_.at(dc)->signal(SIGKILL);
  processes_.at(dc)->wait();
}

int Cluster::stop(const std::string& dc) {
  processes_.at(dc)->signal(SIGTERM);
  return processes_.at(dc)->wait();
}

bool Cluster::wait_ready(const std::string& dc, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < deadline && process(dc).running()) {
    HttpClient client(port(dc));
    if (client.request("GET", "/readyz").status == 200) return true;
    std::this_thread::sleep_for(kPoll);
  }
  return false;
}

VersionVector Cluster::applied(const std::string& dc) {
  HttpClient client(port(dc));
  const auto response = client.request("GET", "/livez");
  const auto token = response.headers.find("entente-session");
  if (token == response.headers.end()) return {};
  return parse_session_token(token->second).value_or(VersionVector{});
}

bool Cluster::wait_epoch(int epoch, const std::vector<std::string>& dcs) {
  const auto there = [&](const std::string& dc) {
    HttpClient client(port(dc));
    return has(client.request("GET", "/v1/topology").body,
               "\"epoch\":" + std::to_string(epoch) + ",") &&
           has(client.request("GET", "/v1/status").body, "\"healthy\":true");
  };
  return comes_true([&] { return std::all_of(dcs.begin(), dcs.end(), there); }, 30s);
}

bool Cluster::wait_converged(const VersionVector& at_least, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < deadline) {
    const VersionVector first = applied(options_.dcs.front());
    bool same = first.covers(at_least) && !first.empty();
    for (const auto& dc : options_.dcs) same = same && applied(dc) == first;
    if (same) return true;
    std::this_thread::sleep_for(kPoll);
  }
  return false;
}

std::string Cluster::output(const std::string& dc) const {
  std::stringstream text;
  text << std::ifstream(folder_.path() / (dc + ".log")).rdbuf();
  return text.str();
}

std::string sql(int port, const std::string& statement) {
  HttpClient client(port);
  std::string text;
  for (const char c : statement) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return client
      .request("POST", "/v2/pipeline",
               R"({"baton":null,"requests":[{"type":"execute","stmt":{"sql":")" + text +
                   R"(","want_rows":true}},{"type":"close"}]})",
               "Content-Type: application/json\r\n")
      .body;
}

}  // namespace entente::testing
