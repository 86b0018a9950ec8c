#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conflict/context.h"
#include "conflict/dot.h"

namespace entente::chaos {

// kUnknown: the answer was lost (a connection was cut, a gateway killed): it may have happened.
enum class Outcome { kAcknowledged, kUnknown, kRefused };

// One write of a client, as the client knows it. The rows of a transaction are one Write.
struct Write {
  std::string client, dc, key;
  std::optional<std::string> value;  // nothing: an erase
  Outcome outcome = Outcome::kUnknown;
  std::string refusal;  // status and body
  Version version;      // of what was acknowledged; {} where its answer has none (SQL)
  RowContext seen;      // what it had seen: what it presented, or all that its gateway had applied
};

using Rows = std::map<std::string, std::string>;  // key -> value

// What a client saw at one moment: rows of a snapshot, or one transaction of a change feed.
struct Read {
  std::string client, dc;
  Rows rows;
  Dot dot;  // of a feed's transaction
};

// A client's writes and reads are in the order in which it made them.
struct History {
  std::vector<Write> writes;
  std::vector<Read> reads;
  std::vector<size_t> writes_before;    // of each read: how many writes were recorded before it
  std::vector<std::string> complaints;  // answers that nobody should get
};

// What a datacenter shows in the end.
struct Final {
  Rows rows;                                            // by SQL
  std::map<std::string, std::set<std::string>> values;  // by the row API: all of a row's siblings
  std::map<Dot, std::optional<std::string>> losers;     // of the conflict log: their values
  friend bool operator==(const Final& a, const Final& b) {  // logs may differ (P2)
    return a.rows == b.rows && a.values == b.values;
  }
};
using Finals = std::map<std::string, Final>;  // by datacenter

using Violations = std::vector<std::string>;

// Histories are written by many clients at once.
class Recorder {
 public:
  void record(Write write) {
    const std::lock_guard lock(mutex_);
    history_.writes.push_back(std::move(write));
  }
  void record(Read read) {
    const std::lock_guard lock(mutex_);
    history_.writes_before.push_back(history_.writes.size());
    history_.reads.push_back(std::move(read));
  }
  void complain(std::string text) {
    const std::lock_guard lock(mutex_);
    history_.complaints.push_back(std::move(text));
  }
  // What was recorded, and begins anew.
  History take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(history_, {});
  }

 private:
  std::mutex mutex_;
  History history_;  // guarded by mutex_
};

}  // namespace entente::chaos
