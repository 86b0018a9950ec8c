#include "tests/simulation/disk.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "adapters/memory/memory_database.h"
#include "adapters/memory/memory_disk.h"
#include "adapters/sqlite/snapshot.h"
#include "adapters/sqlite/sqlite_database.h"
#include "tests/support/process.h"

namespace entente::simulation {
namespace {

class InMemory final : public Disk {
 public:
  explicit InMemory(std::shared_ptr<MemoryDisk> disk = make_memory_disk())
      : disk_(std::move(disk)) {}

  std::unique_ptr<Disk> copy(const DatabaseOptions&) const override {
    return std::make_unique<InMemory>(copy_memory_disk(*disk_));
  }
  std::unique_ptr<Disk> image() const override {
    auto image = copy_memory_disk(*disk_);
    image->self = disk_->self;
    return std::make_unique<InMemory>(std::move(image));
  }
  std::unique_ptr<Database> open(const DatabaseOptions& options) override {
    return open_memory(disk_, options);
  }
  bool shows_states() const override { return true; }
  const RowState* find(const std::string& table, const Key& key) const override {
    return disk_->find(table, key);
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
};

// Each life of a node has files of its own: what the one before had written when it died.
class InFiles final : public Disk {
 public:
  std::unique_ptr<Disk> image() const override {
    auto image = std::make_unique<InFiles>();
    copy_files(file(life_), image->file(0));
    return image;
  }
  std::unique_ptr<Database> open(const DatabaseOptions& options) override {
    const auto before = file(life_), now = file(++life_);
    copy_files(before, now);
    auto database = open_sqlite(now, options);
    if (!database) give_up(now, database.error());
    return std::move(*database);
  }
  std::unique_ptr<Disk> copy(const DatabaseOptions& options) const override {
    auto copy = std::make_unique<InFiles>();
    const auto begun = snapshot_sqlite(file(life_), copy->file(0)).and_then([&](const auto&) {
      return begin_new_life(copy->file(0), options);
    });
    if (!begun) give_up(copy->file(0), begun.error());
    return copy;
  }
  bool shows_states() const override { return false; }
  const RowState* find(const std::string&, const Key&) const override { return nullptr; }

 private:
  static void copy_files(const std::filesystem::path& from, const std::filesystem::path& to) {
    for (const char* part : {"", "-wal"}) {
      std::error_code error;
      const auto file = std::filesystem::path(from.string() + part);
      if (std::filesystem::exists(file, error)) {
        std::filesystem::copy_file(file, to.string() + part);
      }
    }
  }
  [[noreturn]] static void give_up(const std::filesystem::path& file, const Error& error) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), error.text.c_str());
    std::abort();
  }
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
