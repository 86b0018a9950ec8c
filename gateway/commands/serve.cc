#include "gateway/commands/serve.h"

#include <pthread.h>

#include <csignal>
#include <ctime>
#include <ostream>
#include <stop_token>
#include <thread>

#include "adapters/memory/memory_database.h"
#include "adapters/sqlite/sqlite_database.h"
#include "gateway/commands/joining.h"
#include "gateway/commands/output.h"
#include "gateway/commands/rules_check.h"
#include "gateway/commands/topology_file.h"
#include "gateway/server/gateway.h"
#include "topology/scalars.h"

namespace entente {
namespace {

// Waits for SIGINT or SIGTERM on a thread of its own, and then stops the gateway once.
//
// Construct it before the gateway starts its threads: they inherit that these signals are blocked.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }

  // Whether one came before watch().
  bool pending() const {
    constexpr timespec kNow{0, 0};
    return sigtimedwait(&set_, nullptr, &kNow) > 0;
  }

  void watch(Gateway& gateway) {
    watcher_ = std::jthread([this, &gateway](std::stop_token done) {
      if (!received(done)) return;
      pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);  // a second one does what it does by default
      gateway.stop();
    });
  }

  // After this nobody stops the gateway any more.
  void finish() {
    watcher_.request_stop();
    watcher_.join();
  }

 private:
  bool received(const std::stop_token& done) const {
    constexpr timespec kPause{0, 100'000'000};
    while (!done.stop_requested()) {
      if (sigtimedwait(&set_, nullptr, &kPause) > 0) return true;
    }
    return false;
  }

  sigset_t set_;
  std::jthread watcher_;
};

Result<std::unique_ptr<Database>> open_database(const Datacenter& datacenter,
                                                const std::filesystem::path& path,
                                                const DatabaseOptions& options) {
  if (datacenter.database_kind == "memory") return open_memory(make_memory_disk(), options);
  return open_sqlite(path, options);
}

int failed(const Error& error, std::ostream& err) {
  err << "entente: " << printable(error.text) << std::endl;
  return kDegraded;
}

std::string ready_line(const Datacenter& dc, const Gateway& gateway) {
  const Endpoint clients{dc.clients.host, gateway.client_port(), false};
  const Endpoint peers{dc.peers.host, gateway.peer_port(), false};
  return "entente: " + dc.name + " ready, clients http://" + format_endpoint(clients) +
         ", peers ws://" + format_endpoint(peers);
}

int run(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
        std::ostream& out, std::ostream& err) {
  Signals signals;
  if (const auto joined = join(config, dc, data, [&] { return signals.pending(); }); !joined) {
    return failed(joined.error(), err);
  }
  Gateway gateway(config, dc.name, data, open_database);
  if (const auto started = gateway.start(); !started) return failed(started.error(), err);
  out << ready_line(dc, gateway) << std::endl;
  signals.watch(gateway);
  const auto ended = gateway.wait();
  signals.finish();
  if (ended) return kFine;
  gateway.stop();
  return failed(ended.error(), err);
}

}  // namespace

std::filesystem::path data_folder(const ServeOptions& options) {
  return options.data.empty() ? std::filesystem::path("data") / options.dc : options.data;
}

int serve(const ServeOptions& options, std::ostream& out, std::ostream& err) {
  auto file = read_topology_file(options.config);
  load_handlers(file);
  const Datacenter* dc = find_datacenter(file, options.dc, err);
  if (dc == nullptr) return kUsage;
  const Config& config = *file.loaded.config;
  const auto found = check_rules(
      file, config.schema_leader == dc->name ? SchemaFile::kNeeded : SchemaFile::kIfPresent);
  err << render_warnings(file, found.warnings);
  if (!found.problems.empty()) {
    err << render_problems(file, found.problems);
    return kUsage;
  }
  return run(config, *dc, data_folder(options), out, err);
}

}  // namespace entente
