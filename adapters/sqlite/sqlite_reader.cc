#include "adapters/sqlite/sqlite_reader.h"

#include <algorithm>

#include "adapters/sqlite/row_digests.h"
#include "adapters/sqlite/row_reading.h"
#include "adapters/sqlite/row_states.h"
#include "adapters/sqlite/write_session.h"
#include "conflict/codec.h"
#include "conflict/row_changes.h"

namespace entente::sqlite {
namespace {

tl::unexpected<Error> unknown_table(std::string_view name) {
  return fail(Code::kNotFound, "there is no table " + std::string(name), "unknown_table");
}

// One snapshot for several statements, unless the reader is in one already.
class Snapshot {
 public:
  Snapshot(Reader& reader, bool open) : reader_(open ? nullptr : &reader) {
    if (reader_ != nullptr) begun_ = reader_->begin();
  }
  ~Snapshot() {
    if (reader_ != nullptr) reader_->end();
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const Result<void>& begun() const { return begun_; }

 private:
  Reader* reader_;
  Result<void> begun_;
};

}  // namespace

SqliteReader::SqliteReader(Connection db, const DatabaseOptions& options, Worlds worlds)
    : options_(options),
      worlds_(std::move(worlds)),
      db_(std::move(db)),
      rows_(db_, nullptr, nullptr),
      sql_(db_, guard_, options_, Guard::Mode::kRead),
      functions_(db_, guard_, rows_, worlds_),
      ids_(db_, std::nullopt) {
  functions_.install();
  guard_.install(db_, bounds_of(options_));
}

Result<void> SqliteReader::begin() {
  rows_.tidy();
  if (!applied_row_) {
    auto prepared = db_.prepare("SELECT applied FROM _entente_state");
    if (!prepared) return tl::unexpected(prepared.error());
    applied_row_ = std::move(*prepared);
  }
  const auto row = applied_row_.step();
  auto done = row ? note_applied() : tl::unexpected(row.error());
  open_ = done.has_value();
  if (!open_) applied_row_.reset();
  return done;
}

void SqliteReader::end() {
  open_ = false;
  applied_row_.reset();
}

// Most reads find what the last one found.
Result<void> SqliteReader::note_applied() {
  const auto bytes = applied_row_.bytes(0);
  if (!bytes.empty() && bytes == applied_bytes_) return {};
  ByteReader in(bytes);
  auto applied = decode_version_vector(in);
  if (!applied) return tl::unexpected(applied.error());
  applied_ = std::move(*applied);
  applied_bytes_ = bytes;
  return {};
}

Result<VersionVector> SqliteReader::applied() {
  const Snapshot snapshot(*this, open_);
  if (!snapshot.begun()) return tl::unexpected(snapshot.begun().error());
  return applied_;
}

Result<StatementResult> SqliteReader::execute(const Statement& statement) {
  auto compiled = sql_.prepare(statement);
  if (!compiled) return tl::unexpected(compiled.error());
  const auto kind = (*compiled)->kind;
  if (kind == StatementKind::kTransactionControl || kind == StatementKind::kSavepoint) {
    return fail(Code::kRefused, "transactions are begun and ended through the gateway",
                "transaction_control");
  }
  if (kind != StatementKind::kOther || !(*compiled)->reads_only) {
    return fail(Code::kRefused, "this statement writes, and here only reading is possible",
                "read_only");
  }
  return sql_.run(**compiled, statement, statement.counts);
}

Result<StatementDescription> SqliteReader::describe(const Statement& statement) {
  return sql_.describe(statement);
}

Result<RowRead> SqliteReader::row(std::string_view table, std::span<const Value> key,
                                  bool all_siblings) {
  const Snapshot snapshot(*this, open_);
  if (!snapshot.begun()) return tl::unexpected(snapshot.begun().error());
  const auto world = worlds_();
  const Table* t = world->find(table);
  if (t == nullptr) return unknown_table(table);
  auto canonical = canonical_key(t->def, spelled_parts(*t, {key.begin(), key.end()}));
  if (!canonical) return tl::unexpected(canonical.error());
  auto out = read_row(rows_, *world, *t, *canonical, all_siblings);
  if (!out) return out;
  out->context.seen = applied_;
  out->context.counters = counters_of(out->row, t->layout);
  return out;
}

Result<std::vector<ConflictEntry>> SqliteReader::conflicts(const ConflictQuery& query) {
  const Snapshot snapshot(*this, open_);
  if (!snapshot.begun()) return tl::unexpected(snapshot.begun().error());
  return read_conflicts(rows_, *worlds_(), query);
}

Result<std::map<Key, Row>> SqliteReader::table(std::string_view name) {
  const auto world = worlds_();
  const Table* t = world->find(name);
  if (t == nullptr) return unknown_table(name);
  std::string columns;
  for (const auto& c : t->columns) columns += (columns.empty() ? "" : ", ") + quote_name(c.name);
  auto q = rows_.plan("SELECT " + columns + " FROM " + quote_name(t->def.name));
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  std::map<Key, Row> out;
  auto next = rows.next();
  for (; next && *next; next = rows.next()) {
    Row row;
    std::vector<Value> parts;
    for (size_t i = 0; i < t->columns.size(); ++i) {
      row.emplace(t->columns[i].name, (*q)->value(static_cast<int>(i)));
    }
    for (const size_t i : t->key) parts.push_back(row[t->columns[i].name]);
    auto key = canonical_key(t->def, parts);
    if (key) out.emplace(std::move(*key), std::move(row));
  }
  if (!next) return tl::unexpected(next.error());
  return out;
}

Result<DigestSlice> SqliteReader::digests(const DigestQuery& query) {
  const Snapshot snapshot(*this, open_);
  if (!snapshot.begun()) return tl::unexpected(snapshot.begun().error());
  const auto world = worlds_();
  const Table* t = world->find(query.table);
  if (t == nullptr) return unknown_table(query.table);
  return read_digests(rows_, *world, *t, query, applied_);
}

Result<StateSlice> SqliteReader::states(const StateQuery& query) {
  const Snapshot snapshot(*this, open_);
  if (!snapshot.begun()) return tl::unexpected(snapshot.begun().error());
  const auto world = worlds_();
  const Table* t = world->named(query.table);
  if (t == nullptr) return unknown_table(query.table);
  return read_states(rows_, *world, *t, query);
}

Result<std::vector<TableDef>> SqliteReader::tables() {
  std::vector<TableDef> out;
  const auto world = worlds_();
  for (const auto& [name, table] : world->tables) {
    if (!table->retired()) out.push_back(table->def);
  }
  std::sort(out.begin(), out.end(),
            [](const TableDef& a, const TableDef& b) { return a.name < b.name; });
  return out;
}

Result<std::vector<TableDef>> SqliteReader::retired_tables() {
  std::vector<TableDef> out;
  const auto world = worlds_();
  for (const auto& [name, table] : world->tables) {
    if (table->retired()) out.push_back(table->def);
  }
  return out;
}

Result<std::optional<TableDef>> SqliteReader::find_table(std::string_view name) {
  const auto world = worlds_();
  const Table* t = world->find(name);
  return t == nullptr ? std::nullopt : std::optional<TableDef>(t->def);
}

}  // namespace entente::sqlite
