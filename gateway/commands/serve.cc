#include "gateway/commands/serve.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <ostream>
#include <stop_token>
#include <thread>

#include "adapters/memory/memory_database.h"
#include "adapters/sqlite/file_copy.h"
#include "adapters/sqlite/snapshot.h"
#include "adapters/sqlite/sqlite_database.h"
#include "gateway/commands/log_format.h"
#include "gateway/commands/output.h"
#include "gateway/commands/rules_check.h"
#include "gateway/commands/topology_file.h"
#include "gateway/lifecycle/donors.h"
#include "gateway/lifecycle/joining.h"
#include "gateway/lifecycle/new_life.h"
#include "gateway/lifecycle/unshipped.h"
#include "gateway/lifecycle/waiting_room.h"
#include "gateway/membership/data_folder.h"
#include "gateway/membership/topology_epochs.h"
#include "gateway/membership/topology_news.h"
#include "gateway/server/gateway.h"
#include "gateway/store/database_options.h"
#include "gateway/transport/gateway_tls.h"
#include "topology/scalars.h"

namespace entente {
namespace {

// Waits for SIGINT or SIGTERM on a thread of its own, and then stops the gateway once. With SIGHUP
// nothing ends: `reload` is called.
//
// Construct it before the gateway starts its threads: they inherit that these signals are blocked.
class Signals {
 public:
  explicit Signals(std::function<void()> reload) : reload_(std::move(reload)) {
    sigemptyset(&ends_);
    sigaddset(&ends_, SIGINT);
    sigaddset(&ends_, SIGTERM);
    set_ = ends_;
    sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }

  // Whether one came before watch(), or does now.
  bool pending() {
    constexpr timespec kNow{0, 0};
    while (!came_) {
      const int number = sigtimedwait(&set_, nullptr, &kNow);
      if (number <= 0) break;
      take(number);
    }
    return came_;
  }

  void watch(Gateway& gateway) {
    watcher_ = std::jthread([this, &gateway](std::stop_token done) {
      reloads_tokens_ = [&gateway] { gateway.reload_tokens(); };
      const bool came = received(done);
      reloads_tokens_ = {};
      if (!came) return;
      pthread_sigmask(SIG_UNBLOCK, &ends_, nullptr);  // a second one does what it does by default
      gateway.stop();
    });
  }

  // After this nobody stops the gateway any more.
  void finish() {
    watcher_.request_stop();
    watcher_.join();
  }

 private:
  void take(int number) {
    if (number != SIGHUP) {
      came_ = true;
      return;
    }
    reload_();
    if (reloads_tokens_) reloads_tokens_();
  }

  bool received(const std::stop_token& done) {
    constexpr timespec kPause{0, 100'000'000};
    while (!done.stop_requested() && !came_) {
      const int number = sigtimedwait(&set_, nullptr, &kPause);
      if (number > 0) take(number);
    }
    return came_;
  }

  const std::function<void()> reload_;
  std::function<void()> reloads_tokens_;  // of the gateway that runs
  sigset_t ends_, set_;
  bool came_ = false;
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
  const Endpoint clients{dc.clients.host, gateway.client_port(), dc.clients.tls};
  const Endpoint peers{dc.peers.host, gateway.peer_port(), dc.peers.tls};
  return "entente: " + dc.name + " ready, clients " + url_of("http", clients) + ", peers " +
         url_of("ws", peers);
}

// Replaces a database that cannot go on by a copy of a neighbour's, from one life of the gateway to
// the next.
class Replacing {
 public:
  Replacing(const Config& config, const Datacenter& dc, const std::filesystem::path& data)
      : config_(config), dc_(dc), data_(data) {}

  // While the gateway runs. `linked`: it may be it that neighbours are linked with under this name.
  // Not more often than makes sense. `life`: the incarnation of its database.
  Result<void> fetch(const Rejoin& wanted, const Origin& life, bool linked,
                     const std::function<bool()>& stopped) {
    const auto now = Clock::now();
    if (now < not_before_) return fail(Code::kBusy, "the last attempt was just now");
    not_before_ = now + pause_;
    pause_ = std::min(2 * pause_, kLongestPause);
    auto names = wanted.from.empty() ? neighbours_with_files(config_, dc_) : wanted.from;
    return fetch_from(find_donors(config_, dc_, names), wanted, life, linked, stopped);
  }

  // Instead of the gateway, which cannot start: until it can, which is true, or `stopped`: false.
  // Whoever asks meanwhile is told why.
  Result<bool> before_start(const std::string& reason, const std::function<bool()>& stopped) {
    const auto names = neighbours_with_files(config_, dc_);
    if (names.empty()) {
      return fail(Code::kFork,
                  reason +
                      ", and it has none. Make a new life of its database: entente snapshot, move "
                      "the file away, entente restore --alone");
    }
    WaitingRoom room(config_, dc_);
    if (auto opened = room.open(); !opened) return tl::unexpected(opened.error());
    Retry retry;
    do {
      const Donors donors = find_donors(config_, dc_, names);
      if (donors.later) return keep_topology(data_, *donors.later).map([] { return true; });
      const auto done =
          fetch_from(donors, {reason, names, true}, life_before(), false, stopped).and_then([&] {
            return replace();
          });
      if (done) return true;
      room.say(reason + ". It waits for a copy from " + listed(names) + ": " + done.error().text);
    } while (retry.pause(stopped));
    return false;
  }

  // REQUIRES: a copy was fetched, and the gateway does not run.
  Result<void> replace() {
    const auto done = replace_by_copy(config_, dc_, data_, part_, why_, from_, restored_);
    if (!done) {
      spdlog::warn("not_rejoined dc={} from={} reason=\"{}\"", dc_.name, from_, done.error().text);
      return tl::unexpected(done.error());
    }
    pause_ = kShortestPause;
    from_.clear();
    spdlog::info("rejoined dc={} brought_over={} reissued={} story=\"{}\"", dc_.name,
                 done->replayed.changes, done->replayed.reissued, done->story);
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kShortestPause{1}, kLongestPause{60};

  // Whose copy did not fit last time is asked last.
  Result<void> fetch_from(Donors donors, const Rejoin& wanted, const Origin& life, bool linked,
                          const std::function<bool()>& stopped) {
    if (wanted.reason != why_) {
      spdlog::warn("rejoining dc={} reason=\"{}\"", dc_.name, wanted.reason);
    }
    why_ = wanted.reason;
    restored_ = wanted.restored;
    sort_donors(donors.found, life, from_);
    return needs_sqlite(dc_)
        .and_then([&] { return fetch_copy(config_, dc_, donors.found, linked, part_, stopped); })
        .map([&](std::string from) { from_ = std::move(from); })
        .map_error([&](Error error) {
          if (!donors.silent.empty()) {
            error.text += (error.text.empty() ? "" : "; ") + donors.silent;
          }
          spdlog::warn("not_rejoined dc={} reason=\"{}\"", dc_.name, error.text);
          return error;
        });
  }

  // Of the database that is there; zeros if it does not say.
  Origin life_before() const {
    const auto info = describe_snapshot(database_path(dc_, data_));
    return info ? info->incarnation : Origin{};
  }

  const Config& config_;
  const Datacenter& dc_;
  const std::filesystem::path& data_;
  const std::filesystem::path part_ = database_path(dc_, data_).string() + ".joining";
  std::string why_, from_;
  bool restored_ = false;
  std::chrono::seconds pause_ = kShortestPause;
  Clock::time_point not_before_{};
};

// Until it stops, which is false, or another life has to follow: true.
Result<bool> live(const Config& config, const Datacenter& dc, const std::filesystem::path& data,
                  bool first, Replacing& rejoin, Signals& signals, std::ostream& out) {
  Gateway gateway(config, dc.name, data, first, open_database);
  if (const auto started = gateway.start(); !started) {
    if (started.error().code != Code::kFork) return tl::unexpected(started.error());
    return rejoin.before_start(started.error().text, [&] { return signals.pending(); });
  }
  out << ready_line(dc, gateway) << std::endl;
  signals.watch(gateway);
  using What = Gateway::Next::What;
  auto next = gateway.wait();
  const auto needs_a_copy = [](const Gateway::Next& n) { return n.what == What::kRejoin; };
  const auto stopped = [&] { return gateway.stopping(); };
  while (next && needs_a_copy(*next)) {
    const auto fetched = rejoin.fetch(next->rejoin, gateway.incarnation(), next->linked, stopped);
    if (fetched) break;
    if (fetched.error().code != Code::kBusy) gateway.not_replaced(fetched.error().text);
    next = gateway.wait();
  }
  const bool goes_on = next && next->what != What::kStopped && !gateway.stopping();
  signals.finish();
  gateway.stop();
  if (!next) return tl::unexpected(next.error());
  if (goes_on && needs_a_copy(*next)) (void)rejoin.replace();  // or it goes on as it was
  return goes_on;
}

// The cluster goes on without this datacenter.
Error removed(const Config& file, const Config& cluster, const Datacenter& dc,
              const std::filesystem::path& data) {
  Error error{Code::kRefused,
              dc.name + " was removed from the cluster " + file.cluster + " by epoch " +
                  std::to_string(cluster.epoch) + " of its topology; its data is kept",
              "removed"};
  const auto topology = DataFolder::topology_in(data);
  const auto unshipped =
      export_unshipped(file, cluster, dc, data,
                       topology ? topology->sealed.value_or(VersionVector()) : VersionVector());
  if (!unshipped) {
    error.text += ", and what only it has could not be exported: " + unshipped.error().text;
  } else if (unshipped->lines > 0) {
    error.text += ". What only it has is in " + unshipped->file.string() + ", " +
                  std::to_string(unshipped->lines) + " lines. Run `entente topology submit " +
                  unshipped->file.string() + " URL` with the URL of a gateway that stays";
    if (!unshipped->silent.empty()) {
      error.text += ". Some of it may be at " + listed(unshipped->silent) +
                    ", which did not answer: start this gateway again once it does, and the file "
                    "is written anew";
    }
  }
  spdlog::warn("removed dc={} epoch={} unshipped={}", dc.name, cluster.epoch,
               unshipped ? unshipped->lines : 0);
  return error;
}

// Of two topologies that were applied at once the one that holds has it, or it was taken in again:
// what it had is kept beside, and it begins anew.
bool taken_back(const Config& config, const Datacenter& dc, const std::filesystem::path& data) {
  const TopologyNewsItem mine{config.epoch, topology_fingerprint(config), "", {}};
  for (const auto& other : config.datacenters) {
    const auto said = exchange_topology_news(config, dc.name, other, mine);
    if (!said || !comes_after(said->epoch, said->fingerprint, mine.epoch, mine.fingerprint)) {
      continue;
    }
    const auto next = read_successor(config, epoch_of(*said, config));
    if (!next || next->find(dc.name) == nullptr) continue;
    const auto folder = DataFolder::open(data);
    if (!folder || !folder->set_topology(epoch_of(*said, config))) return false;
    const auto path = database_path(dc, data),
               kept = std::filesystem::path(path.string() + ".removed");
    std::error_code ec;
    sqlite::remove_database(kept);
    std::filesystem::rename(path, kept, ec);
    spdlog::warn("taken_back dc={} epoch={} kept={}", dc.name, said->epoch, kept.string());
    return true;
  }
  return false;
}

// One life after the other, each under the topology that is in force then.
int run(const Config& file, const Datacenter& dc, const std::filesystem::path& data, bool first,
        Signals& signals, std::ostream& out, std::ostream& err) {
  const auto stopped = [&] { return signals.pending(); };
  for (;;) {
    const auto in_force = DataFolder::topology_in(data);
    const auto config = config_in_force(file, data);
    if (!config) return failed(config.error(), err);
    const Datacenter* me = config->find(dc.name);
    if (me == nullptr) {
      const Error ended = removed(file, *config, dc, data);
      if (!taken_back(*config, dc, data)) return failed(ended, err);
      continue;
    }
    const auto joined = join(*config, *me, data, first, stopped);
    if (!joined) return failed(joined.error(), err);
    if (*joined == Beginning::kStopped) return kFine;
    if (*joined == Beginning::kTopology) continue;
    Replacing rejoin(*config, *me, data);
    for (bool same = true; same;) {
      const auto again = live(*config, *me, data, first, rejoin, signals, out);
      if (!again) return failed(again.error(), err);
      if (!*again || signals.pending()) return kFine;
      first = false;
      // Two that were applied at once are one epoch: only the text tells them apart.
      const auto now = DataFolder::topology_in(data);
      same = now && in_force && now->epoch == in_force->epoch && now->yaml == in_force->yaml;
    }
  }
}

}  // namespace

namespace {

// What of the topology file may change while the gateway runs, and what it names.
void reload(const Config& config, const std::filesystem::path& path, const std::string& dc) {
  const auto file = read_topology_file(path);
  if (!file.loaded.config) {
    spdlog::error("not_reloaded dc={} file={} reason=\"it has problems: entente check shows them\"",
                  dc, path.string());
    return;
  }
  spdlog::info("reloading dc={} file={}", dc, path.string());
  if (config.tls.live) config.tls.live->look(file.loaded.config->tls.denied);
}

}  // namespace

std::filesystem::path data_folder(const ServeOptions& options) {
  return options.data.empty() ? std::filesystem::path("data") / options.dc : options.data;
}

int serve(const ServeOptions& options, std::ostream& out, std::ostream& err) {
  spdlog::set_formatter(log_format());
  auto file = read_topology_file(options.config);
  load_handlers(file);
  const Datacenter* dc = find_datacenter(file, options.dc, err);
  if (dc == nullptr) return kUsage;
  Config& config = *file.loaded.config;
  const auto found = check_rules(
      file, config.schema_leader == dc->name ? SchemaFile::kNeeded : SchemaFile::kIfPresent);
  err << render_warnings(file, found.warnings);
  if (!found.problems.empty()) {
    err << render_problems(file, found.problems);
    return kUsage;
  }
  if (config.tls.given()) {
    auto tls = GatewayTls::open(config.tls, {config.cluster, dc->name});
    if (!tls) {
      err << "entente: " << printable(tls.error().text) << "\n";
      return kUsage;
    }
    config.tls.live = std::move(*tls);
  }
  Signals signals([&] { reload(config, options.config, dc->name); });
  if (config.tls.live) config.tls.live->watch();
  return run(config, *dc, data_folder(options), options.first, signals, out, err);
}

}  // namespace entente
