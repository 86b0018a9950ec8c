#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "adapters/memory/memory_database.h"
#include "adapters/sqlite/sqlite_database.h"
#include "gateway/async/wall_clock.h"
#include "gateway/peers/peers.h"
#include "gateway/store/store.h"
#include "tests/support/expect.h"
#include "tests/support/process.h"

namespace entente::testing {

// A cluster of these datacenters on free ports of 127.0.0.1, all-to-all unless changed.
inline Config loopback_config(const std::vector<std::string>& names) {
  Config config;
  config.cluster = "shop";
  config.insecure = true;
  config.schema_leader = names.front();
  config.limits.heartbeat = std::chrono::milliseconds(50);
  config.limits.link_timeout = std::chrono::milliseconds(1'000);
  config.limits.reconnect_max = std::chrono::milliseconds(100);
  config.topology.order = names;
  for (const auto& name : names) {
    Datacenter dc;
    dc.name = name;
    dc.peers = {"127.0.0.1", static_cast<uint16_t>(free_port()), false};
    dc.clients = {"127.0.0.1", 0, false};
    dc.database_kind = "memory";
    config.datacenters.push_back(dc);
  }
  return config;
}

// The Store and the Peers of one datacenter in this process, over a database that survives stop():
// SQLite in `folder`, or memory if there is none. The schema leader makes the table `items` (id,
// note) when it first starts.
class Site {
 public:
  Site(Config config, std::string dc, std::filesystem::path folder = {})
      : config_(std::move(config)),
        graph_(config_),
        dc_(std::move(dc)),
        folder_(std::move(folder)) {}
  ~Site() { stop(); }

  // As a process would: same disk, same port.
  Result<void> start() {
    static std::atomic<uint8_t> births{0};
    DatabaseOptions options;
    options.dc = dc_;
    options.fresh_origin.id.fill(++births);
    options.rules = config_.rules;
    options.schema_leader = config_.schema_leader == dc_;
    options.schema_leader_name = config_.schema_leader;
    options.wall_ms = wall_ms();  // or its first change is older than any log keeps
    auto database = open(options);
    if (!database) return tl::unexpected(database.error());
    store_ = std::make_unique<Store>(std::move(*database), config_.limits, [](Error) {});
    peers_ = std::make_unique<Peers>(config_, graph_, dc_, *store_);
    auto started = store_->start().and_then([&] { return peers_->start(); });
    if (started && options.schema_leader && store_->opened().epoch == 0) make_table();
    return started;
  }

  void stop() {
    if (!store_) return;
    peers_->stop();
    store_->stop();
    peers_.reset();
    store_.reset();
  }

  // Writes a row and waits for the reply.
  Committed put(int64_t id, const std::string& note) {
    RowRequest request;
    request.table = "items";
    request.key = {id};
    request.columns = {{"note", note}};
    return commit([request](WriteSession& session) -> Result<void> {
      if (auto done = session.write(request); !done) return tl::unexpected(done.error());
      return {};
    });
  }

  // Until everything under `target` is applied here; false after `patience`.
  bool reaches(const VersionVector& target,
               std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    std::promise<bool> reached;
    store_->when_applied(target, Store::Clock::now() + patience,
                         [&](bool yes) { reached.set_value(yes); });
    return reached.get_future().get();
  }

  std::string note(int64_t id) {
    std::promise<std::string> answer;
    store_->read([&](Reader& reader) {
      const Value key[] = {id};
      const auto row = reader.row("items", key, false);
      const bool there = row && row->row;
      answer.set_value(there ? std::get<std::string>(row->row->at("note")) : std::string());
    });
    return answer.get_future().get();
  }

  PeersView view() {
    std::promise<PeersView> answer;
    peers_->view([&](PeersView v) { answer.set_value(std::move(v)); });
    return answer.get_future().get();
  }

  LinkView link(const std::string& peer) {
    for (auto& l : view().links) {
      if (l.peer == peer) return l;
    }
    return {};
  }

  // Looks at the link until the condition holds; false after `patience`.
  template <class Condition>
  bool link_becomes(const std::string& peer, Condition condition,
                    std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    return comes_true([&] { return condition(link(peer)); }, patience);
  }
  bool link_up(const std::string& peer) {
    return link_becomes(peer, [](const LinkView& l) { return is_up(l.state); });
  }

  VersionVector applied() const { return store_->applied(); }
  const Config& config() const { return config_; }
  Store& store() { return *store_; }
  Peers& peers() { return *peers_; }

 private:
  Result<std::unique_ptr<Database>> open(const DatabaseOptions& options) {
    if (folder_.empty()) return open_memory(disk_, options);
    return open_sqlite(folder_ / (dc_ + ".db"), options);
  }

  Committed commit(ClientTransaction work) {
    std::promise<Result<Committed>> answer;
    store_->submit(std::move(work), false,
                   [&](Result<Committed> outcome) { answer.set_value(std::move(outcome)); });
    return answer.get_future().get().value();
  }

  void make_table() {
    TableDef items{"items", {}};
    items.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
    items.columns.push_back({"note", "TEXT", Affinity::kText, Collation::kBinary, false, 0});
    commit([items](WriteSession& session) { return session.define(items); });
  }

  const Config config_;
  const Graph graph_;
  const std::string dc_;
  const std::filesystem::path folder_;
  std::shared_ptr<MemoryDisk> disk_ = make_memory_disk();
  std::unique_ptr<Store> store_;
  std::unique_ptr<Peers> peers_;
};

}  // namespace entente::testing
