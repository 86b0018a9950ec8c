#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "conflict/result.h"
#include "topology/config.h"

namespace entente {

// Opens one datacenter's database at this path. main() knows the adapters; the server does not.
class Database;
struct DatabaseOptions;
using OpenDatabase = std::function<Result<std::unique_ptr<Database>>(
    const Datacenter& datacenter, const std::filesystem::path& path,
    const DatabaseOptions& options)>;

// One datacenter's gateway: its database, its links and its clients' server, started in this order
// and stopped in the reverse.
//
// `data` is its folder: the database, the incarnation marker, and a lock that keeps a second
// gateway out. start() also applies the schema file when this is the schema leader and the cluster
// is empty.
class Gateway {
 public:
  Gateway(Config config, std::string dc, std::filesystem::path data, OpenDatabase open);
  ~Gateway();

  Result<void> start();
  // Blocks until stop() was called from a signal handler's thread, or a fatal error; returns it.
  Result<void> wait();
  void stop();

  uint16_t client_port() const;
  uint16_t peer_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
