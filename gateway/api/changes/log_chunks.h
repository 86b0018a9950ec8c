#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "adapters/database.h"

namespace entente {

// The chunks of the log that feeds are in the middle of, shared by all of them: readers that do not
// read, and readers of the same place, cost no memory of their own.
//
// Threads: any.
// Bounds:  keeps the latest chunks up to `bytes`, and those that somebody holds; what was let go is
//          read again.
class LogChunks {
 public:
  explicit LogChunks(size_t bytes) : bytes_(bytes) {}

  // The first chunk after this position.
  // Errors: kNotFound, "cursor_expired": the log ends there, or was trimmed.
  Result<std::shared_ptr<const LogChunk>> after(Database& database, LogPosition position);

 private:
  struct Kept {
    LogPosition after;
    std::shared_ptr<const LogChunk> chunk;
  };
  std::shared_ptr<const LogChunk> find(LogPosition position);
  void keep(LogPosition position, const std::shared_ptr<const LogChunk>& chunk);

  const size_t bytes_;
  std::mutex mutex_;
  std::list<Kept> latest_;  // most recent first
  size_t kept_bytes_ = 0;
};

}  // namespace entente
