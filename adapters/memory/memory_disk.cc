#include "adapters/memory/memory_disk.h"

#include "adapters/memory/memory_database.h"

namespace entente {

std::shared_ptr<MemoryDisk> make_memory_disk() { return std::make_shared<MemoryDisk>(); }

std::shared_ptr<MemoryDisk> copy_memory_disk(const MemoryDisk& disk) {
  auto copy = make_memory_disk();
  const std::lock_guard held(disk.lock);
  copy->contents = disk.contents;
  copy->epoch = disk.epoch;
  copy->hlc = disk.hlc;
  copy->last_conflict = disk.last_conflict;
  copy->promised = disk.promised;
  copy->collected = disk.collected;
  copy->log = disk.log;
  copy->logged_ms = disk.logged_ms;
  copy->log_bytes = disk.log_bytes;
  copy->log_head = disk.log_head;
  copy->floors = disk.floors;
  copy->chains = disk.chains;
  return copy;
}

VersionVector applied(const MemoryDisk::Contents& contents) {
  VersionVector vv;
  for (const auto& [origin, stream] : contents.streams) vv.advance(origin, stream.seq);
  return vv;
}

VersionVector MemoryDisk::applied() const { return entente::applied(contents); }

StreamState MemoryDisk::stream(const Origin& origin) const {
  const auto it = contents.streams.find(origin);
  return it == contents.streams.end() ? StreamState{} : it->second;
}

const RowState* MemoryDisk::find(std::string_view table, const Key& key) const {
  const auto rows = contents.rows.find(table);
  if (rows == contents.rows.end()) return nullptr;
  const auto row = rows->second.find(key);
  return row == rows->second.end() ? nullptr : &row->second;
}

}  // namespace entente
