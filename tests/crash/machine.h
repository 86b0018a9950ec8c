#pragma once

#include <sqlite3.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/disk.h"

namespace entente::crash {

// Kinds of things that SQLite asks of a disk and that may fail.
enum class OpClass : uint8_t {
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kOpen,
  kDelete,
  kSharedMemory,
  kCount
};

// What goes wrong, and at which operation.
struct Fault {
  enum class Kind : uint8_t {
    kError,    // SQLITE_IOERR_…, SQLITE_CANTOPEN
    kFull,     // a write, with SQLITE_FULL
    kSyncLie,  // a sync fails once; what it should have made durable is gone, and later ones
               // succeed
  };
  Kind kind = Kind::kError;
  uint64_t at = 0;          // the n-th operation of its classes; 1 is the first
  bool persistent = false;  // from then on
};

// One machine: a disk, and SQLite's VFS on it. Databases on it are named folder() + "/…".
//
// The VFS is the process's default one while a machine lives. Locks and shared memory are of the
// machine, and gone when it is started anew.
//
// Threads: any.
class Machine {
 public:
  explicit Machine(Disk disk);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  const std::string& folder() const { return folder_; }

  // From now on nothing that is asked of this machine is done.
  void power_off();
  Disk disk() const;

  // Counts operations from here on, and lets one of them fail.
  void arm(const std::optional<Fault>& fault);
  void disarm() { arm(std::nullopt); }
  // Since arm(): the operations that this kind of fault could have met, in order, and the one that
  // it struck first.
  std::vector<OpClass> met(Fault::Kind kind) const;
  std::optional<OpClass> struck() const;

  // What was done to the disk since it began, in order.
  void record();
  uint64_t recorded() const;
  std::vector<DiskOp> take_record();

 private:
  friend struct MachineFile;
  friend struct Vfs;
  using Lock = std::unique_lock<std::mutex>;

  // Whether the operation fails, with what; `of` names the file that a sync is of.
  int meet(OpClass c, uint32_t of = 0);
  void apply(DiskOp op);

  struct SharedMemory {
    std::vector<std::unique_ptr<std::array<char, 32768>>> regions;
    std::array<int, SQLITE_SHM_NLOCK> locks{};  // > 0 shared by so many, -1 exclusive
    int users = 0;
  };
  struct FileLock {
    int shared = 0;
    const void* reserved = nullptr;
    const void* pending = nullptr;
    const void* exclusive = nullptr;
  };

  mutable std::mutex mutex_;
  std::string folder_;
  Disk disk_;
  bool off_ = false;
  std::optional<Fault> fault_;
  std::optional<OpClass> struck_;
  std::vector<OpClass> operations_;  // since arm()
  uint64_t faulty_ = 0;              // of those, that the fault concerns
  bool recording_ = false;
  std::vector<DiskOp> record_;
  std::map<uint32_t, SharedMemory> shared_memory_;
  std::map<uint32_t, FileLock> locks_;
};

const char* to_string(OpClass c);

// SQLite draws its randomness anew from here: the same calls get the same.
void seed_sqlite(uint64_t seed);

}  // namespace entente::crash
