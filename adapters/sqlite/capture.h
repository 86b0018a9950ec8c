#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/sqlite/catalog.h"
#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/row_store.h"
#include "conflict/codec.h"
#include "conflict/transaction.h"

namespace entente::sqlite {

// What the row API says of a write beyond what the preupdate hook sees.
struct RowIntent {
  const Table* table = nullptr;
  Key key;
  bool erase = false;
  std::vector<size_t> columns;           // a put writes these even if they do not change
  std::optional<VersionVector> context;  // ceiling of the client's context; absent: plain SQL's
  std::vector<KeptSibling> kept;
  Decider decider = Decider::kWriter;
  std::string decided_by = {};                  // kOperator: who
  std::optional<std::vector<Floor>> anew = {};  // the row is made anew, over these floors
  std::optional<Row> counters = {};  // what the context of this or an earlier request showed
};

// Captures what one transaction does to rows, by SQLite's preupdate hook: each row image as the
// encoded values of its columns, in one buffer, so that nothing is allocated per value, and equal
// values are equal bytes.
//
// Threads: the connection's. Use: start(), statements between begin_statement() and, if they
// failed and SQLite undid them, undo_statement(); undo_to() when a savepoint is rolled back to;
// then rows().
class Capture {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The net effect on one row.
  struct Change {
    const Table* table = nullptr;
    uint32_t key_at = 0, key_size = 0;
    uint32_t before = kNone, after = kNone;  // images; kNone: no such row
    const RowIntent* intent = nullptr;       // of the last row request for it
    bool plain = false;                      // plain SQL wrote it (too)
    bool read_after = false;                 // the hook could not say what `after` is
  };

  // How much was captured at a moment of the transaction.
  struct Mark {
    size_t changes = 0, ends = 0, bytes = 0;
  };

  // `rows` are of the same connection, and read what the hook cannot say.
  Capture(Connection& db, Guard& guard, RowStore& rows)
      : db_(db.get()), guard_(guard), rows_(rows) {}
  void on() { sqlite3_preupdate_hook(db_, &Capture::hook, this); }
  void off() { sqlite3_preupdate_hook(db_, nullptr, nullptr); }

  void start(const World& world, size_t bytes_max);
  // Tables by id whose rows are not captured: they are compared at the end. Outlives the capture.
  void leave_out(const std::vector<int64_t>* tables) { left_out_ = tables; }
  void begin_statement();
  // Which one it is, of all there ever were.
  uint64_t statement_number() const { return statements_; }
  void undo_statement() { undo_to(statement_); }
  // Whether something is still there of what the statement did that just failed. SQLite undid all
  // of it, or, if it said FAIL, nothing; sqlite3_total_changes() counts what triggers did even
  // then.
  Result<bool> stands() const;
  Mark mark() const { return {changes_.size(), ends_.size(), bytes_.size()}; }
  void undo_to(const Mark& mark);
  // Why the statement that just ran must not stand; empty if it may.
  Result<void> check() const;
  // Whether what follows is done for a row request, not by plain SQL.
  void for_request(bool on) { for_request_ = on; }
  void world_changed(const World& world) {
    world_ = &world;
    last_table_ = nullptr;
    same_world_ = false;
  }
  // What the row API adds; also for an erase of a row that is not there.
  void note(RowIntent intent);
  bool touched(const Table& table, std::string_view key) const;
  bool empty() const { return changes_.empty(); }

  // A row as a query gives it: two images of its columns, in the order of the table's, absent where
  // the query says NULL before them. What does not differ is not kept.
  // `had_seen`: what its writer had seen of the row with this key; null: the transaction's context.
  using HadSeen = std::function<const VersionVector*(const Key&)>;
  Result<void> add(const Table& table, Stmt& query, const HadSeen& had_seen);

  // Net changes, in the order in which rows were first touched; no-ops are gone, and so is what was
  // done to tables that are. Call once, with the tables as they are at the end.
  Result<std::span<const Change>> rows(const World& world);

  std::string_view key(const Change& c) const {
    return std::string_view(bytes_).substr(c.key_at, c.key_size);
  }
  // The encoded value of a column in an image.
  std::string_view value(uint32_t image, size_t column) const {
    const uint32_t from = ends_[image + column], to = ends_[image + column + 1];
    return std::string_view(bytes_).substr(from, to - from);
  }
  bool spelled_otherwise(const Change& c) const;

 private:
  static void hook(void* self, sqlite3* db, int op, const char* schema, const char* table,
                   sqlite3_int64 old_rowid, sqlite3_int64 new_rowid);
  uint32_t read_image(const Table& t, Stmt& query, int from);
  uint32_t moved(uint32_t image, const Table& from, const Table& to);
  void follow(const World& world);
  bool leaves_out(const Table& t) const;
  void seen(int op, const char* table, int64_t old_rowid, int64_t new_rowid);
  const Table* table_named(const char* name);
  uint32_t read_before(const Table& t, int64_t rowid);
  uint32_t read_after(const Table& t, int op, int64_t rowid);
  uint32_t read_stored(const Table& t, uint32_t image, int64_t rowid);
  void append(const Column& c, int code, sqlite3_value* v);
  void append_rowid(int64_t rowid);
  Result<void> read_what_is_there(Change& c);
  bool write_key(const Table& t, uint32_t image, int64_t rowid, Change& c);
  void add(Change c);
  void refuse(Error why);
  bool is_image_of(const Table& t, uint32_t image, const std::optional<Row>& row) const;
  bool same_key(const Change& a, const Change& b) const;
  void fold(Change& into, const Change& next) const;
  bool is_nothing(const Change& c) const;

  sqlite3* db_;
  Guard& guard_;
  RowStore& rows_;
  const World* world_ = nullptr;
  const Table* last_table_ = nullptr;
  bool same_world_ = true;  // since start()
  const std::vector<int64_t>* left_out_ = nullptr;
  size_t bytes_max_ = 0;
  bool for_request_ = false;
  std::string bytes_;            // keys and values
  std::vector<uint32_t> ends_;   // image i, column c: bytes_[ends_[i + c], ends_[i + c + 1])
  std::vector<Change> changes_;  // one per event until rows() folds them
  std::deque<RowIntent> intents_;
  std::optional<Error> refusal_;
  Mark statement_;  // where the one that runs began
  uint64_t statements_ = 0;
};

// Appends a value as ByteWriter::value would.
void append_value(std::string& out, sqlite3_value* v, Affinity affinity);

}  // namespace entente::sqlite
