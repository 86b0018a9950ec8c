#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "conflict/result.h"
#include "gateway/replica/replica.h"
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
// gateway out. `first`: a cluster may begin here. Only then an empty database is made (in memory it
// always is), and, if this is the schema leader and the cluster has no schema yet, the schema file
// applied.
class Gateway {
 public:
  Gateway(Config config, std::string dc, std::filesystem::path data, bool first, OpenDatabase open);
  ~Gateway();

  Result<void> start();
  // Why wait() returned.
  struct Next {
    enum class What {
      kStopped,
      kRejoin,    // somebody fetches a copy, stops this, and starts another. It goes on meanwhile.
      kTopology,  // the cluster has gone over to another one: stop this, and start another
    };
    What what = What::kStopped;
    Rejoin rejoin = {};
    bool linked = false;  // while it asks for a copy
  };
  // Blocks until stop() was called from a signal handler's thread, or somebody has to do something;
  // or a fatal error: returns it.
  Result<Next> wait();
  void stop();
  bool stopping() const;
  // Why nobody gives the copy that wait() asked for: status says so.
  void not_replaced(std::string reason);
  // Reads the files of token keys and of revoked tokens again, now; what is bad is logged.
  // REQUIRES: it was started, and not stopped.
  void reload_tokens();
  // REQUIRES: it was started, and not stopped.
  Origin incarnation() const;

  uint16_t client_port() const;
  uint16_t peer_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
