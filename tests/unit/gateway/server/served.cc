#include "tests/unit/gateway/server/served.h"

#include <cstdlib>

namespace entente::test {

Config Served::one_datacenter() {
  Config config;
  config.cluster = "test";
  config.insecure = true;
  Datacenter here;
  here.name = "here";
  here.clients = {"127.0.0.1", 0, false};
  here.peers = {"127.0.0.1", 0, false};
  config.datacenters.push_back(here);
  config.schema_leader = "here";
  return config;
}

Served::Served(const std::function<void(Limits&)>& adjust, FakeDatabase::Sql sql)
    : config_(one_datacenter()) {
  adjust(config_.limits);
  auto database = std::make_unique<FakeDatabase>();
  if (sql) database->sql = std::move(sql);
  database_ = database.get();
  serve(std::move(database));
}

Served::Served(std::unique_ptr<Database> database, const std::function<void(Limits&)>& adjust)
    : config_(one_datacenter()) {
  adjust(config_.limits);
  serve(std::move(database));
}

Served::Served(std::unique_ptr<Database> database, Config config) : config_(std::move(config)) {
  serve(std::move(database));
}

void Served::serve(std::unique_ptr<Database> database) {
  graph_ = std::make_unique<Graph>(config_);
  store_ = std::make_unique<Store>(std::move(database), config_.limits, nullptr);
  peers_ = std::make_unique<Peers>(config_, *graph_, "here", *store_);
  server_ = std::make_unique<ClientServer>(config_, *graph_, "here", *store_, *peers_);
  if (!store_->start() || !server_->start()) std::abort();
}

Served::~Served() {
  server_->stop();
  store_->stop();
}

}  // namespace entente::test
