#pragma once

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

  explicit Checkpointer(Connection db);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  void watch(Connection& writer);

 private:
  static int committed(void* self, sqlite3* db, const char* schema, int pages);
  void run();

  Connection db_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace entente::sqlite
