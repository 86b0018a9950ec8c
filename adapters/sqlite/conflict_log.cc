#include "adapters/sqlite/conflict_log.h"

#include <algorithm>

#include "adapters/sqlite/row_store.h"
#include "adapters/sqlite/versions.h"
#include "conflict/codec.h"
#include "conflict/open_conflict.h"

namespace entente::sqlite {
namespace {

std::string encode_sibling(const World& world, const Sibling& s) {
  ByteWriter out;
  append_version(out, world, s.version);
  out.u8(s.row ? 1 : 0);
  if (s.row) append_row(out, *s.row);
  return out.take();
}

std::string insert_text(size_t rows) {
  std::string sql =
      "INSERT INTO _entente_conflicts (tbl, key, open, grp, policy, kind, ms, winner, losers, "
      "decider) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)";
  for (size_t i = 1; i < rows; ++i) sql += ", (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)";
  return sql;
}

RowVersion listed(const World& world, const Sibling& s) {
  return {s.version, std::string(world.ranks.dc(s.version.dot.origin)), s.row};
}

Result<RowVersion> decode_sibling(const World& world, std::string_view bytes) {
  ByteReader in(bytes);
  Sibling s{read_version(world, in), std::nullopt};
  if (in.u8() == 1) {
    auto row = decode_row(in.rest());
    if (!row) return tl::unexpected(row.error());
    s.row = std::move(*row);
  }
  if (!in.ok()) return fail(Code::kCorrupt, "the conflict log holds bytes that are not an entry");
  return listed(world, s);
}

Result<std::vector<RowVersion>> decode_siblings(const World& world, std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<RowVersion> out;
  while (in.ok() && in.left() > 0) {
    auto s = decode_sibling(world, in.string());
    if (!s) return tl::unexpected(s.error());
    out.push_back(std::move(*s));
  }
  if (!in.ok()) return fail(Code::kCorrupt, "the conflict log holds bytes that are not an entry");
  return out;
}

// Fills in an open entry from the row's state now; false if it was settled meanwhile.
bool fill_open(const World& world, const Table& t, const RowState& state, ConflictEntry& e) {
  const Group& group = t.layout.group_named(e.group);
  if (group.name != e.group) return false;
  const auto open = describe_open(state, t.layout, group, world.ranks);
  if (!open) return false;
  e.policy = open->policy;
  e.winner = listed(world, open->winner);
  if (e.kind != kOpenKind) {
    e.winner.row = visible(state, t.layout, world.ranks);
    return true;
  }
  e.kind = open->kind;
  for (const auto& s : open->losers) e.losers.push_back(listed(world, s));
  return true;
}

std::string query_text(const ConflictQuery& query) {
  std::string sql =
      "SELECT id, tbl, key, open, grp, policy, kind, ms, winner, losers, decider, note FROM "
      "_entente_conflicts "
      "WHERE id > ?1 AND NOT (open = 1 AND decider IS 'equal')";
  if (query.state == ConflictQuery::State::kOpen) sql += " AND open = 1";
  if (query.state == ConflictQuery::State::kResolved) sql += " AND open = 0";
  if (!query.table.empty()) sql += " AND tbl = ?2";
  if (query.key) sql += " AND key = ?3";
  return sql + " ORDER BY id LIMIT ?4";
}

}  // namespace

void append_row(ByteWriter& out, const Row& row) {
  for (const auto& [name, value] : row) out.string(name), out.value(value);
}

std::string encode_row(const Row& row) {
  ByteWriter out;
  append_row(out, row);
  return out.take();
}

Result<Row> decode_row(std::string_view bytes) {
  ByteReader in(bytes);
  Row row;
  while (in.ok() && in.left() > 0) {
    const auto name = in.string();
    row.emplace(name, in.value());
  }
  if (!in.ok()) return fail(Code::kCorrupt, "a side table holds bytes that are not a row");
  return row;
}

Result<Stmt*> ConflictLog::plan(Stmt& stmt, const std::string& sql) {
  if (!stmt) {
    auto made = db_.prepare(sql);
    if (!made) return tl::unexpected(made.error());
    stmt = std::move(*made);
  }
  return &stmt;
}

Result<void> ConflictLog::add(const World& world, const Table& table, const Key& key,
                              std::vector<Loss> losses, uint64_t now_ms) {
  for (auto it = losses.begin(); it != losses.end();) {
    Loss& first = *it;
    ByteWriter losers;
    for (; it != losses.end() && same_conflict(*it, first); ++it) {
      losers.string(encode_sibling(world, it->loser));
    }
    later_.push_back({table.id, first.policy, now_ms, key, std::move(first.group),
                      std::move(first.kind), encode_sibling(world, first.winner), losers.take(),
                      std::move(first.decided_by)});
    if (later_.size() < kAtOnce) continue;
    if (auto done = flush(); !done) return done;
  }
  return {};
}

Result<void> ConflictLog::flush() {
  if (later_.empty()) return {};
  const bool many = later_.size() == kAtOnce;
  const size_t at_once = many ? kAtOnce : 1;
  Stmt& stmt = many ? add_many_ : add_;
  if (!stmt) {
    if (auto made = plan(stmt, insert_text(at_once)); !made) return tl::unexpected(made.error());
  }
  for (size_t i = 0; i < later_.size(); i += at_once) {
    auto done = write(std::span(later_).subspan(i, at_once), stmt);
    if (!done) return done;
  }
  const size_t added = later_.size();
  later_.clear();
  return trim(added);
}

Result<void> ConflictLog::write(std::span<const Entry> entries, Stmt& stmt) {
  int at = 0;
  for (const auto& e : entries) {
    stmt.bind(++at, e.table);
    stmt.bind(++at, Bytes{e.key});
    stmt.bind(++at, Text{e.group});
    stmt.bind(++at, static_cast<int64_t>(e.policy));
    stmt.bind(++at, Text{e.kind});
    stmt.bind(++at, e.ms);
    stmt.bind(++at, Bytes{e.winner});
    stmt.bind(++at, Bytes{e.losers});
    stmt.bind(++at, Text{e.decider});
  }
  return stmt.run();
}

// Looks only once every sixteenth of the limit, so that the log may be that much longer.
Result<void> ConflictLog::trim(size_t added) {
  if (until_trim_ > added) {
    until_trim_ -= added;
    return {};
  }
  until_trim_ = std::max<size_t>(1, rows_max_ / 16);
  auto q = plan(trim_,
                "DELETE FROM _entente_conflicts WHERE open = 0 AND id <= (SELECT id FROM "
                "_entente_conflicts WHERE open = 0 ORDER BY id DESC LIMIT 1 OFFSET ?1)");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, static_cast<int64_t>(std::max<size_t>(1, rows_max_)));
  return (*q)->run();
}

Result<void> ConflictLog::set_open(const Table& table, const Key& key, std::string_view group,
                                   std::string_view kind, bool open, std::string_view note,
                                   uint64_t now_ms) {
  auto q =
      open ? plan(open_,
                  "INSERT INTO _entente_conflicts (tbl, key, open, grp, policy, kind, note, ms) "
                  "VALUES (?1, ?2, 1, ?3, 0, ?4, ?5, ?6) ON CONFLICT (tbl, key, grp, kind) "
                  "WHERE open = 1 DO UPDATE SET note = excluded.note")
           : plan(close_,
                  "DELETE FROM _entente_conflicts WHERE tbl = ?1 AND key = ?2 AND open = 1 "
                  "AND grp = ?3 AND kind = ?4");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(table.id, Bytes{key}, Text{group}, Text{kind});
  if (open) (*q)->bind(5, Text{note}), (*q)->bind(6, now_ms);
  return (*q)->run();
}

Result<void> ConflictLog::rename_columns(const World& world, const Table& table,
                                         const PresentNames& names) {
  if (names.same()) return {};
  if (auto done = flush(); !done) return done;
  // Columns may change their names for each other's: no entry takes another one's place meanwhile.
  const std::string of_table = " WHERE tbl = " + std::to_string(table.id);
  auto done = db_.exec("UPDATE _entente_conflicts SET grp = char(1) || grp" + of_table);
  if (!done) return done;
  auto read = db_.prepare("SELECT id, substr(grp, 2), winner, losers FROM _entente_conflicts" +
                          of_table + " AND id > ?1 ORDER BY id LIMIT 1");
  if (!read) return tl::unexpected(read.error());
  auto write =
      db_.prepare("UPDATE _entente_conflicts SET grp = ?2, winner = ?3, losers = ?4 WHERE id = ?1");
  if (!write) return tl::unexpected(write.error());
  for (int64_t id = -1;;) {
    read->bind(1, id);
    Rows found(*read);
    const auto row = found.next();
    if (!row || !*row) return row.map([](bool) {});
    id = read->integer(0);
    if (auto renamed = rename_columns(world, *read, *write, names); !renamed) return renamed;
  }
}

Result<void> ConflictLog::rename_columns(const World& world, const Stmt& read, Stmt& write,
                                         const PresentNames& names) {
  const std::string group = names.of(std::string(read.bytes(1)));
  write.bind(1, read.integer(0));
  write.bind(2, Text{group});
  write.bind(3, nullptr);
  write.bind(4, nullptr);
  if (read.is_null(2)) return write.run();  // open: its values are those of the row
  auto winner = decode_sibling(world, read.bytes(2));
  auto losers = decode_siblings(world, read.bytes(3));
  if (!winner || !losers) return fail(Code::kCorrupt, "the conflict log cannot be read");
  const auto renamed = [&](RowVersion& v) {
    if (v.row) v.row = names.of(std::move(*v.row));
    return encode_sibling(world, {v.version, std::move(v.row)});
  };
  ByteWriter all;
  for (auto& loser : *losers) all.string(renamed(loser));
  const std::string kept = renamed(*winner);
  write.bind(3, Bytes{kept});
  write.bind(4, Bytes{all.view()});
  return write.run();
}

Result<void> ConflictLog::set_equal(const Table& table, const Key& key, bool equal) {
  auto q = plan(equal_,
                "UPDATE _entente_conflicts SET decider = ?4 WHERE tbl = ?1 AND key = ?2 AND grp = "
                "'' AND kind = ?3 AND open = 1 AND decider IS NOT ?4");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(table.id, Bytes{key}, Text{kUniqueKind});
  equal ? (*q)->bind(4, Text{"equal"}) : (*q)->bind(4, nullptr);
  return (*q)->run();
}

Result<void> ConflictLog::forget_before(uint64_t ms) {
  auto q = plan(forget_,
                "DELETE FROM _entente_conflicts WHERE ms < ?1 AND id IN (SELECT id FROM "
                "_entente_conflicts WHERE open = 0 ORDER BY id LIMIT 1000)");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind(1, ms);
  return (*q)->run();
}

Result<bool> ConflictLog::is_open(const Table& table, const Key& key, std::string_view kind) {
  auto q =
      plan(is_open_,
           "SELECT 1 FROM _entente_conflicts WHERE tbl = ?1 AND key = ?2 AND grp = '' AND kind "
           "= ?3 AND open = 1");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(table.id, Bytes{key}, Text{kind});
  Rows rows(**q);
  return rows.next();
}

Result<std::vector<Key>> ConflictLog::waiting(const Table& table, std::string_view kind) {
  auto q = plan(waiting_,
                "SELECT key FROM _entente_conflicts WHERE open = 1 AND tbl = ?1 AND kind = ?2 "
                "ORDER BY id");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(table.id, Text{kind});
  Rows rows(**q);
  std::vector<Key> keys;
  auto row = rows.next();
  for (; row && *row; row = rows.next()) keys.emplace_back((*q)->bytes(0));
  if (!row) return tl::unexpected(row.error());
  return keys;
}

Result<std::vector<ConflictEntry>> read_conflicts(RowStore& rows, const World& world,
                                                  const ConflictQuery& query) {
  const Table* only = query.table.empty() ? nullptr : world.find(query.table);
  if (!query.table.empty() && only == nullptr) {
    return fail(Code::kNotFound, "there is no table " + query.table, "unknown_table");
  }
  auto q = rows.plan(query_text(query));
  if (!q) return tl::unexpected(q.error());
  sqlite3_clear_bindings((*q)->get());
  (*q)->bind(1, query.after_id);
  if (only != nullptr) (*q)->bind(2, only->id);
  if (query.key) (*q)->bind(3, Bytes{*query.key});
  (*q)->bind(4, static_cast<int64_t>(query.limit));
  std::vector<ConflictEntry> out;
  Rows found(**q);
  auto row = found.next();
  for (; row && *row; row = found.next()) {
    const Table* t = world.by_id((*q)->integer(1));
    if (t == nullptr) continue;
    ConflictEntry e;
    e.id = (*q)->natural(0);
    e.table = t->def.name;
    e.key = (*q)->bytes(2);
    e.open = (*q)->integer(3) != 0;
    e.group = (*q)->bytes(4);
    e.policy = static_cast<PolicyKind>((*q)->integer(5));
    e.kind = (*q)->bytes(6);
    e.detected_ms = (*q)->natural(7);
    e.decided_by = (*q)->bytes(10);
    e.note = (*q)->bytes(11);
    if (e.open) {
      auto loaded = rows.load(world, *t, e.key);
      if (!loaded) return tl::unexpected(loaded.error());
      if (!fill_open(world, *t, loaded->state, e)) continue;
    } else {
      auto winner = decode_sibling(world, (*q)->bytes(8));
      auto losers = decode_siblings(world, (*q)->bytes(9));
      if (!winner || !losers) return fail(Code::kCorrupt, "the conflict log cannot be read");
      e.winner = std::move(*winner);
      e.losers = std::move(*losers);
    }
    out.push_back(std::move(e));
  }
  if (!row) return tl::unexpected(row.error());
  return out;
}

Result<RowConflict> conflict_of(RowStore& rows, const Table& table, const Key& key) {
  auto q = rows.plan(
      "SELECT max(open) FROM _entente_conflicts WHERE tbl = ?1 AND key = ?2 AND NOT (open = 1 AND "
      "decider IS 'equal') HAVING count(*) > 0");
  if (!q) return tl::unexpected(q.error());
  (*q)->bind_all(table.id, Bytes{key});
  Rows found(**q);
  auto row = found.next();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return RowConflict::kNone;
  return (*q)->integer(0) != 0 ? RowConflict::kOpen : RowConflict::kResolved;
}

}  // namespace entente::sqlite
