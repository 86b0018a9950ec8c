#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/table_rights.h"
#include "conflict/context.h"
#include "conflict/policy.h"
#include "conflict/result.h"
#include "conflict/row_digest.h"
#include "conflict/row_parts.h"
#include "conflict/row_state.h"
#include "conflict/transaction.h"

namespace entente {

// ---- What a client asks ------------------------------------------------------------------------

// What a connection's own functions answer: last_insert_rowid(), changes() and total_changes().
struct ConnectionCounts {
  int64_t last_insert_rowid = 0;
  int64_t changes = 0;
  int64_t total_changes = 0;
};

// One SQL statement. Arguments: by position, or by name with or without its `:`, `@` or `$`.
struct Statement {
  std::string sql;
  std::vector<Value> args;
  std::vector<std::pair<std::string, Value>> named;
  bool want_rows = true;
  // A promise that saves a savepoint: it is the only thing its transaction does, and the
  // transaction succeeds if it does.
  bool alone = false;
  // Of a schema statement: whether dropping a table acts on those that refer to it.
  bool enforce_foreign_keys = true;
  // Of the client's connection, before this statement. In a transaction those of the first count.
  ConnectionCounts counts = {};
  // Of a reader: kBusy, "not_brief", sooner than the caller, whom many wait for, would mind.
  bool briefly = false;
  // What its client may do in tables; absent: everything.
  std::shared_ptr<const TableRights> rights = {};
};

struct StatementResult {
  struct Column {
    std::string name;
    std::optional<std::string> decltype_;
  };
  std::vector<Column> columns;
  std::vector<std::vector<Value>> rows;
  uint64_t affected = 0;
  std::optional<int64_t> last_insert_rowid;
  std::optional<ConnectionCounts> counts = {};  // after a statement that wrote rows
};

// What a statement takes and gives.
struct StatementDescription {
  std::vector<std::optional<std::string>> parameters;  // in order; absent: a plain `?`
  std::vector<StatementResult::Column> columns;
  bool is_explain = false;
  bool is_readonly = false;
};

// One row write of the row API.
struct RowRequest {
  enum class Kind {
    kPut,
    kPatch,
    kErase,
    kIncrement,  // counters: `columns` are the amounts
    kResolve,    // what the policies that decide on reading make of the row; kNotFound: nothing
    kRenew,      // a put that makes the row anew over what its context has seen: sets and counters
                 // begin with these values; kNotReached: they have parts that it has not
  };
  Kind kind = Kind::kPut;
  std::string table;
  std::vector<Value> key;     // in primary-key order
  Row columns;                // put: those not named take their default; patch: those to change
  std::vector<Floor> floors;  // renew: what others know of the counters' parts
  std::optional<RowContext> context;    // absent: the table's `blind` rule
  std::optional<std::string> if_match;  // the ETag the row must have here
  bool if_none_match = false;           // the row must not exist here
  std::optional<Dot> pick;              // put: take the columns of this sibling instead
  bool resolution = false;              // somebody decided a conflict: the log says so
  std::string decided_by = {};          // and who, if that is known
};

// Whether concurrent values of a row met, and somebody has yet to decide about them.
enum class RowConflict { kNone, kResolved, kOpen };

// As the API and SQL say it.
constexpr std::string_view to_string(RowConflict conflict) {
  switch (conflict) {
    case RowConflict::kNone:
      return "none";
    case RowConflict::kResolved:
      return "resolved";
    case RowConflict::kOpen:
      break;
  }
  return "open";
}

// What a row write did. `context` covers what its writer has now seen of the row; it is complete
// once the transaction's dot is added (Committed).
struct RowOutcome {
  RowContext context;
  RowConflict conflict = RowConflict::kNone;  // resolved: it replaced, or stands beside, several
};

// A change to one table, for who has no SQL at hand.
struct TableEdit {
  enum class Kind {
    kAddColumn,     // `column` at the end; its fill is its default
    kDropColumn,    // the one that has the name of `column`
    kRenameColumn,  // that one, to `name`
    kRename,        // the table, to `name`
    kDrop,          // the table
  };
  Kind kind = Kind::kAddColumn;
  std::string table;
  ColumnDef column = {};
  std::string name = {};
};

// The door to one client transaction, open while it runs.
class WriteSession {
 public:
  virtual ~WriteSession() = default;
  virtual Result<StatementResult> execute(const Statement& statement) = 0;
  virtual Result<RowOutcome> write(const RowRequest& request) = 0;
  // Creates a table (at the schema leader) from its definition.
  virtual Result<void> define(const TableDef& table) = 0;
  // Changes one (at the schema leader).
  virtual Result<void> edit(const TableEdit& edit) = 0;
};

// Runs the statements of one transaction; an error rolls all of it back. It may be long (an
// interactive client): then it is a group of its own.
using ClientTransaction = std::function<Result<void>(WriteSession&)>;

struct Committed {
  std::optional<Dot> dot;  // absent: it changed nothing
  Hlc hlc;
  VersionVector applied;  // this database's vector right after it
};

// ---- What comes out ----------------------------------------------------------------------------

// A position in the local log: apply order. Positions count without gaps; they mean nothing
// elsewhere.
using LogPosition = uint64_t;

struct LogChunk {
  LogPosition position = 0;
  Run run;
};

// A run as a log holds it.
struct LoggedRun {
  Run run;
  std::array<uint8_t, 16> chain_before{};  // its origin's hash chain before the first record
};

// A group that has logged this much is full: the next transaction begins another one.
inline constexpr size_t kGroupBytes = 4u << 20;

struct CommittedGroup {
  // One per client transaction, in order; fewer than those if the group was full.
  std::vector<Result<Committed>> results;
  std::optional<LogChunk> chunk;  // what was logged; absent if nothing changed
};

// One value of a row, as `?siblings=all` and the conflict log list it.
struct RowVersion {
  Version version;
  std::string dc;
  std::optional<Row> row;  // without the key columns; absent: deleted
};

struct RowRead {
  std::optional<Row> row;  // what SQL shows, key columns included; absent: no such row
  RowContext context;
  std::string etag;     // of the set of values here; "" for a row that never was
  size_t siblings = 0;  // values that differ; 1 in the usual case
  RowConflict conflict = RowConflict::kNone;
  PolicyKind policy = PolicyKind::kLww;
  bool decides_on_read = false;    // open, and kResolve can decide it
  std::vector<RowVersion> values;  // only when asked for; so are
  RowParts parts;                  // what it is made of
};

struct ConflictEntry {
  uint64_t id = 0;  // grows; local
  std::string table;
  Key key;
  std::string group;  // the register: "" the row, or a column
  PolicyKind policy = PolicyKind::kLww;
  bool open = false;
  std::string kind;  // "insert-insert", "update-update", "update-delete", … loser first; or
                     // "constraint": the row is valid but this database refuses to show it;
                     // "unique": another row holds its UNIQUE key
  RowVersion winner;
  std::vector<RowVersion> losers;  // resolved: what lost to it; open: all that SQL does not show
  uint64_t detected_ms = 0;        // Unix, this gateway's clock
  std::string
      decided_by;  // "lww", "merge: text", "handler cart lua:…", "operator:ada", …; "" while open
  std::string note;  // open: why a handler failed, what is in the way
};

struct ConflictQuery {
  enum class State { kAny, kOpen, kResolved } state = State::kAny;
  std::string table;  // "" all
  std::optional<Key> key;
  uint64_t after_id = 0;
  size_t limit = 100;
};

// Which rows to digest: the named ones, or those whose keys are after `after` and not after `upto`,
// in the order of their keys, as SQLite has it.
struct DigestQuery {
  std::string table;
  std::vector<Key> keys = {};
  Key after = {};                // "" from the first row on
  std::optional<Key> upto = {};  // absent: to the last
  size_t rows_max = SIZE_MAX;    // to look at, deleted ones included
};

struct DigestSlice {
  std::vector<RowDigest> rows;  // of a range: without those that are absent
  Key last;                     // the last row that was looked at
  size_t looked_at = 0;
  bool complete = true;  // that was all
};

// Which rows' states to read: the named ones, or in the order of their keys.
struct StateQuery {
  std::string table;
  Knows knows;                 // without rows in which nothing is news to who knows this
  Key after = {};              // "" from the first row on
  size_t rows_max = SIZE_MAX;  // to look at
  std::vector<Key> keys = {};  // if there are any: these rows, known of or not, and nothing else
};

struct StateSlice {
  std::vector<RowState> rows;
  Key last;  // the last row that was looked at
  bool complete = true;
};

// ---- The database ------------------------------------------------------------------------------

// What a database knows when it is opened.
struct DatabaseState {
  Origin self;
  std::map<Origin, StreamState> streams;  // one per origin; their seqs are the applied vector
  std::map<Origin, std::string> labels;   // origin -> datacenter
  LogPosition log_head = 0;
  uint64_t epoch = 0;
  Hlc hlc;
  VersionVector promised;   // what clients' contexts must cover; see Database::promise
  VersionVector collected;  // what was ever told to be collected here: others' promises cover it
};

// What of the log is kept although every datacenter has it, for readers who were away.
struct LogRetention {
  uint64_t since_ms = UINT64_MAX;  // what was logged at or after this time stays,
  uint64_t bytes = UINT64_MAX;     // unless the log's records are more than this
};

// What one slice of collecting did.
struct Collected {
  size_t rows = 0;         // from which something was taken
  bool round_over = true;  // the next call starts with the first row again
};

// A schema change of the leader's that cannot be made here: what it would have made is missing.
struct LeftOut {
  uint64_t epoch = 0;
  std::string sql, why;
};

// A reading connection. One thread at a time. Between begin() and end() everything is read from one
// snapshot; outside, each call from one of its own.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<void> begin() = 0;
  virtual void end() = 0;
  // What the snapshot contains.
  virtual Result<VersionVector> applied() = 0;
  // kRefused for a statement that writes.
  virtual Result<StatementResult> execute(const Statement& statement) = 0;
  // Compiles it, one that writes too, and runs nothing. Of the statement: text and rights.
  virtual Result<StatementDescription> describe(const Statement& statement) = 0;
  virtual Result<RowRead> row(std::string_view table, std::span<const Value> key,
                              bool all_siblings) = 0;
  virtual Result<std::vector<ConflictEntry>> conflicts(const ConflictQuery& query) = 0;
  // Every row of a table by canonical key, as users see it. For tests, demos and verification.
  virtual Result<std::map<Key, Row>> table(std::string_view table) = 0;
  // Rows as replicas compare them.
  virtual Result<DigestSlice> digests(const DigestQuery& query) {
    return fail(Code::kRefused, "this database cannot digest table " + query.table);
  }
  // Rows as replication knows them, deleted and hidden ones, too. Not those that nobody wrote
  // through a gateway.
  virtual Result<StateSlice> states(const StateQuery& query) {
    return fail(Code::kRefused, "this database cannot tell the states of table " + query.table);
  }
  virtual Result<std::vector<TableDef>> tables() = 0;
  // Tables that were dropped, and whose place another may still take. Only states() knows them.
  virtual Result<std::vector<TableDef>> retired_tables() { return std::vector<TableDef>{}; }
  virtual Result<std::optional<TableDef>> find_table(std::string_view table) = 0;
};

// What another database of the cluster has and this one lacks, on its way in: the other's rows as
// they are, not the changes that made them. See state_join.h.
//
// Threads:     the writer's. Nobody else uses the database until finish() returns.
// Durability:  each call's part when it returns. What is applied moves last, in finish(): a
// database
//              that was left in between claims nothing of it, but holds some, and is of no use.
// Errors:      as Database's; the database is of no use then.
class StateJoin {
 public:
  virtual ~StateJoin() = default;
  // Rows of a table that the other knows as `table`; once for each of its tables, if only with
  // none. Those of a table that is gone are left out.
  virtual Result<void> rows(const TableDef& table, std::vector<RowState> rows) = 0;
  // Then, resolved conflicts that the other has listed. Losers that are listed here are left out.
  virtual Result<void> conflicts(std::vector<ConflictEntry> entries) = 0;
  // Records that the other's log holds and that are not applied here, in the other's order; of each
  // origin without gaps, up to what the other has applied.
  virtual Result<void> log(std::vector<LoggedRun> records) = 0;
  // All of it is in. Of an origin whose records are not all in the log from then on, those before
  // the gap are forgotten.
  virtual Result<void> finish() = 0;
};

// One datacenter's database, as its gateway sees it.
//
// Threads:     commit(), apply(), promise(), collect() and trim_log() from one thread, the writer;
//              the rest from any.
// Durability:  when commit() or apply() returns, its effect survives power loss.
// Idempotence: applying a transaction whose dot is covered changes nothing and succeeds.
// Order:       transactions enter the log in the order they become visible, which is causal.
// Errors:      kBusy (retry), kExhausted (disk full: nothing was changed, reads go on), kCorrupt
//              (stop this gateway), kInvalid (bytes that are not a record: nothing was changed),
//              kFork (apply: whoever wrote this had gone back; nothing was changed).
class Database {
 public:
  virtual ~Database() = default;

  virtual DatabaseState state() const = 0;

  // Runs each client transaction in its own savepoint, stamps and logs those that succeed, then
  // commits the group durably. A failing transaction never rolls back its neighbours. What comes
  // after kGroupBytes was not run, has no result, and belongs into another group: so no run of the
  // log is longer than that and one transaction. An error for the whole: nothing of the group was
  // committed.
  virtual Result<CommittedGroup> commit(std::span<const ClientTransaction> group,
                                        uint64_t wall_ms) = 0;

  // Applies transactions of other origins, all durable at once or none. REQUIRES: in this order
  // each is causally ready. Returns what was logged, in log order.
  virtual Result<std::vector<LogChunk>> apply(std::span<const Run> runs, uint64_t wall_ms) = 0;

  // A client's transaction whose record is longer than this is refused from now on, with kTooLarge:
  // some datacenter could not take it. From any thread.
  virtual void limit_records(size_t bytes) = 0;

  virtual Result<std::unique_ptr<Reader>> reader() = 0;

  // Chunks after `position`, oldest first, at least one if there is any, then up to max_bytes.
  virtual Result<std::vector<LogChunk>> read_log(LogPosition position, size_t max_bytes) = 0;
  // The position after which the log holds (origin, seq) and all later ones of that origin;
  // kNotFound if the log was trimmed past it, or never held it. The head if there is none yet.
  virtual Result<LogPosition> position_before(const Origin& origin, uint64_t seq) = 0;
  // The hash chain of an origin at seq, if the log still reaches it.
  virtual Result<std::optional<std::array<uint8_t, 16>>> chain_at(const Origin& origin,
                                                                  uint64_t seq) = 0;
  // Begins to take in what another database, which is as `theirs` says, has and this one lacks.
  // REQUIRES: the other's schema epoch is not later. The result does not outlive the database.
  virtual Result<std::unique_ptr<StateJoin>> join(const DatabaseState& /*theirs*/,
                                                  uint64_t /*wall_ms*/) {
    return fail(Code::kRefused, "this database cannot take in another's rows");
  }
  // Tries again what handlers failed to decide, some rows a call; returns how many still wait.
  // Forgets resolved conflicts that are too old.
  virtual Result<size_t> judge_again(uint64_t wall_ms) = 0;
  // Forgets log chunks that `stable` covers whole, oldest first, up to the first that it does not
  // or that is kept.
  virtual Result<void> trim_log(const VersionVector& stable, const LogRetention& keep) = 0;

  // How often another process was found to have written to the database. From any thread.
  virtual uint64_t foreign_writes() const { return 0; }

  // Schema changes that failed here, oldest first. They are tried again after every later one, and
  // when the database is opened. From any thread.
  virtual std::vector<LeftOut> left_out() const { return {}; }

  // Copies the whole database to a file, as it is at one moment, while it goes on. From any thread;
  // it takes its time. Durable when it returns; after an error there is no file.
  virtual Result<void> snapshot(const std::filesystem::path& to) {
    return fail(Code::kRefused, "this database cannot be copied to " + to.string());
  }

  // Promises, durably, to refuse client contexts that do not cover `floor`: kPrecondition,
  // "context_expired". Never goes back. A write that saw nothing (`blind: sibling`) counts as
  // having seen the floor, and keeps what lasts of the row (lasting_siblings). REQUIRES: what is
  // applied covers it.
  virtual Result<void> promise(const VersionVector& floor) = 0;
  // Collects what nobody can ask for any more: tombstones and settled siblings all of whose dots
  // `stable` covers. Goes round all rows, a slice of at most `rows_max` a call, each call from
  // where the last one stopped. REQUIRES: every change not applied here yet has seen `stable`
  // (Replica::collectable).
  virtual Result<Collected> collect(const VersionVector& stable, size_t rows_max) = 0;
};

// The refusal of a transaction whose record is longer than limit_records().
inline Error record_too_long(size_t bytes, size_t limit) {
  return {Code::kTooLarge,
          "the transaction's record has " + std::to_string(bytes) +
              " bytes; the limit, so that every datacenter takes it in one frame "
              "(limits.frame_bytes), is " +
              std::to_string(limit) + ": split it",
          "transaction_too_large"};
}

// What every adapter is told when it opens a database.
struct DatabaseOptions {
  std::string dc;       // whose database this is; declared in the first record
  Origin fresh_origin;  // random: becomes self if the database is new
  ConflictRules rules;
  std::string rules_version;  // when it changes, every row with siblings is judged anew
  uint8_t key_slot = 0;       // this datacenter's own, for keys that nobody names (new_key.h)
  bool alone = false;         // the cluster is this datacenter alone
  bool schema_leader = true;  // schema changes are accepted here
  std::string schema_leader_name;
  uint64_t wall_ms = 0;                               // now, for the declaration of a new origin
  size_t conflict_log_rows = 1'000'000;               // oldest resolved conflicts go first
  uint64_t conflict_log_ms = 30ull * 24 * 3'600'000;  // and those that are older
  size_t transaction_bytes = 64ull << 20;             // one transaction's record
  SiblingBounds siblings = {};                        // what a local write may leave in a row
  size_t result_bytes = 64ull << 20;                  // one statement's result
  uint64_t statement_ms = 10'000;                     // one statement's run time
  size_t statement_memory = 256ull << 20;             // what one may take while it runs
  size_t sql_bytes = 1ull << 20;                      // one statement's text
};

}  // namespace entente
