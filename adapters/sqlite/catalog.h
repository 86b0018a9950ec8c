#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/sqlite/connection.h"
#include "conflict/key_shape.h"
#include "conflict/policy.h"
#include "conflict/schema.h"

namespace entente::sqlite {

// A column of a table that replication knows.
struct Column {
  std::string name;
  uint32_t id = 0;           // ColumnDef::id
  int hook_index = 0;        // what the preupdate hook calls it …
  int hook_updated = 0;      // … and what an UPDATE makes of it
  bool rowid = false;        // no column: the table's own number of the row
  bool hook_rounds = false;  // the hook turns an integer that was in it into a double
  bool has_default = false;
  Affinity affinity = Affinity::kBlob;
  uint16_t key_part = 0;
  size_t group = 0;  // index into layout.groups; 0 for key columns
};

// Columns of one register of which UNIQUE keys are made: an index may name them, compute with them,
// or ask them which rows it has.
struct UniqueColumns {
  size_t group = 0;             // index into layout.groups
  std::vector<size_t> columns;  // of the table
};

// A foreign key, from the side of the child.
struct ForeignKey {
  std::vector<size_t> columns;  // of the child
  std::string parent;           // its name, as the schema spells it
  TableDef as_parent;           // a table whose key the columns are that it refers to
  bool by_key = false;          // they are the parent's key, in its order, and compare alike
  std::string find_parent;      // the parent's key, by the child's columns
  std::string find_orphans;     // keys of children without a parent
  std::string find_children;    // the same, or, if by_key, of those of the parent with this key
};

// A column that came when the table had rows: what was applied here by then. By local origin id,
// the seq.
using Applied = std::vector<uint64_t>;
struct Birth {
  uint32_t column = 0;  // ColumnDef::id
  Applied applied;
};

// A table as this file holds it, with the SQL that the gateway runs on it. Immutable.
struct Table {
  int64_t id = 0;  // local
  TableDef def;
  KeyShape key_shape;
  Layout layout;
  TableRules rules;
  bool rowid_key = false;  // its key is the rowid: one INTEGER PRIMARY KEY column, or none
  bool without_rowid = false;
  bool nullable_key = false;        // SQLite would let NULL into its key
  bool numbers_key = false;         // its key is one number, ours to make when nobody names it
  bool plain_key = false;           // stored key values are canonical unless they are doubles
  bool hook_rounds = false;         // some column
  bool hook_mistakes = false;       // the hook takes another column for the rowid
  bool respells = false;            // one key can be stored in several spellings
  std::vector<Column> columns;      // as in def
  std::vector<size_t> key;          // indices into columns, in key order
  std::vector<size_t> by_name;      // non-key columns, ordered by name: as changes carry them
  std::vector<uint32_t> group_ids;  // by index into layout.groups: how version rows name them
  std::vector<Birth> births;        // of columns
  std::vector<std::pair<uint32_t, Applied>> later_groups;  // all of whose columns came later
  std::vector<UniqueColumns> unique;
  std::vector<ForeignKey> foreign_keys;
  bool refers_to_itself = false;
  bool referenced = false;                   // by foreign keys
  std::set<std::string> referenced_columns;  // other than those of its key
  std::vector<char> keeps_more;  // by index into layout.groups: a write of it needs more than the
                                 // new values (counters, sets, merges with a base, handlers)
  bool any_keeps_more = false;
  std::string full_shape;  // a change's shape with all non-key columns

  std::string read_version, put_version;
  std::string put_versions;  // of kVersionsAtOnce rows, without extras
  std::string delete_version;
  std::string read_row, insert_row, update_row, delete_row;
  // "SELECT 1, all columns" of the row itself, through no index: by its rowid, or by its key in a
  // table without. Good inside the preupdate hook, which is called between changes of indexes.
  std::string read_stored;

  bool retired() const { return is_retired(def); }
  bool one_register() const { return layout.groups.size() == 1; }
  // False for bytes that are not the key of any row that this table can ever have.
  bool can_have(std::string_view row_key) const;
  const Column* find(std::string_view column) const;
  const Column* with_id(uint32_t column) const;
  // The columns that its UNIQUE keys are made of.
  std::vector<std::string> unique_names() const;
  // "UPDATE … SET the columns = ?1 … WHERE key = ?n+1 …", and INSERT of key and columns.
  std::string update_sql(const std::vector<size_t>& which) const;
  // The same for a put that carries no key columns: it spells the key as ?n+1 … do.
  std::string put_sql(const std::vector<size_t>& which) const;
  // "UPDATE … SET each column = coalesce(it, 0) + ?i … WHERE key = …".
  std::string increment_sql(const std::vector<size_t>& which) const;
  // They never do what the table's own ON CONFLICT says.
  std::string insert_sql(const std::vector<size_t>& which) const;
  // The same, but rows that hold one of its keys give way.
  std::string replace_sql(const std::vector<size_t>& which) const;
  // INSERT of kRowsAtOnce rows, all of them or none; "" if that is more than a statement can take.
  std::string insert_rows_sql(const std::vector<size_t>& which) const;
  // INSERT of these columns, or, if the row is there, an update to the same, with every other
  // column at its default.
  std::string upsert_sql(const std::vector<size_t>& which) const;

 private:
  std::string update_sql(const std::vector<size_t>& which, bool spell_key) const;
  std::string into_sql(const std::vector<size_t>& which) const;
};

// How version rows name the group of remaining columns; the others are column id + 1.
inline constexpr uint32_t kRestGroupId = 0;

inline constexpr size_t kVersionsAtOnce = 25;
inline constexpr size_t kRowsAtOnce = 25;

// What is known of the file besides its rows. Immutable once published; a change makes a new one.
struct World {
  std::unordered_map<std::string, std::shared_ptr<const Table>> tables;  // by lower-case name
  std::vector<Origin> origins{Origin{}};                                 // by local id; 0: none
  std::map<Origin, int64_t> origin_ids{{Origin{}, 0}};
  Ranks ranks;
  // Some schema text says DEFERRED, FAIL or TRIGGER: a statement that succeeded may have to be
  // undone, or one that failed may leave something behind.
  bool fussy = false;
  std::set<std::string> views;  // lower-case names

  // The table that users know by this name.
  const Table* find(std::string_view name) const;
  // The same, or one that is retired.
  const Table* named(std::string_view name) const;
  // The table that had this name under the schema of `epoch`; null if it is gone.
  const Table* find(std::string_view name, uint64_t epoch) const;
  // The table into which one was merged that had this name under the schema of `epoch`.
  const Table* heir_of(std::string_view name, uint64_t epoch) const;
  // The table that this one was or became.
  const Table* same(const TableDef& def) const;
  const Table* by_id(int64_t id) const;
};

// How a table of this file is declared. A table without a primary key is told apart by the first
// UNIQUE of its declaration whose columns are never NULL; if there is none, by its rowid, which is
// a column then that it does not declare. kNotFound; kRefused if it cannot be, with what to do
// about it.
Result<TableDef> read_definition(Connection& db, const std::string& name);
// Says what its newest columns are filled with: their defaults.
Result<void> fill_new_columns(Connection& db, TableDef& def);

// The refusal of a write to a table that replication does not know.
Error not_replicated(const std::string& table);

// SQL that makes a table of this definition.
std::string create_sql(const TableDef& def);

Result<std::shared_ptr<const Table>> make_table(Connection& db, int64_t id, const TableDef& def,
                                                std::vector<Birth> births,
                                                const ConflictRules& rules);
// The table that keeps its rows' versions.
std::string create_versions_sql(const Table& table);
// A table of the same columns and key that demands nothing of them.
std::string plain_table_sql(const Table& table, const std::string& name);

}  // namespace entente::sqlite
