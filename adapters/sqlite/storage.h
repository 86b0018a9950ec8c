#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/catalog.h"
#include "adapters/sqlite/row_store.h"
#include "conflict/new_key.h"

namespace entente::sqlite {

// One origin as _entente_origins keeps it.
struct Stream {
  int64_t id = 0;  // local
  std::string dc;
  StreamState state;
};

// The highest small number of a row that was inserted here, by the table's local id.
struct SmallNumbers {
  std::map<int64_t, int64_t> made;
  std::set<int64_t> unsaved;  // tables that got one in this group
};

// All that the writer keeps in memory; the file says the same between two commits.
struct FileState {
  Origin self;
  VersionVector applied;  // applied.at(o) == streams[o].state.seq
  HlcClock clock;
  NewKeys keys;
  SmallNumbers numbers;
  uint64_t epoch = 0;
  LogPosition log_head = 0;
  uint64_t log_total = 0;  // bytes of the records in the log, and of the older ones trimmed since
                           // it was empty
  std::map<Origin, Stream> streams;
  std::shared_ptr<const World> world;
  ExtrasByTable extras;
  // Earlier worlds, until the transaction in which they were replaced is over: somebody may still
  // point into them.
  std::vector<std::shared_ptr<const World>> retired;
  VersionVector promised, collected;
  std::vector<LeftOut> left_out;  // by epoch
};

// The numbers of this life of this datacenter. Absent: it has had too many lives.
std::optional<SmallKeys> small_keys_of(const FileState& state, const DatabaseOptions& options);

// What a schema change changes of it, to go back to.
struct SchemaState {
  explicit SchemaState(const FileState& now)
      : world(now.world), epoch(now.epoch), extras(now.extras) {}
  void restore(FileState& state) const {
    state.world = world;
    state.epoch = epoch;
    state.extras = extras;
  }

  std::shared_ptr<const World> world;
  uint64_t epoch;
  ExtrasByTable extras;
};

// At the schema leader: a table that was empty was filled from another. If it takes the other's
// place, rows of the other that `seen` does not cover were written meanwhile, and so were rows of
// the copy that `filled` does not cover.
struct RowsCopied {
  VersionVector seen, filled;
};

// The gateway's own tables, all `_entente_*`. Formats in README.md.
// Threads: the connection's. Transactions: the caller's.
class Storage {
 public:
  Storage(Connection& db, const ConflictRules& rules) : db_(db), rules_(rules) {}

  const TableRules& rules_of(std::string_view table) const { return rules_.of(table); }

  // Text must be UTF-8.
  Result<void> check_encoding();
  // False for a database that the gateway has never opened.
  Result<bool> exists();
  Result<void> create(const Origin& self);
  Result<FileState> load();

  // From now on this is another incarnation's database. Registering it is the next thing to do.
  Result<void> change_self(FileState& state, const Origin& self);
  // Registers an origin under its next local id, in the file, `state` and the world.
  Result<void> add_origin(FileState& state, const Origin& origin, const std::string& dc);
  // Registers a table that exists in the file, and makes its version table.
  Result<std::shared_ptr<const Table>> add_table(FileState& state, const TableDef& def);
  // The file has changed a registered table to this.
  Result<std::shared_ptr<const Table>> redefine_table(FileState& state, const Table& was,
                                                      const TableDef& def);
  // A registered table has this name in the file until its transaction ends: nobody finds it.
  Result<void> set_aside(FileState& state, const Table& table, const std::string& name);
  // Forgets a registered table, with all that is known of its rows.
  Result<void> drop_table(FileState& state, const Table& table);
  // The same, but what lost in its rows is listed with those of `heir` (a local id).
  Result<void> drop_table(FileState& state, const Table& table, int64_t heir);
  // `made` and all that is a copy of it are copies of `of` now, and of all that it is a copy of.
  Result<void> note_copy(const Table& made, const Table& of, const RowsCopied& copied);
  Result<std::optional<RowsCopied>> copy_of(const Table& made, const Table& of);
  // True if a table holds a copy of its rows.
  Result<bool> is_copied(const Table& of);
  // Ordinary tables of users that are not registered.
  Result<std::vector<std::string>> unknown_tables(const World& world);
  Result<int64_t> schema_version();
  // Looks again at what the schema says beside the tables' columns: indexes, references, triggers.
  Result<void> refresh_schema(FileState& state);

  // Schema changes that failed here, kept until they succeed or nobody needs them.
  Result<void> leave_out(FileState& state, const SchemaChange& change, const std::string& why);
  Result<SchemaChange> left_out(uint64_t epoch);
  Result<void> forget_left_out(FileState& state, uint64_t epoch);

  Result<std::string> rules_version();
  Result<void> save_rules_version(const std::string& version);
  Result<void> save_stream(const Stream& stream);
  Result<void> save(const FileState& state);
  // What was numbered in this group.
  Result<void> save_numbers(FileState& state);
  Result<void> save_promised(const VersionVector& promised);
  Result<void> save_collected(const VersionVector& collected);
  Result<void> append_log(FileState& state, int64_t origin, const LogChunk& chunk,
                          const std::array<uint8_t, 16>& chain_before, uint64_t wall_ms);

 private:
  Result<bool> has(const char* table);
  Result<void> load_head(FileState& state);
  Result<void> load_log_total(FileState& state);
  Result<void> load_origins(FileState& state, World& world);
  Result<void> load_tables(World& world);
  Result<void> load_extras(FileState& state);
  Result<void> load_orphans(FileState& state);
  Result<void> load_left_out(FileState& state);
  Result<void> load_numbers(FileState& state);
  Result<void> read_schema_texts(World& world);
  Result<Stmt*> plan(Stmt& stmt, const char* sql);

  Connection& db_;
  const ConflictRules& rules_;
  Stmt save_stream_, save_, append_, save_number_;
};

}  // namespace entente::sqlite
