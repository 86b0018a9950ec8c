#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/api/site.h"
#include "gateway/api/verify/digest_peer.h"
#include "gateway/api/verify/row_repair.h"

namespace entente {

// A row that differs between this datacenter and another.
struct DifferingRow {
  std::string table;
  Key key;
  RowDifference kind = RowDifference::kMissing;
  std::string dc;        // the other
  SeenRow mine, theirs;  // as they were
  bool repaired = false;
  std::string note;  // why it was not
};

// What a run has found so far.
struct VerificationReport {
  struct Peer {
    std::string dc;
    bool compared = false;  // all of it
    std::string reason;     // why not
  };
  bool running = true;
  bool repair = false;
  std::string from;  // whose rows a repair takes; "": see choose_copy
  uint64_t started_ms = 0;
  double seconds = 0;
  std::vector<Peer> peers;
  uint64_t rows = 0;       // compared, those of each other datacenter counted anew
  uint64_t different = 0;  // with another datacenter
  uint64_t busy = 0;       // changed whenever they were looked at
  uint64_t repaired = 0;
  std::vector<DifferingRow> differences;  // the first of them
  size_t bytes = 0;                       // of their rows; past a limit those are left out
};

// Compares all tables here with those of other datacenters, and repairs what differs if it is
// asked to. Writes go on meanwhile: a row is different only if no change under way explains it
// (look_again).
//
// What it is:  a table is compared in slices of rows, in the order of their keys. A slice is one
//              digest; if it differs, its parts' digests are compared, then the rows of the parts
//              that differ: a tree, of which each side only ever holds a slice.
// Threads:     the loop's.
// Bounds:      limits.verify_rate rows a second; a slice in memory; kDifferencesMax rows named.
class VerificationRun {
 public:
  VerificationRun(const Site& site, VerificationReport report);

  Task<void> run();
  // It ends as soon as it can.
  void stop();
  const VerificationReport& report() const { return report_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Slice {
    std::string table;
    Key after;
    DigestAnswer mine, theirs;
    std::vector<Key> bounds;  // none: to the last row
  };
  struct Suspect {
    Key key;
    std::optional<RowPair> first;
  };
  Task<Result<void>> compare(DigestPeer& peer);
  Task<Result<void>> compare_table(DigestPeer& peer, std::string table);
  Task<Result<void>> read_slice(DigestPeer& peer, Slice& slice);
  Task<Result<void>> compare_parts(DigestPeer& peer, const Slice& slice);
  Task<Result<void>> find_suspects(DigestPeer& peer, const DigestQuestion& part,
                                   std::vector<RowDigest> mine, std::vector<Suspect>& suspects);
  Task<Result<void>> settle(DigestPeer& peer, std::string table, std::vector<Suspect> suspects);
  Task<Result<void>> look(DigestPeer& peer, const std::string& table, std::vector<Suspect>& batch,
                          std::vector<Suspect>& still);
  void note(DigestPeer& peer, const std::string& table, SeenRow mine, SeenRow theirs);

  Task<void> repair_all();
  Task<Result<void>> repair(const DifferingRow& row);
  Task<Result<void>> repair_once(const DifferingRow& row, Clock::time_point deadline);
  Task<Result<void>> write(std::vector<RowRequest> writes);
  Task<Result<void>> confirm(const DifferingRow& row, Clock::time_point deadline);
  Task<Result<std::vector<SeenCopy>>> copies_of(std::string table, Key key);
  Task<Result<TableDef>> definition(std::string table);

  Task<Result<DigestAnswer>> read(DigestQuestion question);
  Task<Result<std::vector<std::string>>> tables();
  Task<void> pace(uint64_t rows);
  Task<void> wait(std::chrono::milliseconds length);

  const Site& site_;
  VerificationReport report_;
  std::vector<std::unique_ptr<DigestPeer>> peers_;
  Clock::time_point due_;  // when the next slice may be read
  bool stopping_ = false;
};

}  // namespace entente
