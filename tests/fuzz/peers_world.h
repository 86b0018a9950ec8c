#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/memory/memory_database.h"
#include "adapters/sqlite/sqlite_database.h"

namespace entente::fuzz {

// A datacenter that has just taken in what its schema leader made, three times over: SQLite by its
// short way, SQLite by the general one, and the memory database. Each can go back to that moment.
//
// Threads: one.
class PeersWorld {
 public:
  enum class Which : size_t { kFast, kGeneral, kMemory, kCount };
  static PeersWorld& instance();

  Database& database(Which which) { return *sites_[static_cast<size_t>(which)].db; }
  Reader& reader(Which which) { return *sites_[static_cast<size_t>(which)].reader; }
  // Opens them again as they are.
  void reopen();
  // Takes all of them back.
  void restore();

  const DatabaseState& start() const { return start_; }
  const std::vector<TableDef>& tables() const { return tables_; }
  uint64_t wall_ms() const { return 1'700'000'000'000; }

 private:
  struct Site {
    std::unique_ptr<Database> db;
    std::unique_ptr<Reader> reader;
    std::filesystem::path file, pristine;
    std::shared_ptr<MemoryDisk> disk, pristine_disk;
  };

  PeersWorld();
  ~PeersWorld();
  void open(Which which);

  std::filesystem::path folder_;
  std::vector<Site> sites_;
  DatabaseState start_;
  std::vector<TableDef> tables_;
};

}  // namespace entente::fuzz
