#include "adapters/sqlite/memory_meter.h"

#include <sqlite3.h>

namespace entente::sqlite {
namespace {

sqlite3_mem_methods plain;
thread_local int64_t in_use = 0;

void* take(int bytes) {
  void* const at = plain.xMalloc(bytes);
  if (at != nullptr) in_use += plain.xSize(at);
  return at;
}

void give_back(void* at) {
  in_use -= plain.xSize(at);
  plain.xFree(at);
}

void* resize(void* at, int bytes) {
  const int before = plain.xSize(at);
  void* const now = plain.xRealloc(at, bytes);
  if (now != nullptr) in_use += plain.xSize(now) - before;
  return now;
}

// SQLite takes its allocator before it is first used, or not at all.
bool measure() {
  // Its own counts take a lock at every allocation.
  if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) return false;
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK) return false;
  sqlite3_mem_methods measured = plain;
  measured.xMalloc = take;
  measured.xFree = give_back;
  measured.xRealloc = resize;
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &measured) == SQLITE_OK;
}

[[maybe_unused]] const bool measuring = measure();

}  // namespace

int64_t memory_in_use() { return in_use; }

}  // namespace entente::sqlite
