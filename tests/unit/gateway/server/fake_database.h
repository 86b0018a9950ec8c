#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adapters/database.h"

namespace entente::test {

// A database of one datacenter in a map, for what stands in front of a database: no log to read,
// and no conflicts but those that a test lists. Table `t` has the key `id` (INTEGER) and table
// `pair` the key (`a` TEXT, `b` INTEGER). SQL goes to `sql`, which a test sets.
class FakeDatabase : public Database {
 public:
  using Rows = std::map<Key, Row>;
  using Sql = std::function<Result<StatementResult>(const Statement&, bool reading)>;

  FakeDatabase();

  DatabaseState state() const override;
  Result<CommittedGroup> commit(std::span<const ClientTransaction> group,
                                uint64_t wall_ms) override;
  Result<std::vector<LogChunk>> apply(std::span<const Run> runs, uint64_t wall_ms) override;
  void limit_records(size_t) override {}
  Result<std::unique_ptr<Reader>> reader() override;
  Result<std::vector<LogChunk>> read_log(LogPosition, size_t) override { return {}; }
  Result<LogPosition> position_before(const Origin&, uint64_t) override { return 0; }
  Result<std::optional<std::array<uint8_t, 16>>> chain_at(const Origin&, uint64_t) override {
    return std::nullopt;
  }
  Result<void> trim_log(const VersionVector&, const LogRetention&) override;
  Result<void> promise(const VersionVector& floor) override;
  Result<size_t> judge_again(uint64_t wall_ms) override;
  Result<Collected> collect(const VersionVector& stable, size_t rows_max) override;

  static Origin self();
  static std::vector<TableDef> definitions();

  // What commit() and apply() answer for the whole group, if set.
  void fail_with(std::optional<Error> error);
  // The next commit blocks before it does anything, until let_go().
  void hold();
  void wait_until_held();
  void let_go();

  // A group is full once it has committed so many.
  void full_after(size_t transactions);
  std::vector<size_t> group_sizes() const;  // 0: an apply
  size_t trims() const;
  VersionVector promised() const;
  std::vector<VersionVector> collects() const;  // one per slice
  // How many slices a round of collecting takes.
  void set_collect_slices(size_t slices);
  void wait_for_collects(size_t slices);

  // REQUIRES: the lock is held, or the writer is the caller.
  struct State {
    std::map<std::string, Rows, std::less<>> tables;
    std::set<std::string> texts;  // keys written by SQL statements, for tests to look at
    VersionVector applied;
  };
  State snapshot() const;

  // What the conflict log holds, by id. Set it before the requests that read it.
  std::vector<ConflictEntry> conflict_log;
  // The last row write that was asked for.
  std::optional<RowRequest> last_write() const;
  void note(const RowRequest& request);

  Sql sql = [](const Statement&, bool) -> Result<StatementResult> { return StatementResult{}; };

 private:
  void wait_if_held();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_;
  std::optional<Error> failure_;
  bool hold_ = false, held_ = false;
  std::vector<size_t> group_sizes_;
  size_t full_after_ = SIZE_MAX;
  size_t trims_ = 0;
  std::optional<RowRequest> last_write_;
  VersionVector promised_;
  std::vector<VersionVector> collects_;
  size_t collect_slices_ = 1;
};

}  // namespace entente::test
