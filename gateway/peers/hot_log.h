#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "gateway/replica/replica.h"

namespace entente {

// The newest pieces of the local log, kept in memory so that a link in its steady state is served
// without a read of the database.
//
// Bounds: the oldest go first once they take `max_bytes` of memory; the newest always stays.
// Order:  pieces are added by growing position, none left out.
class HotLog {
 public:
  // `head`: the log's position when this starts; nothing at or below it is kept here.
  HotLog(uint64_t head, size_t max_bytes) : base_(head), max_bytes_(max_bytes) {}

  void add(const LogPiece& piece);

  // Pieces after `position`, oldest first, at least one if there is any, then up to max_bytes.
  // Absent when the log after `position` does not begin here: ask the database.
  std::optional<std::vector<LogPiece>> read(uint64_t position, size_t max_bytes) const;

 private:
  uint64_t base_;  // everything after it is in pieces_
  const size_t max_bytes_;
  std::deque<LogPiece> pieces_;
  size_t bytes_ = 0;
};

}  // namespace entente
