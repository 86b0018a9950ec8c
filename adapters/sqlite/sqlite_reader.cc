#include "adapters/sqlite/sqlite_reader.h"

#include <algorithm>

#include "adapters/sqlite/write_session.h"
#include "conflict/codec.h"

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

// The row's values as wholes: each existence sibling with the columns written under its dot, over
// those that are visible.
std::vector<RowVersion> versions_of(const World& world, const Table& t, const RowState& state) {
  const Row shown = visible(state, t.layout, world.ranks).value_or(Row{});
  std::map<Version, RowVersion> by_version;
  for (const auto& [group, r] : state.registers) {
    for (const auto& s : r.siblings) {
      auto [it, fresh] = by_version.try_emplace(s.version);
      RowVersion& v = it->second;
      if (fresh) {
        v.version = s.version;
        v.dc = world.ranks.dc(s.version.dot.origin);
        v.row = shown;
      }
      if (!s.row) {
        v.row.reset();
      } else if (v.row) {
        for (const auto& [name, value] : *s.row) v.row->insert_or_assign(name, value);
      }
    }
  }
  std::vector<RowVersion> out;
  for (auto& [version, v] : by_version) {
    for (const size_t i : t.key) {
      if (v.row) v.row->erase(t.columns[i].name);
    }
    out.push_back(std::move(v));
  }
  return out;
}

// How many different values the most contested register has.
size_t different_values(const RowState& state) {
  size_t most = state.registers.empty() ? 0 : 1;
  for (const auto& entry : state.registers) {
    const auto& siblings = entry.second.siblings;
    size_t different = 0;
    for (size_t i = 0; i < siblings.size(); ++i) {
      different += std::none_of(siblings.begin(), siblings.begin() + static_cast<ptrdiff_t>(i),
                                [&](const Sibling& s) { return same_content(s, siblings[i]); });
    }
    most = std::max(most, different);
  }
  return most;
}

}  // namespace

SqliteReader::SqliteReader(Connection db, const DatabaseOptions& options, Worlds worlds)
    : options_(options),
      worlds_(std::move(worlds)),
      db_(std::move(db)),
      rows_(db_, nullptr, nullptr),
      sql_(db_, guard_, options_, Guard::Mode::kRead) {
  guard_.install(db_, options_.sql_bytes, options_.statement_ms);
}

Result<void> SqliteReader::begin() {
  rows_.tidy();
  auto q = rows_.plan("BEGIN");
  if (!q) return tl::unexpected(q.error());
  if (auto done = (*q)->run(); !done) return done;
  open_ = true;
  auto applied = read_applied();  // a snapshot is taken by the first read
  if (!applied) return tl::unexpected(applied.error());
  return {};
}

void SqliteReader::end() {
  open_ = false;
  db_.rollback();
}

Result<VersionVector> SqliteReader::applied() { return read_applied(); }

Result<VersionVector> SqliteReader::read_applied() {
  auto q = rows_.plan("SELECT applied FROM _entente_state");
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  ByteReader in((*q)->bytes(0));
  return decode_version_vector(in);
}

Result<StatementResult> SqliteReader::execute(const Statement& statement) {
  auto compiled = sql_.prepare(statement.sql);
  if (!compiled) return tl::unexpected(compiled.error());
  if ((*compiled)->kind == StatementKind::kTransactionControl) {
    return fail(Code::kRefused, "transactions are begun and ended through the gateway",
                "transaction_control");
  }
  if ((*compiled)->kind != StatementKind::kOther || !(*compiled)->reads_only) {
    return fail(Code::kRefused, "this statement writes, and here only reading is possible",
                "read_only");
  }
  return sql_.run(**compiled, statement);
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
  auto applied = read_applied();
  if (!applied) return tl::unexpected(applied.error());
  auto loaded = rows_.load(*world, *t, *canonical);
  if (!loaded) return tl::unexpected(loaded.error());
  auto lost = has_losses(rows_, *t, *canonical);
  if (!lost) return tl::unexpected(lost.error());
  RowRead out;
  out.row = std::move(loaded->shown);
  out.context.seen = std::move(*applied);
  out.etag = etag_of(loaded->state);
  out.siblings = different_values(loaded->state);
  const bool waits = loaded->meta && loaded->meta->quarantined;
  if (waits || open_conflict(loaded->state, t->layout, world->ranks)) {
    out.conflict = RowRead::Conflict::kOpen;
  } else if (*lost) {
    out.conflict = RowRead::Conflict::kResolved;
  }
  out.policy = t->layout.groups.front().policy;
  if (all_siblings) out.values = versions_of(*world, *t, loaded->state);
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

Result<std::vector<TableDef>> SqliteReader::tables() {
  std::vector<TableDef> out;
  const auto world = worlds_();
  for (const auto& [name, table] : world->tables) out.push_back(table->def);
  std::sort(out.begin(), out.end(),
            [](const TableDef& a, const TableDef& b) { return a.name < b.name; });
  return out;
}

Result<std::optional<TableDef>> SqliteReader::find_table(std::string_view name) {
  const auto world = worlds_();
  const Table* t = world->find(name);
  return t == nullptr ? std::nullopt : std::optional<TableDef>(t->def);
}

}  // namespace entente::sqlite
