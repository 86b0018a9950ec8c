#include "gateway/api/changes/log_chunks.h"

#include <algorithm>

namespace entente {

Result<std::shared_ptr<const LogChunk>> LogChunks::after(Database& database, LogPosition position) {
  if (auto known = find(position)) return known;
  auto read = database.read_log(position, 1);
  if (!read) return tl::unexpected(read.error());
  if (read->empty()) {
    return fail(Code::kNotFound, "the log holds nothing after this position", "cursor_expired");
  }
  const auto chunk = std::make_shared<const LogChunk>(std::move(read->front()));
  keep(position, chunk);
  return chunk;
}

std::shared_ptr<const LogChunk> LogChunks::find(LogPosition position) {
  const std::lock_guard lock(mutex_);
  const auto it = std::find_if(latest_.begin(), latest_.end(),
                               [&](const Kept& kept) { return kept.after == position; });
  if (it == latest_.end()) return nullptr;
  latest_.splice(latest_.begin(), latest_, it);
  return it->chunk;
}

void LogChunks::keep(LogPosition position, const std::shared_ptr<const LogChunk>& chunk) {
  const std::lock_guard lock(mutex_);
  latest_.push_front({position, chunk});
  kept_bytes_ += chunk->run.records.size();
  while (kept_bytes_ > bytes_) {
    kept_bytes_ -= latest_.back().chunk->run.records.size();
    latest_.pop_back();
  }
}

}  // namespace entente
