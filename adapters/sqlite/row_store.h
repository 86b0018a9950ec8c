#pragma once

#include <array>
#include <boost/container/flat_map.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/sqlite/catalog.h"
#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/versions.h"
#include "conflict/codec.h"
#include "conflict/row_changes.h"

namespace entente::sqlite {

// How many rows of a table have something to say beyond their version: while there are none, a
// write need not look. Kept by the writer.
struct Extras {
  int64_t siblings = 0;
  int64_t quarantined = 0;
  int64_t orphans = 0;  // listed as such; not shown or shown
  bool none() const { return siblings == 0 && quarantined == 0; }
};
using ExtrasByTable = std::unordered_map<int64_t, Extras>;

// Takes out the columns that were dropped here, or are not yet here.
void forget_unknown_columns(Row& columns, const Table& t);
// The row with the key columns that it does not spell itself.
Result<Row> with_key(const Table& t, const Key& key, Row row);
// Binds the parts of a key from parameter `first` on. The key must outlive the step. kInvalid if it
// has not so many: then the statement must not run, it may hold what an earlier key left behind.
Result<void> bind_key(Stmt& stmt, int first, size_t parts, std::string_view key);
// Binds the value that `in` stands before. False if it is malformed.
bool bind_encoded(Stmt& stmt, int at, ByteReader& in);

// Registers that are listed as open conflicts, each with the note why.
using OpenGroups = boost::container::flat_map<std::string, std::string, std::less<>>;

// Everything known of one row, and what the user's table shows of it.
struct Loaded {
  RowState state;
  OpenGroups open = {};
  std::optional<RowMeta> meta;
  std::optional<Row> shown;  // key columns included
};

// What happened to rows since somebody looked what it means for others (visibility.h).
struct RowNews {
  std::set<std::pair<int64_t, Key>> changed;  // rows with foreign keys: by table, key
  std::set<std::pair<int64_t, Key>> gone;     // parents that are not shown any more, or otherwise
  std::set<int64_t> came;                     // tables in which parents came to be shown
  bool empty() const { return changed.empty() && gone.empty() && came.empty(); }
};

// Rows and their versions on one connection: the bridge between RowState and tables.
// Threads: the connection's. It never begins or ends a transaction.
class RowStore {
 public:
  RowStore(Connection& db, ConflictLog* log, ExtrasByTable* extras)
      : db_(db), log_(log), extras_(extras) {}

  Result<std::optional<RowMeta>> meta(const Table& t, std::string_view key);
  Result<void> put_meta(const Table& t, std::string_view key, const RowMeta& meta);
  // The steady state: every register of the row has this stamp.
  Result<void> put_stamp(const Table& t, std::string_view key, const Stamp& stamp);
  // The same, written with others in one statement: by flush(), or before anything else looks at
  // this row's version.
  Result<void> put_stamp_later(const Table& t, std::string_view key, const Stamp& stamp);
  // Writes what waits, here and in the conflict log.
  Result<void> flush();
  // A deleted row of which nobody can ask any more.
  Result<void> forget_row(const Table& t, const Key& key, const RowMeta& meta);
  // Forgets what waits: it belongs to a transaction that is undone.
  void drop_waiting();
  Result<std::optional<Row>> shown(const Table& t, std::string_view key);
  Result<void> delete_row(const Table& t, std::string_view key);
  // Of the user's table alone: `row` with its key, as replace_sql() or insert_sql() of it does.
  Result<void> insert_row(const Table& t, const Key& key, const Row& row, bool replace = false);

  Result<Loaded> load(const World& world, const Table& t, const Key& key);
  // The same, with what the user's table showed at the time that the version row speaks of.
  Result<Loaded> load(const World& world, const Table& t, const Key& key, std::optional<Row> shown);
  Result<Loaded> load(const World& world, const Table& t, const Key& key, std::optional<Row> shown,
                      std::optional<RowMeta> meta);
  // True if a table that shows `shown` shows `want`, the visible row of this key; other columns
  // that it leaves out do not matter.
  static bool shows(const Table& t, const Key& key, const std::optional<Row>& shown,
                    const std::optional<Row>& want);
  // Makes the tables say what `row.state` says, where they said what `row.shown` and `row.meta`
  // say. A constraint that refuses the visible row puts it into quarantine; that is not an error.
  Result<void> store(const World& world, const Table& t, const Key& key, const Loaded& row,
                     uint64_t now_ms);
  // The same, for who has the verdicts at hand.
  Result<void> store(const World& world, const Table& t, const Key& key, const Loaded& row,
                     const Verdicts& verdicts, uint64_t now_ms);

  // A row came to be shown, or is not any more, in whatever way; both, if what refers to it may not
  // find it any more.
  void note(const Table& t, std::string_view key, bool gone, bool came);
  // Its foreign keys may name other parents.
  void note_change(const Table& t, std::string_view key);
  RowNews& news() { return news_; }

  // Brings what side tables hold of the rows of a table that was `was` to what it is now.
  Result<void> conform(const World& world, const Table& was, const Table& now, uint64_t now_ms);

  // Why a row that exists is not in the user's table.
  enum class Hidden { kNo, kConstraint, kUnique, kOrphan };
  // Why the table refuses a row, of the error that the last statement ended with; kNo: it does not
  // come from the row.
  Hidden refusal(const Error& error) const;
  // The same, but the row is not shown, though its own constraints would let it.
  Result<void> hide(const World& world, const Table& t, const Key& key, const Loaded& row,
                    Hidden why, uint64_t now_ms);

  // The i-th of a table's statements, compiled once.
  enum class Plan {
    kReadVersion,
    kPutVersion,
    kPutVersions,
    kDeleteVersion,
    kReadRow,
    kInsertRow,
    kUpdateRow,  // all columns but the key's, by name
    kDeleteRow,
    kCount
  };
  Result<Stmt*> plan(const Table& t, Plan which);
  // Any other statement of ours, compiled once; few are in use.
  Result<Stmt*> plan(const std::string& sql);
  // Forgets those when they became many. Call while none is in use.
  void tidy();
  // Forgets all: tables came or went.
  void forget() { plans_.clear(), others_.clear(), drop_waiting(); }

 private:
  struct Later {
    uint32_t key_at = 0, key_size = 0;
    Stamp stamp;
  };
  Result<void> flush_versions();
  Result<void> mark_unsettled(const Table& t, std::string_view key);
  bool waits(const Table& t, std::string_view key) const;
  std::string_view key_of(const Later& l) const {
    return std::string_view(later_keys_).substr(l.key_at, l.key_size);
  }
  Result<void> put_row(const Table& t, const Key& key, const Row& row, bool exists);
  Result<void> update_row(const Table& t, const Key& key, const Row& row);
  struct Outcome {
    Hidden why = Hidden::kNo;
    std::string note;  // in SQLite's words
  };
  Result<Outcome> show(const Table& t, const Key& key, const std::optional<Row>& want,
                       const Loaded& before);
  Result<void> write_down(const World& world, const Table& t, const Key& key,
                          const Verdicts& verdicts, const Loaded& row, const Outcome& outcome,
                          uint64_t now_ms);
  Result<void> conform(const World& world, const Table& was, const Table& now,
                       const PresentNames& names, const Key& key, uint64_t now_ms);
  Result<void> load_siblings(const World& world, const Table& t, const Key& key, Loaded& row);
  Result<void> forget_siblings(const Table& t, const Key& key);
  Result<void> list_open(const Table& t, const Key& key, const OpenGroups& was,
                         const OpenGroups& now, uint64_t now_ms);
  Result<void> count(const Table& t, const Key& key, const RowMeta& was, const RowMeta& now,
                     const Outcome& outcome, uint64_t now_ms);

  struct Plans {
    uint64_t of = 0;  // TableDef::changed
    std::array<Stmt, static_cast<size_t>(Plan::kCount)> statements;
  };
  Connection& db_;
  RowNews news_;
  const Table* later_table_ = nullptr;
  std::vector<Later> later_;  // all of later_table_; kVersionsAtOnce at most
  std::string later_keys_;
  ConflictLog* log_;       // null for readers
  ExtrasByTable* extras_;  // null for readers
  std::unordered_map<int64_t, Plans> plans_;
  std::unordered_map<std::string, Stmt> others_;
};

// A value of the row's current set: changes whenever the set does. "" for a row that never was.
std::string etag_of(const RowState& state);

}  // namespace entente::sqlite
