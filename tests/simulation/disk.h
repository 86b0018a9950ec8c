#pragma once

#include <memory>

#include "adapters/database.h"
#include "conflict/row_state.h"

namespace entente::simulation {

// What a node keeps when it crashes, and the database over it.
class Disk {
 public:
  virtual ~Disk() = default;
  // The database as a process finds it that starts after the last one died. At most one is used.
  virtual std::unique_ptr<Database> open(const DatabaseOptions& options) = 0;
  // What a neighbour gets that replaces its database: a copy of what is there now, in which
  // options.fresh_origin, its datacenter's new life, begins when it is opened.
  virtual std::unique_ptr<Disk> copy(const DatabaseOptions& options) const = 0;
  // What a backup of it holds, or a clone: the same life.
  virtual std::unique_ptr<Disk> image() const = 0;
  // Whether rows() can be asked.
  virtual bool shows_states() const = 0;
  // The row's registers; null: nothing is known of it. REQUIRES: shows_states().
  virtual const RowState* find(const std::string& table, const Key& key) const = 0;
};

std::unique_ptr<Disk> memory_disk();
// SQLite in real files, in a folder in memory where there is one.
std::unique_ptr<Disk> sqlite_disk();

}  // namespace entente::simulation
