#include "gateway/peers/hot_log.h"

#include <algorithm>

namespace entente {
namespace {

size_t memory_of(const LogPiece& piece) { return sizeof(piece) + piece.run.records.capacity(); }

}  // namespace

void HotLog::add(const LogPiece& piece) {
  pieces_.push_back(piece);
  bytes_ += memory_of(pieces_.back());
  while (bytes_ > max_bytes_ && pieces_.size() > 1) {
    base_ = pieces_.front().position;
    bytes_ -= memory_of(pieces_.front());
    pieces_.pop_front();
  }
}

std::optional<std::vector<LogPiece>> HotLog::read(uint64_t position, size_t max_bytes) const {
  if (position < base_) return std::nullopt;
  auto it = std::upper_bound(pieces_.begin(), pieces_.end(), position,
                             [](uint64_t at, const LogPiece& p) { return at < p.position; });
  std::vector<LogPiece> out;
  for (size_t bytes = 0; it != pieces_.end(); ++it) {
    bytes += it->run.records.size();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(*it);
  }
  return out;
}

}  // namespace entente
