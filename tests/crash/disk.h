#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace entente::crash {

// What a program does to a disk: enough to make the disk again from the beginning.
struct DiskOp {
  enum class Kind : uint8_t {
    kCreate,         // an empty file under `name`, if there is none
    kRemove,         // the name; the file goes with its last handle
    kWrite,          // `bytes` at `offset`
    kTruncate,       // to `offset` bytes
    kSync,           // what was written to `file` is on the medium
    kSyncDirectory,  // which names there are is on the medium
    kSyncLost,       // the kernel failed to write it back, and holds it for written
  };
  Kind kind = Kind::kWrite;
  std::string name = {};  // of create and remove
  uint32_t file = 0;      // of the others
  uint64_t offset = 0;
  std::string bytes = {};
};

// One disk with one folder: what programs see of it, and what would be left of it if the power
// went.
//
// The medium promises what SQLite's VFS for Unix asks for: what was synced stays; a write that was
// not is kept, lost or torn for each of its sectors apart; bytes that nobody wrote stay as they are
// (power-safe overwrite); names that were made or removed count when their folder was synced.
// A value: copies are other disks.
class Disk {
 public:
  // The file that has this name; 0: none.
  uint32_t find(const std::string& name) const;
  // What programs see.
  const std::string& content(uint32_t file) const { return files_.at(file).seen; }
  // Does it; a create returns its file.
  uint32_t apply(const DiskOp& op);
  // True if the power may go without a trace.
  bool all_synced() const;

  struct PowerLoss {
    uint64_t seed = 0;      // decides about each sector; 0: all that was not synced is lost
    uint64_t sector = 512;  // bytes
  };
  // The disk when the power is back.
  Disk after(const PowerLoss& loss) const;

 private:
  // Written or cut off since the last sync.
  struct Unsynced {
    bool truncate = false;
    bool lost = false;  // it will never be on the medium
    uint64_t offset = 0;
    std::string bytes = {};
  };
  struct File {
    std::string seen;
    std::string medium;
    std::vector<Unsynced> unsynced;  // seen == medium + these, in order, while nothing is lost
  };
  using Names = std::map<std::string, uint32_t>;

  static void write(std::string& content, uint64_t offset, std::string_view bytes);

  std::map<uint32_t, File> files_;
  uint32_t last_file_ = 0;
  Names names_, names_on_medium_;
};

}  // namespace entente::crash
