#include "adapters/sqlite/checkpointer.h"

#include <algorithm>

namespace entente::sqlite {

Checkpointer::Checkpointer(Connection db, int pages_max)
    : pages_max_(pages_max), db_(std::move(db)), thread_([this] { run(); }) {}

Checkpointer::~Checkpointer() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Checkpointer::watch(Connection& writer) {
  sqlite3_wal_hook(writer.get(), &Checkpointer::committed, this);
}

// Its failure is not the commit's: the WAL holds everything. Without room on the disk, or while a
// reader is in the way, the next commit tries again.
void Checkpointer::copy_back(sqlite3* db) {
  const int code =
      sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && error_of(nullptr, code).code == Code::kCorrupt) failure_ = code;
}

int Checkpointer::committed(void* self, sqlite3* db, const char* /*schema*/, int pages) {
  auto* checkpointer = static_cast<Checkpointer*>(self);
  if (pages < std::min(kPagesToStart, checkpointer->pages_max_)) return SQLITE_OK;
  if (pages >= checkpointer->pages_max_) {
    checkpointer->copy_back(db);
    return SQLITE_OK;
  }
  {
    const std::scoped_lock lock(checkpointer->mutex_);
    checkpointer->wanted_ = true;
  }
  checkpointer->wake_.notify_one();
  return SQLITE_OK;
}

void Checkpointer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return wanted_ || stop_; });
    if (stop_) return;
    wanted_ = false;
    lock.unlock();
    copy_back(db_.get());
    lock.lock();
  }
}

}  // namespace entente::sqlite
