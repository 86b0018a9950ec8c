#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/memory/memory_database.h"
#include "tests/crash/machine.h"

namespace entente::crash {

// A datacenter beside the one under test: a memory database, which never fails.
struct Peer {
  std::string dc;
  std::shared_ptr<MemoryDisk> disk;
  size_t heard = 0;         // of World::log
  LogPosition offered = 0;  // of its own log, which the database under test has applied
};

// All that a workload needs to go on from one moment, and what must be true at it. A value.
struct World {
  explicit World(uint64_t seed);
  World(const World& other);
  World& operator=(const World&) = delete;
  World(World&&) = default;

  const uint64_t seed;
  Disk disk;  // of the database under test
  uint64_t now = 1'700'000'000'000;
  std::vector<Peer> peers;

  // ---- what was acknowledged
  std::vector<LogChunk> log;              // every chunk since the beginning, in log order
  std::map<Origin, StreamState> streams;  // seq and chain after it
  std::shared_ptr<MemoryDisk> mirror;     // a database that was told it
  size_t mirrored = 0;                    // of log
  Hlc hlc;
  VersionVector promised;
  int64_t keys = 0;  // the last numbered one

  void logged(LogChunk chunk);
};

// The database under test while it runs on a world's disk.
class Live {
 public:
  // The disk comes from the world, and goes back with kill() or end().
  explicit Live(World& world);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  Machine& machine() { return *machine_; }
  World& world() { return world_; }
  Database& db() { return *db_; }
  bool is_open() const { return db_ != nullptr; }
  std::string path() const;

  Result<void> open();
  // As a process that is told to stop: SQLite tidies up.
  void close() { db_.reset(); }
  // As a process that is killed: what it wrote is in the kernel's hands.
  void kill() { end(machine_->disk()); }
  // Ends at once; the world's disk is this one from now on.
  void end(Disk disk);
  // Called when a call of the database has returned, and the world knows it.
  std::function<void()> returned = [] {};
  // Past so many pages the writer copies the WAL back itself, always at the same moments; 0: as
  // ever, on the checkpointer's thread.
  int wal_pages = 48;

 private:
  World& world_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<Database> db_;
};

// Everything in a file as text, by SQL: two databases with equal texts are the same.
std::string dump(const std::string& path);

// What the database says against what was acknowledged, the log against its hash chain, rows and
// versions against a database that was told the log; SQLite's integrity check. `unsure`: how many
// transactions of its own a call that failed may have committed, all of them or none; they are
// taken as acknowledged if they are there, and so are those of others. Empty: all is well.
std::optional<std::string> verify(Live& live, std::optional<uint64_t> unsure = std::nullopt);

// SQLite's own: empty if the file is whole.
std::optional<std::string> check_integrity(const Live& live);
// Whether a SQLite database that is told the whole log shows the same rows in every table, those
// that constraints hide included. Slow.
std::optional<std::string> compare_with_fresh(Live& live);

Origin origin_of(uint8_t n);
std::string dc_of(uint8_t n);
// Of datacenter n of this world: 1 is under test.
DatabaseOptions options_of(const World& world, uint8_t n);

}  // namespace entente::crash
