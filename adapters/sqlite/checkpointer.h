#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "adapters/sqlite/connection.h"

namespace entente::sqlite {

// Copies the WAL into the database file on a thread and a connection of its own, so that the writer
// does not stall. A writer that never pauses would keep the WAL from starting anew: past
// kPagesMax pages the writer does what is left itself, which is little by then.
//
// Threads: watch() before the writer starts; the connections watched must be closed, or the
// destructor run, only after the writer stopped.
class Checkpointer {
 public:
  static constexpr int kPagesToStart = 2'000;  // 8 MiB
  static constexpr int kPagesMax = 16'000;     // 64 MiB

  // `pages_max`: instead of kPagesMax.
  Checkpointer(Connection db, int pages_max);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  void watch(Connection& writer);
  // What SQLite said when the disk failed under it, for good: what the failed sync should have made
  // durable is not written again by the next one, which may succeed. Only who opens the file anew
  // copies the whole WAL again.
  int failure() const { return failure_; }

 private:
  void copy_back(sqlite3* db);
  static int committed(void* self, sqlite3* db, const char* schema, int pages);
  void run();

  const int pages_max_;
  Connection db_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false, stop_ = false;
  std::atomic<int> failure_{SQLITE_OK};
  std::thread thread_;
};

}  // namespace entente::sqlite
