#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adapters/database.h"
#include "conflict/late.h"
#include "gateway/api/late/unshipped_line.h"

namespace entente {

// What a removed datacenter has left, on its way into this database: batch by batch, because each
// change is made to what the row is by then (conflict/late.h).
//
// One gateway of the cluster does this, the schema leader's: another would make other records of
// the same transactions.
class LateBatches {
 public:
  LateBatches(Database& database, const ConflictRules& rules, std::vector<UnshippedLine> lines)
      : database_(database), rules_(rules), lines_(std::move(lines)) {}

  bool done() const { return next_ == lines_.size(); }
  // Transactions that are to be applied next; none: done, or `missing` has to come first.
  // It may be asked again for the same ones until they were taken().
  // Errors: kRefused: lines are missing, of what is not here yet.
  Result<std::vector<Run>> next(Reader& reader);
  void taken() { next_ = after_, had_ += skipped_, taken_ += batch_; }

  const VersionVector& missing() const { return missing_; }
  uint64_t lines_taken() const { return taken_; }
  uint64_t lines_had() const { return had_; }

 private:
  // What the database will be like after this batch.
  struct Ahead {
    DatabaseState state;
    VersionVector applied;
    std::vector<TableDef> tables;
    std::vector<Run> runs;
    std::set<std::pair<std::string, Key>> touched;
    size_t bytes = 0;
  };

  Result<Ahead> look(Reader& reader) const;
  bool must_wait(const Ahead& ahead, const Transaction& t) const;
  Result<void> add(Reader& reader, Ahead& ahead, const UnshippedLine& line);
  Result<void> make_late(Reader& reader, Ahead& ahead, const UnshippedLine& line, Transaction& t,
                         Transaction& sequel);
  static void see_sequels(const Ahead& ahead, VersionVector& context);
  static void append(Ahead& ahead, Transaction t, const std::string& dc);

  Database& database_;
  const ConflictRules& rules_;
  const std::vector<UnshippedLine> lines_;
  size_t next_ = 0, after_ = 0;
  uint64_t taken_ = 0, had_ = 0, batch_ = 0, skipped_ = 0;
  VersionVector missing_;
};

}  // namespace entente
