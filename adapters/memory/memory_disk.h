#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "adapters/database.h"

namespace entente {

// Everything durable of one memory database.
//
// Threads: the writer reads freely and holds `lock` while it changes anything; readers hold `lock`.
struct MemoryDisk {
  using Chain = std::array<uint8_t, 16>;
  using Rows = std::map<Key, RowState>;
  using RegisterName = std::tuple<std::string, Key, std::string>;  // table, key, group

  // An open conflict: its values are in the row's state.
  struct OpenMark {
    uint64_t id = 0;
    uint64_t detected_ms = 0;
  };

  // What users read: copied for a reader's snapshot.
  struct Contents {
    std::map<Origin, StreamState> streams;
    std::map<Origin, std::string> labels;
    std::map<std::string, TableDef, std::less<>> tables;
    std::map<std::string, Rows, std::less<>> rows;
    std::deque<ConflictEntry> resolved;     // the conflict log, oldest first
    std::map<RegisterName, OpenMark> open;  // exactly the registers that wait for a decision
  };

  mutable std::mutex lock;
  Origin self;  // all zeros: nothing was ever stored here
  Contents contents;
  uint64_t epoch = 0;
  Hlc hlc;
  uint64_t last_conflict = 0;
  VersionVector promised, collected;
  std::deque<LogChunk> log;        // positions ascend
  std::deque<uint64_t> logged_ms;  // when each of them was logged
  uint64_t log_bytes = 0;          // their records
  LogPosition log_head = 0;
  std::map<Origin, uint64_t> floors;                   // the last seq that was trimmed
  std::map<Origin, std::map<uint64_t, Chain>> chains;  // of the records in the log, and the floors'

  VersionVector applied() const;
  StreamState stream(const Origin& origin) const;
  const RowState* find(std::string_view table, const Key& key) const;
};

VersionVector applied(const MemoryDisk::Contents& contents);

}  // namespace entente
