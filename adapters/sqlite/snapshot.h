#pragma once

#include <filesystem>
#include <string>

#include "adapters/database.h"

namespace entente {

// A whole copy of a gateway's database: rows, what is known of them, its log.
struct SnapshotInfo {
  std::string dc;      // whose database it was
  Origin incarnation;  // and which life of it
  VersionVector applied;
};

// Copies a gateway's database, also while the gateway runs: as it was at one moment, durable, and
// proved by SQLite's integrity check. Nothing is written to `source`.
// Errors: kRefused (it fails the check, or is no gateway's database; `destination` is there).
Result<SnapshotInfo> snapshot_sqlite(const std::filesystem::path& source,
                                     const std::filesystem::path& destination);

// Proves a copy, and says what it is.
Result<SnapshotInfo> check_snapshot(const std::filesystem::path& path);
// Only says what it is.
Result<SnapshotInfo> describe_snapshot(const std::filesystem::path& path);

// Makes a copy, in place, the database of options.dc in a new life: its incarnation is
// options.fresh_origin, which has written nothing yet. All that the copy has applied stays applied,
// so that others send what came after it. No client may write to it before it has caught up with
// one of them: what they collected meanwhile would come back.
Result<void> begin_new_life(const std::filesystem::path& path, const DatabaseOptions& options);

}  // namespace entente
