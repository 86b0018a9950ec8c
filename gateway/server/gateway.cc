#include "gateway/server/gateway.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "gateway/async/wall_clock.h"
#include "gateway/membership/data_folder.h"
#include "gateway/membership/topology_epochs.h"
#include "gateway/membership/topology_news.h"
#include "gateway/peers/peers.h"
#include "gateway/server/client_server.h"
#include "gateway/server/schema_file.h"
#include "gateway/store/database_options.h"
#include "gateway/store/store.h"
#include "topology/graph.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJoinAgain =
    ": this database was restored or copied, and would write a second history under its old name; "
    "it "
    "can start when a neighbour is there to join again from";

// Asks the Store and waits: start() has nothing else to do.
Result<bool> has_tables(Store& store) {
  std::promise<Result<bool>> answer;
  const bool asked = store.read([&](Reader& reader) {
    answer.set_value(reader.tables().map([](const auto& tables) { return !tables.empty(); }));
  });
  if (!asked) return fail(Code::kBusy, "the database takes no reads");
  return answer.get_future().get();
}

Result<Committed> commit(Store& store, ClientTransaction work) {
  std::promise<Result<Committed>> answer;
  const bool asked = store.submit(std::move(work), true, [&](Result<Committed> outcome) {
    answer.set_value(std::move(outcome));
  });
  if (!asked) return fail(Code::kBusy, "the database takes no writes");
  return answer.get_future().get();
}

}  // namespace

struct Gateway::Impl {
  Impl(Config c, std::string name, fs::path folder_path, bool may_begin, OpenDatabase opener)
      : config(std::move(c)),
        dc(std::move(name)),
        data(std::move(folder_path)),
        first(may_begin || me().database_kind == "memory"),
        open(std::move(opener)) {}

  Result<void> start();
  Result<Origin> incarnation(bool new_database);
  Result<std::unique_ptr<Database>> open_database();
  Result<void> check_marker(const Database& database) const;
  Result<void> apply_schema();
  Result<void> watch_history();
  ClientServer::Options client_options();
  void fatal(Error error);
  void wants(Next wanted);
  TopologyNewsItem topology_news() const;
  Result<void> adopt(const TopologyEpoch& topology);

  bool durable() const { return me().database_kind != "memory"; }
  const Datacenter& me() const { return *config.find(dc); }
  fs::path database_path() const { return entente::database_path(me(), data); }

  const Config config;
  const std::string dc;
  const fs::path data;
  const bool first;
  const OpenDatabase open;

  std::string yaml;  // of the topology in force; "" if its epoch is 0
  std::optional<Graph> graph;
  std::optional<DataFolder> folder;
  std::unique_ptr<Store> store;
  std::unique_ptr<Peers> peers;
  std::unique_ptr<ClientServer> clients;
  std::unique_ptr<TopologyNews> news;
  std::mutex adopting;

  std::mutex stop_mutex;
  std::mutex mutex;  // guards what follows
  std::condition_variable ended;
  bool stopping = false;
  std::optional<Error> failure;
  std::optional<Next> next;
};

// The database is new if its file is not there: then it gets a new incarnation, whatever the marker
// says of an earlier one. Otherwise the marker must be there; that it is the right one is seen once
// the database is open. The marker comes first: a crash in between leaves it without a database.
Result<Origin> Gateway::Impl::incarnation(bool new_database) {
  if (new_database) {
    auto fresh = random_origin();
    if (fresh && durable()) {
      auto ok =
          folder->write_marker(*fresh).and_then([&] { return folder->set_catching_up(false); });
      if (!ok) return tl::unexpected(ok.error());
    }
    return fresh;
  }
  auto marker = folder->marker();
  if (!marker) return tl::unexpected(marker.error());
  if (!*marker) {
    return fail(Code::kFork, "the data folder " + data.string() +
                                 " has no incarnation marker for " + database_path().string() +
                                 kJoinAgain);
  }
  return **marker;
}

Result<std::unique_ptr<Database>> Gateway::Impl::open_database() {
  std::error_code ec;
  const bool new_database = !durable() || !fs::exists(database_path(), ec);
  if (new_database && !first) {
    return fail(Code::kNotFound, "there is no database " + database_path().string());
  }
  auto origin = incarnation(new_database);
  if (!origin) return tl::unexpected(origin.error());
  return open(me(), database_path(), database_options(config, dc, *origin, wall_ms()));
}

Result<void> Gateway::Impl::check_marker(const Database& database) const {
  if (!durable()) return {};
  const auto marker = folder->marker();
  if (!marker) return tl::unexpected(marker.error());
  const Origin self = database.state().self;
  if (*marker && **marker == self) return {};
  return fail(Code::kFork, database_path().string() + " is incarnation " + to_hex(self) +
                               ", the marker beside it says " +
                               (*marker ? to_hex(**marker) : std::string("nothing")) + kJoinAgain);
}

// Of a cluster that has a schema, however old this database is, the file would make another one. A
// database that has met nobody may have been begun by a start that came no further.
Result<void> Gateway::Impl::apply_schema() {
  if (config.schema_path.empty() || config.schema_leader != dc) return {};
  const DatabaseState& state = store->opened();
  if (state.epoch > 0 || !(first || state.streams.size() == 1)) return {};
  const auto present = has_tables(*store);
  if (!present) return tl::unexpected(present.error());
  if (*present) return {};
  auto statements = read_schema(config.schema_path);
  if (!statements) return tl::unexpected(statements.error());
  if (statements->empty()) return {};
  const auto done = commit(*store, run_statements(std::move(*statements)));
  if (!done) {
    return fail(done.error().code, "the schema " + config.schema_path + ": " + done.error().text);
  }
  spdlog::info("schema_applied dc={} file={}", dc, config.schema_path);
  return {};
}

Result<void> Gateway::Impl::start() {
  graph.emplace(config);
  auto opened = DataFolder::open(data);
  if (!opened) return tl::unexpected(opened.error());
  folder.emplace(std::move(*opened));
  const auto in_force = folder->topology();
  if (!in_force) return tl::unexpected(in_force.error());
  yaml = in_force->yaml;
  auto database = open_database();
  if (!database) return tl::unexpected(database.error());
  if (auto ok = check_marker(**database); !ok) return ok;

  store = std::make_unique<Store>(std::move(*database), config.limits,
                                  [this](Error error) { fatal(std::move(error)); });
  peers = std::make_unique<Peers>(config, *graph, dc, *store);
  clients = std::make_unique<ClientServer>(config, *graph, dc, *store, *peers, client_options());
  peers->on_request([this](Transport transport, std::string received) {
    clients->serve_gateway(std::move(transport), std::move(received));
  });
  if (auto noted = watch_history(); !noted) return noted;
  peers->on_rejoin([this](bool linked, const Rejoin& rejoin) {
    wants({Next::What::kRejoin, rejoin, linked});
  });
  return store->start()
      .and_then([&] { return apply_schema(); })
      .and_then([&] { return peers->start(); })
      .and_then([&] { return clients->start(); })
      .map([&] {
        if (durable()) {
          news = std::make_unique<TopologyNews>(
              config, dc, *peers, [this] { return topology_news(); },
              [this](const TopologyEpoch& topology) { return adopt(topology); });
        }
        spdlog::info("gateway_started dc={} clients={} peers={} incarnation={}", dc,
                     clients->port(), peers->port(), to_hex(store->opened().self));
      });
}

// Should this prove to be a restored database, what it writes from here on is not what others know
// under its name.
Result<void> Gateway::Impl::watch_history() {
  if (!durable()) return {};
  const Origin self = store->opened().self;
  peers->on_verified([this] {
    if (const auto done = folder->set_verified(); !done) {
      spdlog::warn("unverified_mark_stays dc={} reason=\"{}\"", dc, done.error().text);
    }
  });
  auto doubt = folder->unverified(self);
  if (!doubt) doubt = Unverified{store->opened().streams.at(self).seq, false};
  if (doubt->shipped) return {};
  peers->on_shipping(doubt->after, [this, self, after = doubt->after] {
    if (!folder->unverified(self)) return;  // verified since
    if (const auto done = folder->set_unverified(self, {after, true}); !done) {
      spdlog::warn("shipped_mark_not_kept dc={} reason=\"{}\"", dc, done.error().text);
    }
  });
  return folder->set_unverified(self, *doubt);
}

ClientServer::Options Gateway::Impl::client_options() {
  ClientServer::Options options;
  if (durable()) options.copies = data;
  options.rejoined = folder->rejoined();
  options.topology = [this] { return topology_news(); };
  if (durable()) {
    options.adopt_topology = [this](const TopologyEpoch& topology) { return adopt(topology); };
  }
  options.catching_up = durable() && folder->catching_up() && !graph->neighbours(dc).empty();
  options.caught_up = [this] {
    if (const auto done = folder->set_catching_up(false); !done) {
      spdlog::warn("catching_up_mark_stays dc={} reason=\"{}\"", dc, done.error().text);
    }
  };
  return options;
}

void Gateway::Impl::fatal(Error error) {
  spdlog::error("gateway_failed dc={} reason=\"{}\"", dc, error.text);
  const std::lock_guard lock(mutex);
  if (!failure) failure = std::move(error);
  ended.notify_all();
}

// Another topology first: under it everything else may be otherwise.
void Gateway::Impl::wants(Next wanted) {
  const std::lock_guard lock(mutex);
  if (!next || next->what != Next::What::kTopology) next = std::move(wanted);
  ended.notify_all();
}

TopologyNewsItem Gateway::Impl::topology_news() const {
  return {config.epoch, topology_fingerprint(config), yaml, store->opened().self,
          std::nullopt, config.schema_leader};
}

// From any thread. What is durable holds from the next life on.
Result<void> Gateway::Impl::adopt(const TopologyEpoch& topology) {
  const std::lock_guard lock(adopting);
  const auto latest = folder->topology();
  if (!latest) return tl::unexpected(latest.error());
  const auto next_config = read_successor(config, topology);
  if (!next_config) return tl::unexpected(next_config.error());
  if (latest->epoch > config.epoch) {
    return fail(Code::kRefused, "it is going over to another topology already", "topology_moved");
  }
  if (next_config->find(dc) == nullptr && !topology.sealed) {
    return fail(Code::kRefused,
                dc + " cannot remove itself: ask the gateway of a datacenter that stays",
                "topology_refused");
  }
  if (latest->epoch == topology.epoch && topology.epoch > 0 && latest->yaml != topology.yaml) {
    const auto kept = folder->keep_superseded(*latest);
    if (!kept) return tl::unexpected(kept.error());
    spdlog::warn(
        "topology_superseded dc={} epoch={} kept={} reason=\"another one was applied at once\"", dc,
        topology.epoch, kept->string());
  }
  if (auto done = folder->set_topology(topology); !done) return done;
  spdlog::info("topology_changes dc={} epoch={}", dc, topology.epoch);
  wants({Next::What::kTopology});
  return {};
}

Gateway::Gateway(Config config, std::string dc, fs::path data, bool first, OpenDatabase open)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(dc), std::move(data), first,
                                   std::move(open))) {}

Gateway::~Gateway() { stop(); }

Result<void> Gateway::start() {
  auto started = impl_->start();
  if (!started) stop();
  return started;
}

Result<Gateway::Next> Gateway::wait() {
  std::unique_lock lock(impl_->mutex);
  impl_->ended.wait(lock, [&] { return impl_->stopping || impl_->failure || impl_->next; });
  if (impl_->failure) return tl::unexpected(*impl_->failure);
  if (impl_->stopping) return Next{};
  return *std::exchange(impl_->next, std::nullopt);
}

bool Gateway::stopping() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stopping;
}

void Gateway::not_replaced(std::string reason) {
  if (impl_->clients) impl_->clients->not_replaced(std::move(reason));
}

void Gateway::reload_tokens() {
  if (const auto done = impl_->clients->reload_tokens(); !done) {
    spdlog::error("token_files_not_taken reason=\"{}\"", done.error().text);
  }
}

Origin Gateway::incarnation() const { return impl_->store->opened().self; }

void Gateway::stop() {
  auto& g = *impl_;
  {
    const std::lock_guard lock(g.mutex);
    g.stopping = true;
    g.ended.notify_all();
  }
  const std::lock_guard one_at_a_time(g.stop_mutex);
  g.news.reset();  // it asks the others
  if (g.clients) g.clients->stop();
  if (g.peers) g.peers->stop();
  if (g.store) g.store->stop();
  g.clients.reset();
  g.peers.reset();
  g.store.reset();
  g.folder.reset();
}

uint16_t Gateway::client_port() const { return impl_->clients ? impl_->clients->port() : 0; }
uint16_t Gateway::peer_port() const { return impl_->peers ? impl_->peers->port() : 0; }

}  // namespace entente
