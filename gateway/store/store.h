#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "adapters/database.h"
#include "topology/limits.h"

namespace entente {

// The threads around a database: one that writes, some that read.
//
// What it is:  clients' transactions that wait are committed together with one fsync (group
//              commit); between two groups the writer applies what peers sent, so that neither
//              starves the other.
// Threads:     every method from any thread. Callbacks run on the writer thread (submit, apply,
//              on_commit, on_logged, when_applied) or a reading thread (read): they must be short
//              and post to where the work belongs.
// Durability:  a callback that reports success runs after the fsync.
// Bounds:      submit() and read() return false, and never call back, when limits.queued_writes or
//              limits.queued_reads wait already.
// Errors:      kCorrupt from the database calls on_fatal once and refuses everything after.
class Store {
 public:
  using Clock = std::chrono::steady_clock;

  Store(std::unique_ptr<Database> database, const Limits& limits,
        std::function<void(Error)> on_fatal);
  ~Store();  // stop()
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Opens the readers and starts the threads.
  Result<void> start();
  // Finishes what is queued, then joins. Idempotent.
  void stop();

  // What the database knew when it was opened.
  const DatabaseState& opened() const;
  // What is durable now.
  VersionVector applied() const;
  // Grows with every change, before anybody is told of it: who has seen the same number twice has
  // missed nothing in between that a client could know of.
  uint64_t changes() const;

  // `alone`: an interactive transaction, which waits for its client while it runs: it gets a group
  // of its own, so that nobody's reply waits for its end.
  bool submit(ClientTransaction work, bool alone, std::function<void(Result<Committed>)> done);
  bool read(std::function<void(Reader&)> job);

  // Calls back with true once `target` is applied here (at once, on the calling thread, if it is
  // already), or with false at `deadline`, or at once when too many wait.
  void when_applied(VersionVector target, Clock::time_point deadline,
                    std::function<void(bool)> done);

  // For the replica: one apply at a time.
  void apply(std::vector<Run> runs, std::function<void(Result<std::vector<LogChunk>>)> done);
  // For somebody else who has transactions of origins that are nobody's life: applies them, and
  // tells the listeners of on_commit() of them.
  void take_in(std::vector<Run> runs, std::function<void(Result<std::vector<LogChunk>>)> done);
  // Of what enters the log without the replica's having asked for it.
  void on_commit(std::function<void(const LogChunk&)> listener);  // before start()
  // Told of everything that enters the log, in its order, commits and applies.
  void on_logged(std::function<void(const LogChunk&)> listener);  // before start()
  // The database, for its log: read_log, position_before, chain_at from any thread.
  Database& database();
  // Asks the writer to trim when it is idle.
  void trim_log(VersionVector stable, LogRetention keep);
  // Database::promise, before the next group. One at a time.
  void promise(VersionVector floor, std::function<void(Result<void>)> done);
  // Asks the writer to collect all that `stable` covers: in slices of a few milliseconds, when it
  // is idle, or one a second.
  void collect(VersionVector stable);
  // Asks the writer, when it is idle, to try again what handlers failed to decide: with pauses that
  // double up to a minute while they fail.
  void judge_again();

  struct Counters {
    uint64_t groups = 0, committed = 0, failed = 0, applied = 0, queued_writes = 0,
             queued_reads = 0, collected_rows = 0, handlers_failed = 0;
    uint64_t foreign_writes = 0;    // times that another process was found to have written
    std::vector<LeftOut> left_out;  // schema changes that could not be made here
    bool disk_full = false;         // the last write failed for want of space
    Hlc last_stamp;                 // of what clients wrote here, or as old as the database is open
  };
  Counters counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace entente
