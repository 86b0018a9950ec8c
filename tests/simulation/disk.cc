#include "tests/simulation/disk.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "adapters/memory/memory_database.h"
#include "adapters/memory/memory_disk.h"
#include "adapters/sqlite/sqlite_database.h"
#include "tests/support/process.h"

namespace entente::simulation {
namespace {

class InMemory final : public Disk {
 public:
  std::unique_ptr<Database> open(const DatabaseOptions& options) override {
    return open_memory(disk_, options);
  }
  bool shows_states() const override { return true; }
  const RowState* find(const std::string& table, const Key& key) const override {
    return disk_->find(table, key);
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_ = make_memory_disk();
};

// Each life of a node has files of its own: what the one before had written when it died.
class InFiles final : public Disk {
 public:
  std::unique_ptr<Database> open(const DatabaseOptions& options) override {
    const auto before = file(life_), now = file(++life_);
    for (const char* part : {"", "-wal"}) {
      std::error_code error;
      const auto from = std::filesystem::path(before.string() + part);
      if (!std::filesystem::exists(from, error)) continue;
      std::filesystem::copy_file(from, now.string() + part);
    }
    auto database = open_sqlite(now, options);
    if (!database) {
      std::fprintf(stderr, "%s: %s\n", now.c_str(), database.error().text.c_str());
      std::abort();
    }
    return std::move(*database);
  }
  bool shows_states() const override { return false; }
  const RowState* find(const std::string&, const Key&) const override { return nullptr; }

 private:
  std::filesystem::path file(uint64_t life) const {
    return folder_.path() / (std::to_string(life) + ".db");
  }

  const testing::TemporaryFolder folder_{"/dev/shm"};
  uint64_t life_ = 0;
};

}  // namespace

std::unique_ptr<Disk> memory_disk() { return std::make_unique<InMemory>(); }
std::unique_ptr<Disk> sqlite_disk() { return std::make_unique<InFiles>(); }

}  // namespace entente::simulation
