#include "adapters/sqlite/checkpointer.h"

namespace entente::sqlite {

Checkpointer::Checkpointer(Connection db) : db_(std::move(db)), thread_([this] { run(); }) {}

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

int Checkpointer::committed(void* self, sqlite3* db, const char* schema, int pages) {
  if (pages < kPagesToStart) return SQLITE_OK;
  auto* checkpointer = static_cast<Checkpointer*>(self);
  if (pages >= kPagesMax) {
    // Its failure is not the commit's: the WAL holds everything, and the next commit tries again.
    sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
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
    sqlite3_wal_checkpoint_v2(db_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    lock.lock();
  }
}

}  // namespace entente::sqlite
