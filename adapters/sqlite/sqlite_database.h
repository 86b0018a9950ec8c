#pragma once

#include <filesystem>
#include <memory>

#include "adapters/database.h"

namespace entente {

// The embedded default: one SQLite file in WAL mode, synchronous=FULL. See README.md beside this
// file for its tables. Refuses (kCorrupt) a file that is not a database, and (kMismatch) one that
// belongs to another datacenter.
struct SqliteTuning {
  bool general_path_only = false;  // no short cuts for the usual case: for tests, which compare
  bool leave_tables = false;  // tables that are there do not join: adopt_sqlite() takes them in
  int wal_pages = 0;          // past so many the writer copies the WAL back itself; 0: as ever
  bool new_life = false;      // it is a copy, and becomes fresh_origin's: see begin_new_life()
};
Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path,
                                              const DatabaseOptions& options,
                                              const SqliteTuning& tuning = {});

}  // namespace entente
