#include "adapters/memory/memory_disk.h"

#include "adapters/memory/memory_database.h"

namespace entente {

std::shared_ptr<MemoryDisk> make_memory_disk() { return std::make_shared<MemoryDisk>(); }

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
