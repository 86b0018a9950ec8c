#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/connection.h"

namespace entente::sqlite {

// Reads _entente_log on a connection of its own.
// Threads: any; one at a time inside.
class LogReader {
 public:
  explicit LogReader(Connection db) : db_(std::move(db)) {}

  Result<std::vector<LogChunk>> read(LogPosition position, size_t max_bytes);
  Result<LogPosition> position_before(const Origin& origin, uint64_t seq);
  Result<std::optional<std::array<uint8_t, 16>>> chain_at(const Origin& origin, uint64_t seq);
  // The last position of the prefix whose chunks `stable` covers and that need not be kept.
  Result<LogPosition> prefix_to_trim(const VersionVector& stable, const LogRetention& keep);

 private:
  struct Known {
    int64_t id = 0;
    uint64_t seq = 0;
    std::array<uint8_t, 16> chain{};
  };
  Result<std::optional<Known>> find_origin(const Origin& origin);
  Result<LogPosition> head();
  Result<Stmt*> plan(Stmt& stmt, const char* sql);

  std::mutex mutex_;
  Connection db_;
  Stmt read_, origin_, head_, by_dot_, chain_, prefix_;
};

}  // namespace entente::sqlite
