#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conflict/version_vector.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/tcp_proxy.h"

namespace entente::testing {

// Real gateways, one process per datacenter, in a temporary folder, on ports of the system's
// choosing. The binary is the one this build made.
class Cluster {
 public:
  struct Options {
    std::vector<std::string> dcs;
    std::string topology;  // YAML under `topology:`, in flow style: `{kind: all-to-all}`
    std::string schema;    // SQL
    std::string extra;     // more top-level YAML
    std::map<std::string, std::string> datacenters = {};  // more keys of theirs: `priority: 3`
    // With TLS everywhere; ENTENTE_TEST_TLS=1 in the environment: all are.
    bool tls = false;
  };

  explicit Cluster(Options options);

  // The link between these two goes through a proxy. Before start().
  TcpProxy& proxy(const std::string& a, const std::string& b);

  // This gateway's wall clock is so far from the machine's; the first time before start().
  void shift_clock(const std::string& dc, std::chrono::milliseconds by);

  // The files of those that are started from now on end with this.
  void set_extra(std::string yaml) { options_.extra = std::move(yaml); }

  void start(const std::string& dc, bool first);  // --first: with an empty database if need be
  // … if it was never started before.
  void start(const std::string& dc) { start(dc, !processes_.contains(dc)); }
  void start_all();
  void kill(const std::string& dc);  // kill -9
  int stop(const std::string& dc);   // SIGTERM; the exit code
  bool wait_ready(const std::string& dc, int seconds = 20);
  // Waits until every gateway has applied the same, and none of them anything less than `at_least`.
  bool wait_converged(const VersionVector& at_least, int seconds);
  // Waits until all of these are under this epoch, linked with all their neighbours. (Whoever goes
  // over begins his counters anew.)
  bool wait_epoch(int epoch, const std::vector<std::string>& dcs);
  VersionVector applied(const std::string& dc);

  // With TLS: who vouches for the gateways, and where one has its node.crt, node.key and ca.crt.
  const TestCa& ca() const { return *ca_; }
  std::filesystem::path tls_folder(const std::string& dc) const;
  // Puts a certificate and its key where a gateway has its own: it takes them, or says why not.
  void give(const std::string& dc, const Issued& issued) const;
  int peer_port(const std::string& dc) const { return peer_ports_.at(dc); }

  int port(const std::string& dc) const { return client_ports_.at(dc); }
  const std::vector<std::string>& dcs() const { return options_.dcs; }
  Process& process(const std::string& dc) { return *processes_.at(dc); }
  // What the gateway printed.
  std::string output(const std::string& dc) const;
  std::filesystem::path folder() const { return folder_.path(); }
  static std::string binary();

 private:
  std::filesystem::path write_config(const std::string& dc);
  std::filesystem::path clock_file(const std::string& dc) const;

  std::string security(const std::string& dc) const;

  Options options_;
  TemporaryFolder folder_;
  std::unique_ptr<TestCa> ca_;
  std::map<std::string, int> client_ports_, peer_ports_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<TcpProxy>> proxies_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

// Runs one SQL statement by Hrana; the body of the answer.
std::string sql(int port, const std::string& statement);

}  // namespace entente::testing
