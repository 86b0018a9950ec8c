#include "tests/crash/machine.h"

#include <cassert>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "tests/simulation/random.h"

namespace entente::crash {
namespace {

std::mutex g_mutex;
std::map<std::string, Machine*> g_machines;
uint64_t g_last = 0;
simulation::Random g_random(1, "sqlite");

int error_of(OpClass c) {
  switch (c) {
    case OpClass::kRead:
      return SQLITE_IOERR_READ;
    case OpClass::kWrite:
      return SQLITE_IOERR_WRITE;
    case OpClass::kSync:
      return SQLITE_IOERR_FSYNC;
    case OpClass::kTruncate:
      return SQLITE_IOERR_TRUNCATE;
    case OpClass::kOpen:
      return SQLITE_CANTOPEN;
    case OpClass::kDelete:
      return SQLITE_IOERR_DELETE;
    default:
      return SQLITE_IOERR_SHMMAP;
  }
}

bool concerns(Fault::Kind kind, OpClass c) {
  switch (kind) {
    case Fault::Kind::kError:
      return true;
    case Fault::Kind::kFull:
      return c == OpClass::kWrite;
    case Fault::Kind::kSyncLie:
      return c == OpClass::kSync;
  }
  return false;
}

}  // namespace

const char* to_string(OpClass c) {
  constexpr std::array<const char*, 7> kNames = {"read", "write",  "sync",         "truncate",
                                                 "open", "delete", "shared memory"};
  return kNames.at(static_cast<size_t>(c));
}

// ---- The VFS ------------------------------------------------------------------------------------

struct MachineFile {
  sqlite3_file base;
  Machine* machine;
  uint32_t file;
  int level;             // of its lock
  bool sync_directory;   // with its first sync
  bool remove_at_close;  // it has no name
  bool maps;             // shared memory
  char name[512];
};

struct Vfs {
  static MachineFile& of(sqlite3_file* f) { return *reinterpret_cast<MachineFile*>(f); }

  static Machine* machine_of(const char* path, std::string& name) {
    const std::string_view p(path);
    const size_t slash = p.find('/', 1);
    if (slash == std::string_view::npos) return nullptr;
    name = p.substr(slash + 1);
    const std::scoped_lock lock(g_mutex);
    const auto it = g_machines.find(std::string(p.substr(0, slash)));
    return it == g_machines.end() ? nullptr : it->second;
  }

  static int open(sqlite3_vfs*, const char* path, sqlite3_file* f, int flags, int* out) {
    f->pMethods = nullptr;
    std::string name;
    Machine* machine = path != nullptr ? machine_of(path, name) : nullptr;
    if (machine == nullptr || name.size() >= sizeof(MachineFile::name)) return SQLITE_CANTOPEN;
    const Machine::Lock lock(machine->mutex_);
    uint32_t file = machine->disk_.find(name);
    if (const int failed = machine->meet(OpClass::kOpen)) return failed;
    const bool made = file == 0;
    if (made && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    if (made) {
      machine->apply({DiskOp::Kind::kCreate, name});
      file = machine->disk_.find(name);
    }
    constexpr int kJournals =
        SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    MachineFile& mine = of(f);
    mine.machine = machine;
    mine.file = file;
    mine.level = SQLITE_LOCK_NONE;
    mine.sync_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & kJournals) != 0;
    mine.remove_at_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    mine.maps = false;
    std::memcpy(mine.name, name.c_str(), name.size() + 1);
    if (out != nullptr) *out = flags;
    f->pMethods = &kMethods;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs*, const char* path, int sync_directory) {
    std::string name;
    Machine* machine = machine_of(path, name);
    if (machine == nullptr) return SQLITE_IOERR_DELETE;
    const Machine::Lock lock(machine->mutex_);
    if (const int failed = machine->meet(OpClass::kDelete)) return failed;
    if (machine->disk_.find(name) == 0) return SQLITE_IOERR_DELETE_NOENT;
    machine->apply({DiskOp::Kind::kRemove, name});
    if (sync_directory != 0) machine->apply({DiskOp::Kind::kSyncDirectory});
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs*, const char* path, int what, int* out) {
    std::string name;
    Machine* machine = machine_of(path, name);
    if (machine == nullptr) return SQLITE_IOERR_ACCESS;
    const Machine::Lock lock(machine->mutex_);
    const uint32_t file = machine->disk_.find(name);
    // As the VFS for Unix: an empty file is none.
    *out = file != 0 && (what != SQLITE_ACCESS_EXISTS || !machine->disk_.content(file).empty());
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }

  static int randomness(sqlite3_vfs*, int bytes, char* out) {
    const std::scoped_lock lock(g_mutex);
    for (int i = 0; i < bytes; ++i) out[i] = static_cast<char>(g_random.next());
    return bytes;
  }
  static int sleep(sqlite3_vfs*, int us) {
    std::this_thread::sleep_for(std::chrono::microseconds(us));
    return us;
  }
  static int time(sqlite3_vfs*, double* out) { return *out = 2460000.5, SQLITE_OK; }
  static int time64(sqlite3_vfs*, sqlite3_int64* out) {
    return *out = 212'667'120'000'000, SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }

  // -- a file

  static int close(sqlite3_file* f) {
    MachineFile& mine = of(f);
    unlock(f, SQLITE_LOCK_NONE);
    if (!mine.remove_at_close) return SQLITE_OK;
    const Machine::Lock lock(mine.machine->mutex_);
    mine.machine->apply({DiskOp::Kind::kRemove, mine.name});
    return SQLITE_OK;
  }

  static int read(sqlite3_file* f, void* to, int size, sqlite3_int64 from) {
    MachineFile& mine = of(f);
    const Machine::Lock lock(mine.machine->mutex_);
    if (const int failed = mine.machine->meet(OpClass::kRead)) return failed;
    const std::string& content = mine.machine->disk_.content(mine.file);
    const auto at = static_cast<size_t>(from), wanted = static_cast<size_t>(size);
    const size_t there = at >= content.size() ? 0 : std::min(wanted, content.size() - at);
    if (there > 0) std::memcpy(to, content.data() + at, there);
    if (there == wanted) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + there, 0, wanted - there);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int write(sqlite3_file* f, const void* from, int size, sqlite3_int64 to) {
    MachineFile& mine = of(f);
    const Machine::Lock lock(mine.machine->mutex_);
    if (const int failed = mine.machine->meet(OpClass::kWrite)) return failed;
    mine.machine->apply({DiskOp::Kind::kWrite, "", mine.file, static_cast<uint64_t>(to),
                         std::string(static_cast<const char*>(from), static_cast<size_t>(size))});
    return SQLITE_OK;
  }

  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    MachineFile& mine = of(f);
    const Machine::Lock lock(mine.machine->mutex_);
    if (const int failed = mine.machine->meet(OpClass::kTruncate)) return failed;
    mine.machine->apply({DiskOp::Kind::kTruncate, "", mine.file, static_cast<uint64_t>(size)});
    return SQLITE_OK;
  }

  static int sync(sqlite3_file* f, int) {
    MachineFile& mine = of(f);
    const Machine::Lock lock(mine.machine->mutex_);
    if (const int failed = mine.machine->meet(OpClass::kSync, mine.file)) return failed;
    mine.machine->apply({DiskOp::Kind::kSync, "", mine.file});
    if (mine.sync_directory) mine.machine->apply({DiskOp::Kind::kSyncDirectory});
    mine.sync_directory = false;
    return SQLITE_OK;
  }

  static int file_size(sqlite3_file* f, sqlite3_int64* out) {
    MachineFile& mine = of(f);
    const Machine::Lock lock(mine.machine->mutex_);
    *out = static_cast<sqlite3_int64>(mine.machine->disk_.content(mine.file).size());
    return SQLITE_OK;
  }

  static int lock(sqlite3_file* f, int level) {
    MachineFile& mine = of(f);
    if (mine.level >= level) return SQLITE_OK;
    const Machine::Lock held(mine.machine->mutex_);
    Machine::FileLock& l = mine.machine->locks_[mine.file];
    const auto others = [&mine](const void* owner) { return owner != nullptr && owner != &mine; };
    if (level == SQLITE_LOCK_SHARED) {
      if (others(l.pending) || others(l.exclusive)) return SQLITE_BUSY;
      ++l.shared;
    } else if (level == SQLITE_LOCK_RESERVED) {
      if (others(l.reserved) || others(l.pending) || others(l.exclusive)) return SQLITE_BUSY;
      l.reserved = &mine;
    } else {
      if (others(l.reserved) || others(l.pending) || others(l.exclusive)) return SQLITE_BUSY;
      l.pending = &mine;
      mine.level = SQLITE_LOCK_PENDING;
      if (l.shared > 1) return SQLITE_BUSY;
      l.exclusive = &mine;
    }
    mine.level = level;
    return SQLITE_OK;
  }

  static int unlock(sqlite3_file* f, int level) {
    MachineFile& mine = of(f);
    if (mine.level <= level) return SQLITE_OK;
    const Machine::Lock held(mine.machine->mutex_);
    Machine::FileLock& l = mine.machine->locks_[mine.file];
    for (const void** owner : {&l.reserved, &l.pending, &l.exclusive}) {
      if (*owner == &mine) *owner = nullptr;
    }
    if (level == SQLITE_LOCK_NONE) --l.shared;
    mine.level = level;
    return SQLITE_OK;
  }

  static int check_reserved(sqlite3_file* f, int* out) {
    MachineFile& mine = of(f);
    const Machine::Lock held(mine.machine->mutex_);
    *out = mine.machine->locks_[mine.file].reserved != nullptr;
    return SQLITE_OK;
  }

  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return 4096; }
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  // -- shared memory

  static int shm_map(sqlite3_file* f, int region, int size, int extend, void volatile** out) {
    MachineFile& mine = of(f);
    const Machine::Lock held(mine.machine->mutex_);
    *out = nullptr;
    if (const int failed = mine.machine->meet(OpClass::kSharedMemory)) return failed;
    Machine::SharedMemory& shm = mine.machine->shared_memory_[mine.file];
    if (!mine.maps) ++shm.users;
    mine.maps = true;
    assert(size == 32768), (void)size;
    const auto at = static_cast<size_t>(region);
    if (at >= shm.regions.size() && extend == 0) return SQLITE_OK;
    while (at >= shm.regions.size()) {
      shm.regions.push_back(std::make_unique<std::array<char, 32768>>());
      shm.regions.back()->fill(0);
    }
    *out = shm.regions[at]->data();
    return SQLITE_OK;
  }

  static int shm_lock(sqlite3_file* f, int first, int count, int flags) {
    MachineFile& mine = of(f);
    const Machine::Lock held(mine.machine->mutex_);
    auto& locks = mine.machine->shared_memory_[mine.file].locks;
    const bool shared = (flags & SQLITE_SHM_SHARED) != 0;
    for (int i = first; i < first + count; ++i) {
      int& l = locks[static_cast<size_t>(i)];
      if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        l = shared ? l - 1 : 0;
      } else if (shared ? l < 0 : l != 0) {
        for (int back = first; back < i; ++back)
          locks[static_cast<size_t>(back)] += shared ? -1 : 1;
        return SQLITE_BUSY;
      } else {
        l = shared ? l + 1 : -1;
      }
    }
    return SQLITE_OK;
  }

  static void shm_barrier(sqlite3_file* f) { const Machine::Lock held(of(f).machine->mutex_); }

  static int shm_unmap(sqlite3_file* f, int) {
    MachineFile& mine = of(f);
    const Machine::Lock held(mine.machine->mutex_);
    Machine::SharedMemory& shm = mine.machine->shared_memory_[mine.file];
    if (std::exchange(mine.maps, false) && --shm.users == 0) shm = {};
    return SQLITE_OK;
  }

  static const sqlite3_io_methods kMethods;
  static sqlite3_vfs kVfs;
};

const sqlite3_io_methods Vfs::kMethods = {2,
                                          close,
                                          read,
                                          write,
                                          truncate,
                                          sync,
                                          file_size,
                                          lock,
                                          unlock,
                                          check_reserved,
                                          control,
                                          sector_size,
                                          characteristics,
                                          shm_map,
                                          shm_lock,
                                          shm_barrier,
                                          shm_unmap,
                                          nullptr,
                                          nullptr};

sqlite3_vfs Vfs::kVfs = {
    2,      sizeof(MachineFile), 500,     nullptr, "crash", nullptr, open,       remove,
    access, full_path,           nullptr, nullptr, nullptr, nullptr, randomness, sleep,
    time,   last_error,          time64,  nullptr, nullptr, nullptr};

void seed_sqlite(uint64_t seed) {
  {
    const std::scoped_lock lock(g_mutex);
    g_random = simulation::Random(seed, "sqlite");
  }
  sqlite3_randomness(0, nullptr);
}

// ---- The machine --------------------------------------------------------------------------------

Machine::Machine(Disk disk) : disk_(std::move(disk)) {
  sqlite3_vfs_register(&Vfs::kVfs, 1);
  const std::scoped_lock lock(g_mutex);
  folder_ = "/machine" + std::to_string(++g_last);
  g_machines[folder_] = this;
}

Machine::~Machine() {
  const std::scoped_lock lock(g_mutex);
  g_machines.erase(folder_);
}

void Machine::power_off() {
  const Lock lock(mutex_);
  off_ = true;
}

Disk Machine::disk() const {
  const Lock lock(mutex_);
  return disk_;
}

void Machine::arm(const std::optional<Fault>& fault) {
  const Lock lock(mutex_);
  fault_ = fault;
  struck_.reset();
  operations_.clear();
  faulty_ = 0;
}

std::vector<OpClass> Machine::met(Fault::Kind kind) const {
  const Lock lock(mutex_);
  std::vector<OpClass> out;
  for (const OpClass c : operations_) {
    if (concerns(kind, c)) out.push_back(c);
  }
  return out;
}

std::optional<OpClass> Machine::struck() const {
  const Lock lock(mutex_);
  return struck_;
}

void Machine::record() {
  const Lock lock(mutex_);
  recording_ = true;
  record_.clear();
}

uint64_t Machine::recorded() const {
  const Lock lock(mutex_);
  return record_.size();
}

std::vector<DiskOp> Machine::take_record() {
  const Lock lock(mutex_);
  recording_ = false;
  return std::exchange(record_, {});
}

void Machine::apply(DiskOp op) {
  if (off_) return;
  disk_.apply(op);
  if (recording_) record_.push_back(std::move(op));
}

int Machine::meet(OpClass c, uint32_t of) {
  if (off_) return error_of(c);
  operations_.push_back(c);
  if (!fault_ || !concerns(fault_->kind, c)) return SQLITE_OK;
  const uint64_t n = ++faulty_;
  if (n < fault_->at || (n > fault_->at && !fault_->persistent)) return SQLITE_OK;
  if (!struck_) struck_ = c;
  if (fault_->kind == Fault::Kind::kFull) return SQLITE_FULL;
  if (fault_->kind == Fault::Kind::kSyncLie) apply({DiskOp::Kind::kSyncLost, "", of});
  return error_of(c);
}

}  // namespace entente::crash
