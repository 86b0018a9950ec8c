#pragma once

#include <memory>

#include "adapters/database.h"

namespace entente {

// What survives a crash of a memory database: hold it to open the database again.
struct MemoryDisk;
std::shared_ptr<MemoryDisk> make_memory_disk();

// A copy of it, as it is now. The next to open it begins a new life there, as options.fresh_origin,
// with all that was applied applied.
std::shared_ptr<MemoryDisk> copy_memory_disk(const MemoryDisk& disk);

// The reference model: the whole of Database in the plainest data structures, for contract tests,
// the simulator and trying things out. No SQL: execute() answers kRefused; tables are made with
// define(). Everything committed is on `disk` when commit() or apply() returns.
std::unique_ptr<Database> open_memory(std::shared_ptr<MemoryDisk> disk,
                                      const DatabaseOptions& options);

}  // namespace entente
