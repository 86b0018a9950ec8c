#pragma once

#include <memory>
#include <optional>

#include "adapters/database.h"
#include "adapters/memory/memory_disk.h"

namespace entente {

// Reads a memory database: under the disk's lock, or, between begin() and end(), from a copy.
class MemoryReader final : public Reader {
 public:
  MemoryReader(std::shared_ptr<const MemoryDisk> disk, const ConflictRules& rules)
      : disk_(std::move(disk)), rules_(rules) {}

  Result<void> begin() override;
  void end() override { snapshot_.reset(); }
  Result<VersionVector> applied() override;
  Result<StatementResult> execute(const Statement& statement) override;
  Result<StatementDescription> describe(const Statement& statement) override;
  Result<RowRead> row(std::string_view table, std::span<const Value> key,
                      bool all_siblings) override;
  Result<std::vector<ConflictEntry>> conflicts(const ConflictQuery& query) override;
  Result<std::map<Key, Row>> table(std::string_view table) override;
  Result<DigestSlice> digests(const DigestQuery& query) override;
  Result<StateSlice> states(const StateQuery& query) override;
  Result<std::vector<TableDef>> tables() override;
  Result<std::optional<TableDef>> find_table(std::string_view table) override;

 private:
  // Runs `read` on the snapshot, or on what is there now.
  template <class Read>
  auto with(Read read) {
    if (snapshot_) return read(*snapshot_);
    const std::lock_guard held(disk_->lock);
    return read(disk_->contents);
  }

  const std::shared_ptr<const MemoryDisk> disk_;
  const ConflictRules rules_;
  std::optional<MemoryDisk::Contents> snapshot_;
};

}  // namespace entente
