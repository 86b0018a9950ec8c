#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "adapters/database.h"
#include "adapters/memory/memory_disk.h"
#include "adapters/memory/row_view.h"
#include "conflict/row_changes.h"

namespace entente {

// One client transaction of a memory database while it runs: an overlay over the disk, which stays
// as it is until the transaction is published.
//
// Several writes of one row become one change, their net effect: what any of them had seen, the
// transaction has seen.
class MemorySession final : public WriteSession {
 public:
  // A row this transaction has touched.
  struct Touched {
    RowState before;
    RowState now;
    RowChange change;
    std::vector<Loss> losses;          // of applying `change` to `before`
    bool erased_nothing = false;       // the change came to nothing
    std::optional<Row> counters = {};  // what the context of a request showed of them
  };
  using RowName = std::pair<std::string, Key>;

  // All outlive the session. `version` is what the transaction will be stamped with if it succeeds.
  MemorySession(const MemoryDisk& disk, const DatabaseOptions& options, const Ranks& ranks,
                const Version& version);

  Result<StatementResult> execute(const Statement& statement) override;
  Result<RowOutcome> write(const RowRequest& request) override;
  Result<void> define(const TableDef& table) override;
  // In a transaction of its own.
  Result<void> edit(const TableEdit& edit) override;

  const std::vector<SchemaChange>& schema_changes() const { return schema_changes_; }
  const std::map<RowName, Touched>& touched() const { return touched_; }
  std::vector<Change> changes() const;  // in the order in which rows were first touched

 private:
  // What a write had seen of the row.
  struct Seen {
    std::optional<VersionVector> context;  // absent: all that is applied here
    std::vector<KeptSibling> kept;
  };
  struct Target {
    TableDef table;
    Layout layout;
    std::vector<Value> spelling;  // of the key
    Key key;
  };

  Result<void> check_leader() const;
  Result<Target> find(const RowRequest& request) const;
  const TableDef* table(std::string_view name) const;
  const RowState& current(const RowName& name) const;
  Result<void> check(const RowRequest& request, const RowView& row) const;
  Seen saw_nothing(const RowState& row, const Target& target) const;
  Result<Seen> seen_by(const RowRequest& request, const RowState& row, const Target& target) const;
  // The columns to write; absent: the row is to be erased.
  Result<std::optional<Row>> columns_of(const RowRequest& request, const Target& target,
                                        const RowState& state, const RowView& row) const;
  Result<std::optional<Row>> written(const RowRequest& request, const Target& target,
                                     const RowView& row) const;
  Result<Row> incremented(const RowRequest& request, const Target& target,
                          const RowView& row) const;
  Result<void> check_values(const Row& columns, const Target& target) const;
  Result<Row> stored(const Row& columns, const Target& target) const;
  static bool counts_over_context(const RowRequest& request);
  Row counters_after(const RowRequest& request, const Touched& row, const Layout& layout) const;
  RowOutcome outcome(const RowRequest& request, const Seen& seen, const RowState& before,
                     const Touched& row, const Layout& layout) const;
  Touched& touch(const RowName& name);
  Result<void> merge(Touched& row, const Target& target, const RowRequest& request, Seen seen,
                     std::optional<Row> columns);
  std::vector<KeptSibling> kept_by_both(const Touched& row, const Seen& seen) const;
  const VersionVector& effective(const std::optional<VersionVector>& context) const;

  const MemoryDisk& disk_;
  const DatabaseOptions& options_;
  const Ranks& ranks_;
  const Version version_;
  const VersionVector applied_;
  std::map<std::string, TableDef, std::less<>> created_;
  bool edited_ = false;
  std::vector<SchemaChange> schema_changes_;
  std::map<RowName, Touched> touched_;
  std::vector<RowName> order_;
};

}  // namespace entente
