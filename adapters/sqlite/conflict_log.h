#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/database.h"
#include "adapters/sqlite/catalog.h"
#include "conflict/conform.h"
#include "conflict/row_changes.h"

namespace entente::sqlite {

class RowStore;

// A sibling as side tables store it: its row, by column name.
void append_row(ByteWriter& out, const Row& row);
std::string encode_row(const Row& row);
Result<Row> decode_row(std::string_view bytes);

// Kinds of open entries. A register that waits for a decision; a row that a constraint refuses; a
// row whose UNIQUE key another one holds; a row whose parent is not here.
inline constexpr std::string_view kOpenKind = "open", kConstraintKind = "constraint",
                                  kUniqueKind = "unique", kOrphanKind = "foreign-key";

// Writes _entente_conflicts: what lost, with both values, and which rows wait for somebody.
// Bounded: the oldest losses go first.
class ConflictLog {
 public:
  ConflictLog(Connection& db, size_t rows_max) : db_(db), rows_max_(rows_max) {}

  // Lists what lost; written with others in one statement: by flush(), or when many wait.
  Result<void> add(const World& world, const Table& table, const Key& key, std::vector<Loss> losses,
                   uint64_t now_ms);
  Result<void> flush();
  // Forgets what waits to be written: it belongs to a transaction that is undone.
  void drop_waiting() { later_.clear(); }
  // Everything that is listed of the table, under the present names of its columns.
  Result<void> rename_columns(const World& world, const Table& table, const PresentNames& names);
  // Marks a register, or a whole row, as waiting, with a note why; or as settled.
  Result<void> set_open(const Table& table, const Key& key, std::string_view group,
                        std::string_view kind, bool open, std::string_view note, uint64_t now_ms);
  // Whether a row that waits because of a UNIQUE key is equal to the one that is shown: then there
  // is nothing to decide, and nobody is told of it.
  Result<void> set_equal(const Table& table, const Key& key, bool equal);
  // Forgets resolved conflicts detected before this, some a call.
  Result<void> forget_before(uint64_t ms);
  Result<bool> is_open(const Table& table, const Key& key, std::string_view kind);
  // Keys of a table's rows that wait for this reason, oldest first.
  Result<std::vector<Key>> waiting(const Table& table, std::string_view kind);

 private:
  static constexpr size_t kAtOnce = 32;
  struct Entry {
    int64_t table;
    PolicyKind policy;
    uint64_t ms;
    std::string key, group, kind, winner, losers, decider;
  };
  Result<void> write(std::span<const Entry> entries, Stmt& stmt);
  Result<void> rename_columns(const World& world, const Stmt& read, Stmt& write,
                              const PresentNames& names);
  Result<void> trim(size_t added);
  Result<Stmt*> plan(Stmt& stmt, const std::string& sql);

  Connection& db_;
  size_t rows_max_;
  size_t until_trim_ = 0;     // additions until the next look
  std::vector<Entry> later_;  // kAtOnce at most
  Stmt add_, add_many_, open_, close_, trim_, waiting_, is_open_, forget_, equal_;
};

// Reads a page of it. Open ones are listed with their values as they are now.
Result<std::vector<ConflictEntry>> read_conflicts(RowStore& rows, const World& world,
                                                  const ConflictQuery& query);
// Open if something of this row waits, resolved if something of it ever lost.
Result<RowConflict> conflict_of(RowStore& rows, const Table& table, const Key& key);

}  // namespace entente::sqlite
