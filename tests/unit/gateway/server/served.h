#pragma once

#include <memory>

#include "gateway/server/client_server.h"
#include "tests/unit/gateway/server/fake_database.h"

namespace entente::test {

// A gateway's client side over a fake database, on a port of its own.
class Served {
 public:
  // `adjust` changes the limits.
  explicit Served(
      const std::function<void(Limits&)>& adjust = [](Limits&) {}, FakeDatabase::Sql sql = nullptr);
  // Over another database; then there is no database().
  Served(std::unique_ptr<Database> database, const std::function<void(Limits&)>& adjust);
  // The same, of a configuration that began as one_datacenter().
  Served(std::unique_ptr<Database> database, Config config);
  ~Served();

  static Config one_datacenter();

  uint16_t port() const { return server_->port(); }
  ClientServer& server() { return *server_; }
  Store& store() { return *store_; }
  FakeDatabase& database() { return *database_; }

 private:
  void serve(std::unique_ptr<Database> database);

  Config config_;
  std::unique_ptr<Graph> graph_;
  FakeDatabase* database_ = nullptr;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<ClientServer> server_;
};

}  // namespace entente::test
