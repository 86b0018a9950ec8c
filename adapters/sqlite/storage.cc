#include "adapters/sqlite/storage.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "adapters/sqlite/guard.h"
#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

constexpr int64_t kFormat = 8;

constexpr const char* kTables = R"sql(
CREATE TABLE _entente_state (
  one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, self BLOB NOT NULL,
  hlc INTEGER NOT NULL, epoch INTEGER NOT NULL, head INTEGER NOT NULL, applied BLOB NOT NULL,
  promised BLOB NOT NULL, collected BLOB NOT NULL, keys INTEGER NOT NULL);
CREATE TABLE _entente_origins (
  id INTEGER PRIMARY KEY, incarnation BLOB NOT NULL UNIQUE, dc TEXT NOT NULL,
  seq INTEGER NOT NULL, hlc INTEGER NOT NULL, chain BLOB NOT NULL, context BLOB NOT NULL);
CREATE TABLE _entente_tables (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE, def BLOB NOT NULL,
  births BLOB NOT NULL);
CREATE TABLE _entente_copies (
  made INTEGER NOT NULL, of INTEGER NOT NULL, seen BLOB NOT NULL, filled BLOB NOT NULL,
  PRIMARY KEY (made, of)) WITHOUT ROWID;
CREATE TABLE _entente_log (
  position INTEGER PRIMARY KEY, origin INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, ms INTEGER NOT NULL, total INTEGER NOT NULL, before BLOB NOT NULL,
  records BLOB NOT NULL);
CREATE INDEX _entente_log_by_dot ON _entente_log (origin, last);
CREATE TABLE _entente_siblings (
  tbl INTEGER NOT NULL, key BLOB NOT NULL, registers BLOB NOT NULL,
  PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE _entente_conflicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, tbl INTEGER NOT NULL, key BLOB NOT NULL,
  open INTEGER NOT NULL, grp TEXT NOT NULL, policy INTEGER NOT NULL, kind TEXT NOT NULL,
  ms INTEGER NOT NULL, winner BLOB, losers BLOB, decider TEXT, note TEXT);
CREATE INDEX _entente_conflicts_by_row ON _entente_conflicts (tbl, key);
CREATE UNIQUE INDEX _entente_conflicts_open ON _entente_conflicts (tbl, key, grp, kind)
  WHERE open = 1;
CREATE INDEX _entente_conflicts_waiting ON _entente_conflicts (tbl, kind) WHERE open = 1;
CREATE TABLE _entente_rules (version TEXT NOT NULL);
INSERT INTO _entente_rules VALUES ('');
CREATE TABLE _entente_unsettled (
  tbl INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
)sql";

template <size_t N>
std::string_view bytes_of(const std::array<uint8_t, N>& a) {
  return {reinterpret_cast<const char*>(a.data()), N};
}

template <size_t N>
bool read_into(std::string_view bytes, std::array<uint8_t, N>& out) {
  if (bytes.size() != N) return false;
  std::memcpy(out.data(), bytes.data(), N);
  return true;
}

std::string encoded(const VersionVector& vv) {
  ByteWriter out;
  encode(out, vv);
  return out.take();
}

tl::unexpected<Error> not_ours(const char* what) {
  return fail(Code::kCorrupt, std::string("the gateway's table ") + what +
                                  " in this database holds something this gateway did not write");
}

std::string encode_births(const std::vector<Birth>& births) {
  ByteWriter out;
  for (const auto& b : births) {
    out.varint(b.column);
    out.varint(b.applied.size());
    for (const uint64_t seq : b.applied) out.varint(seq);
  }
  return out.take();
}

std::vector<Birth> read_births(std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<Birth> births;
  while (in.ok() && in.left() > 0) {
    Birth& b = births.emplace_back();
    b.column = static_cast<uint32_t>(in.varint());
    b.applied.resize(in.count(1));
    for (auto& seq : b.applied) seq = in.varint();
  }
  return births;
}

Applied applied_by_id(const FileState& state) {
  Applied out;
  for (const auto& origin : state.world->origins) out.push_back(state.applied.at(origin));
  return out;
}

// The one before may still be pointed into.
void replace_world(FileState& state, std::shared_ptr<const World> world) {
  state.retired.push_back(std::move(state.world));
  state.world = std::move(world);
}

// Which tables are parents, and by what: known only when all are.
void mark_referenced(World& world) {
  std::map<std::string, std::set<std::string>> parents;
  for (const auto& [name, table] : world.tables) {
    for (const auto& fk : table->foreign_keys) {
      auto& columns = parents[lower(fk.parent)];
      for (const auto& c : fk.as_parent.columns) columns.insert(c.name);
    }
  }
  for (auto& [name, table] : world.tables) {
    const auto it = parents.find(name);
    auto changed = std::make_shared<Table>(*table);
    changed->referenced = it != parents.end();
    changed->referenced_columns.clear();
    if (it != parents.end()) changed->referenced_columns = it->second;
    for (const size_t i : table->key) changed->referenced_columns.erase(table->columns[i].name);
    const bool same = changed->referenced == table->referenced &&
                      changed->referenced_columns == table->referenced_columns;
    if (!same) table = std::move(changed);
  }
}

// An adopted file's rows are the changes of an origin of their own, stamped by their seqs.
bool is_adopted(const StreamState& stream) { return stream.hlc == Hlc{stream.seq}; }

}  // namespace

std::optional<SmallKeys> small_keys_of(const FileState& state, const DatabaseOptions& options) {
  uint64_t lives = 0, others = 0;
  for (const auto& [origin, stream] : state.streams) {
    if (origin == state.self || is_adopted(stream.state)) continue;
    ++(stream.dc == options.dc ? lives : others);
  }
  if (options.alone && lives + others == 0) return SmallKeys::alone();
  return SmallKeys::of(options.key_slot, lives);
}

Result<Stmt*> Storage::plan(Stmt& stmt, const char* sql) {
  if (!stmt) {
    auto made = db_.prepare(sql);
    if (!made) return tl::unexpected(made.error());
    stmt = std::move(*made);
  }
  return &stmt;
}

Result<void> Storage::check_encoding() {
  auto q = db_.prepare("PRAGMA encoding");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  if (q->bytes(0) == "UTF-8") return {};
  return fail(Code::kRefused,
              "this database holds its text as UTF-16: dump it and read it into a new one",
              "encoding");
}

Result<bool> Storage::exists() {
  auto q = db_.prepare("SELECT 1 FROM sqlite_master WHERE name = '_entente_state'");
  if (!q) return tl::unexpected(q.error());
  return q->step();
}

Result<void> Storage::create(const Origin& self) {
  if (auto done = db_.exec(kTables); !done) return done;
  auto q = db_.prepare("INSERT INTO _entente_state VALUES (1, ?1, ?2, 0, 0, 0, ?3, ?3, ?3, 0)");
  if (!q) return tl::unexpected(q.error());
  const std::string nothing = encoded({});
  q->bind_all(kFormat, Bytes{bytes_of(self.id)}, Bytes{nothing});
  return q->run();
}

Result<void> Storage::change_self(FileState& state, const Origin& self) {
  auto q = db_.prepare("UPDATE _entente_state SET self = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Bytes{bytes_of(self.id)});
  if (auto done = q->run(); !done) return done;
  state.self = self;
  return {};
}

Result<FileState> Storage::load() {
  FileState state;
  auto world = std::make_shared<World>();
  world->ranks = Ranks(rules_.priorities);
  if (auto done = load_head(state); !done) return tl::unexpected(done.error());
  if (auto done = load_origins(state, *world); !done) return tl::unexpected(done.error());
  if (auto done = load_tables(*world); !done) return tl::unexpected(done.error());
  if (auto done = read_schema_texts(*world); !done) return tl::unexpected(done.error());
  state.world = std::move(world);
  if (auto done = load_extras(state); !done) return tl::unexpected(done.error());
  if (auto done = load_left_out(state); !done) return tl::unexpected(done.error());
  if (auto done = load_numbers(state); !done) return tl::unexpected(done.error());
  return state;
}

Result<void> Storage::load_head(FileState& state) {
  auto q = db_.prepare(
      "SELECT format, self, hlc, epoch, head, applied, promised, keys, collected "
      "FROM _entente_state");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row || q->integer(0) < 1) return not_ours("_entente_state");
  if (q->integer(0) > kFormat) {
    return fail(Code::kMismatch, "this database was written by a newer gateway: upgrade this one");
  }
  if (q->integer(0) < kFormat) {
    return fail(Code::kMismatch,
                "this database was written by a gateway from before version 0.2, "
                "whose files this one does not read: start from an empty one");
  }
  ByteReader in(q->bytes(5));
  auto applied = decode_version_vector(in);
  ByteReader promised_in(q->bytes(6));
  auto promised = decode_version_vector(promised_in);
  ByteReader collected_in(q->bytes(8));
  auto collected = decode_version_vector(collected_in);
  if (!read_into(q->bytes(1), state.self.id) || !applied || !promised || !collected) {
    return not_ours("_entente_state");
  }
  state.clock = HlcClock(Hlc{q->natural(2)});
  state.epoch = q->natural(3);
  state.keys.last = q->natural(7);
  state.log_head = q->natural(4);
  state.applied = std::move(*applied);
  state.promised = std::move(*promised);
  state.collected = std::move(*collected);
  return load_log_total(state);
}

Result<void> Storage::load_log_total(FileState& state) {
  auto q = db_.prepare("SELECT total FROM _entente_log ORDER BY position DESC LIMIT 1");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  if (*row) state.log_total = q->natural(0);
  return {};
}

Result<void> Storage::load_origins(FileState& state, World& world) {
  auto q = db_.prepare(
      "SELECT id, incarnation, dc, seq, hlc, chain, context FROM _entente_origins ORDER BY id");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    Stream s;
    Origin origin;
    s.id = q->integer(0);
    s.dc = q->bytes(2);
    s.state.seq = q->natural(3);
    s.state.hlc = Hlc{q->natural(4)};
    ByteReader in(q->bytes(6));
    auto context = decode_version_vector(in);
    if (!read_into(q->bytes(1), origin.id) || !read_into(q->bytes(5), s.state.chain) || !context ||
        s.id != static_cast<int64_t>(world.origins.size())) {
      return not_ours("_entente_origins");
    }
    s.state.context = std::move(*context);
    world.origins.push_back(origin);
    world.origin_ids.emplace(origin, s.id);
    world.ranks.declare(origin, s.dc);
    state.streams.emplace(origin, std::move(s));
  }
  if (!row) return tl::unexpected(row.error());
  return {};
}

Result<void> Storage::load_tables(World& world) {
  auto q = db_.prepare("SELECT id, def, births FROM _entente_tables");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    ByteReader in(q->bytes(1));
    auto def = decode_table(in);
    if (!def) return not_ours("_entente_tables");
    auto table = make_table(db_, q->integer(0), *def, read_births(q->bytes(2)), rules_);
    if (!table) return tl::unexpected(table.error());
    world.tables.emplace(lower(def->name), std::move(*table));
  }
  if (!row) return tl::unexpected(row.error());
  mark_referenced(world);
  return {};
}

Result<void> Storage::load_extras(FileState& state) {
  auto q = db_.prepare(
      "SELECT tbl, count(*), 0, 0 FROM _entente_siblings GROUP BY tbl UNION ALL SELECT tbl, 0, "
      "count(DISTINCT iif(kind = 'foreign-key', NULL, key)), "
      "count(DISTINCT key) FROM _entente_conflicts WHERE open = 1 AND kind IN "
      "('constraint', 'unique', 'foreign-key') GROUP BY tbl");
  if (auto done = load_orphans(state); !done) return done;
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    Extras& extras = state.extras[q->integer(0)];
    extras.siblings += q->integer(1);
    const Table* t = state.world->by_id(q->integer(0));
    const bool hides = t != nullptr && t->rules.orphans == Orphans::kHide;
    extras.quarantined += q->integer(hides ? 3 : 2);
  }
  if (!row) return tl::unexpected(row.error());
  return {};
}

Result<void> Storage::load_orphans(FileState& state) {
  auto q = db_.prepare(
      "SELECT tbl, count(*) FROM _entente_conflicts WHERE open = 1 AND kind = 'foreign-key' GROUP "
      "BY tbl");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) state.extras[q->integer(0)].orphans = q->integer(1);
  if (!row) return tl::unexpected(row.error());
  return {};
}

Result<void> Storage::read_schema_texts(World& world) {
  world.fussy = false;
  world.views.clear();
  auto q = db_.prepare("SELECT sql, type, name FROM sqlite_master WHERE sql IS NOT NULL");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    const auto words = words_of(q->bytes(0));
    for (const char* word : {"DEFERRED", "FAIL", "TRIGGER"}) world.fussy |= contains(words, word);
    if (q->bytes(1) == "view") world.views.insert(lower(q->bytes(2)));
  }
  if (!row) return tl::unexpected(row.error());
  return {};
}

Result<void> Storage::add_origin(FileState& state, const Origin& origin, const std::string& dc) {
  auto world = std::make_shared<World>(*state.world);
  Stream s{static_cast<int64_t>(world->origins.size()), dc, {}};
  world->origins.push_back(origin);
  world->origin_ids.emplace(origin, s.id);
  world->ranks.declare(origin, dc);
  auto q = db_.prepare("INSERT INTO _entente_origins VALUES (?1, ?2, ?3, 0, 0, ?4, ?5)");
  if (!q) return tl::unexpected(q.error());
  const std::string nothing = encoded({});
  q->bind_all(s.id, Bytes{bytes_of(origin.id)}, Text{dc}, Bytes{bytes_of(s.state.chain)},
              Bytes{nothing});
  if (auto done = q->run(); !done) return done;
  state.streams.emplace(origin, std::move(s));
  state.world = std::move(world);
  return {};
}

Result<std::shared_ptr<const Table>> Storage::add_table(FileState& state, const TableDef& def) {
  ByteWriter encoded_def;
  encode(encoded_def, def);
  auto q = db_.prepare("INSERT INTO _entente_tables (name, def, births) VALUES (?1, ?2, x'')");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(Text{def.name}, Bytes{encoded_def.view()});
  if (auto done = q->run(); !done) return tl::unexpected(done.error());
  auto table = make_table(db_, sqlite3_last_insert_rowid(db_.get()), def, {}, rules_);
  if (!table) return table;
  if (auto done = db_.exec(create_versions_sql(**table)); !done) {
    return tl::unexpected(done.error());
  }
  auto world = std::make_shared<World>(*state.world);
  world->tables.emplace(lower(def.name), *table);
  replace_world(state, std::move(world));
  return table;
}

Result<std::shared_ptr<const Table>> Storage::redefine_table(FileState& state, const Table& was,
                                                             const TableDef& def) {
  std::vector<Birth> births = was.births;
  for (const auto& c : def.columns) {
    const bool known =
        std::any_of(births.begin(), births.end(), [&](const Birth& b) { return b.column == c.id; });
    if (c.since == def.changed && !known) births.push_back({c.id, applied_by_id(state)});
  }
  auto table = make_table(db_, was.id, def, births, rules_);
  if (!table) return table;
  if ((*table)->rowid_key != was.rowid_key) {
    return fail(Code::kRefused,
                "the key of table " + def.name +
                    " was an INTEGER PRIMARY KEY and cannot become another kind of key, nor the "
                    "other way round: make a table of another name",
                "key_kind");
  }
  ByteWriter encoded_def;
  encode(encoded_def, def);
  auto q = db_.prepare("UPDATE _entente_tables SET name = ?2, def = ?3, births = ?4 WHERE id = ?1");
  if (!q) return tl::unexpected(q.error());
  const std::string encoded_births = encode_births(births);
  q->bind_all(was.id, Text{def.name}, Bytes{encoded_def.view()}, Bytes{encoded_births});
  if (auto done = q->run(); !done) return tl::unexpected(done.error());
  auto world = std::make_shared<World>(*state.world);
  world->tables.erase(lower(was.def.name));
  world->tables.insert_or_assign(lower(def.name), *table);
  replace_world(state, std::move(world));
  return table;
}

Result<void> Storage::set_aside(FileState& state, const Table& table, const std::string& name) {
  auto q = db_.prepare("UPDATE _entente_tables SET name = ?2 WHERE id = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(table.id, Text{name});
  if (auto done = q->run(); !done) return done;
  auto world = std::make_shared<World>(*state.world);
  world->tables.erase(lower(table.def.name));
  replace_world(state, std::move(world));
  return {};
}

Result<void> Storage::drop_table(FileState& state, const Table& table) {
  const std::string id = std::to_string(table.id);
  auto done = db_.exec("DELETE FROM _entente_tables WHERE id = " + id +
                       "; DELETE FROM _entente_siblings WHERE tbl = " + id +
                       "; DELETE FROM _entente_conflicts WHERE tbl = " + id +
                       "; DELETE FROM _entente_unsettled WHERE tbl = " + id +
                       "; DELETE FROM _entente_copies WHERE made = " + id + " OR of = " + id +
                       "; DROP TABLE _entente_v_" + id);
  if (!done) return done;
  state.extras.erase(table.id);
  auto world = std::make_shared<World>(*state.world);
  std::erase_if(world->tables, [&](const auto& named) { return named.second->id == table.id; });
  replace_world(state, std::move(world));
  return {};
}

Result<void> Storage::drop_table(FileState& state, const Table& table, int64_t heir) {
  auto q = db_.prepare("UPDATE _entente_conflicts SET tbl = ?2 WHERE tbl = ?1 AND open = 0");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(table.id, heir);
  return q->run().and_then([&] { return drop_table(state, table); });
}

Result<void> Storage::note_copy(const Table& made, const Table& of, const RowsCopied& copied) {
  auto q = db_.prepare(
      "INSERT OR IGNORE INTO _entente_copies SELECT ?1, ?2, ?3, ?4 UNION ALL "
      "SELECT ?1, of, seen, ?4 FROM _entente_copies WHERE made = ?2 AND of <> ?1");
  if (!q) return tl::unexpected(q.error());
  const std::string seen = encoded(copied.seen), filled = encoded(copied.filled);
  q->bind_all(made.id, of.id, Bytes{seen}, Bytes{filled});
  return q->run();
}

Result<std::optional<RowsCopied>> Storage::copy_of(const Table& made, const Table& of) {
  auto q = db_.prepare("SELECT seen, filled FROM _entente_copies WHERE made = ?1 AND of = ?2");
  if (!q) return tl::unexpected(q.error());
  q->bind_all(made.id, of.id);
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  ByteReader seen_in(q->bytes(0)), filled_in(q->bytes(1));
  auto seen = decode_version_vector(seen_in), filled = decode_version_vector(filled_in);
  if (!seen || !filled) return not_ours("_entente_copies");
  return RowsCopied{std::move(*seen), std::move(*filled)};
}

Result<bool> Storage::is_copied(const Table& of) {
  auto q = db_.prepare("SELECT 1 FROM _entente_copies WHERE of = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, of.id);
  return q->step();
}

Result<std::vector<std::string>> Storage::unknown_tables(const World& world) {
  auto q = db_.prepare(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT "
      "LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name");
  if (!q) return tl::unexpected(q.error());
  std::vector<std::string> names;
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    std::string name(q->bytes(0));
    if (!is_reserved(name) && world.find(name) == nullptr) names.push_back(std::move(name));
  }
  if (!row) return tl::unexpected(row.error());
  return names;
}

Result<int64_t> Storage::schema_version() {
  auto q = db_.prepare("PRAGMA schema_version");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  return q->integer(0);
}

Result<void> Storage::refresh_schema(FileState& state) {
  auto world = std::make_shared<World>(*state.world);
  if (auto done = read_schema_texts(*world); !done) return done;
  for (auto& [name, table] : world->tables) {
    auto again = make_table(db_, table->id, table->def, table->births, rules_);
    if (!again) return tl::unexpected(again.error());
    table = std::move(*again);
  }
  mark_referenced(*world);
  replace_world(state, std::move(world));
  return {};
}

// Few databases ever have the table: it is made when it is needed.
constexpr const char* kLeftOut =
    "CREATE TABLE IF NOT EXISTS _entente_left_out (epoch INTEGER PRIMARY KEY, change BLOB NOT "
    "NULL, "
    "why TEXT NOT NULL)";

Result<bool> Storage::has(const char* table) {
  auto q = db_.prepare("SELECT 1 FROM sqlite_master WHERE name = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{table});
  return q->step();
}

Result<void> Storage::load_left_out(FileState& state) {
  if (auto there = has("_entente_left_out"); !there || !*there) return there.map([](bool) {});
  auto q = db_.prepare("SELECT epoch, change, why FROM _entente_left_out ORDER BY epoch");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) {
    ByteReader in(q->bytes(1));
    auto change = decode_change(in);
    const auto* schema = change ? std::get_if<SchemaChange>(&*change) : nullptr;
    if (schema == nullptr || schema->sql.empty()) return not_ours("_entente_left_out");
    state.left_out.push_back({q->natural(0), schema->sql.front(), std::string(q->bytes(2))});
  }
  return row.map([](bool) {});
}

Result<void> Storage::load_numbers(FileState& state) {
  if (auto there = has("_entente_numbers"); !there || !*there) return there.map([](bool) {});
  auto q = db_.prepare("SELECT tbl, made FROM _entente_numbers");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  for (; row && *row; row = q->step()) state.numbers.made[q->integer(0)] = q->integer(1);
  return row.map([](bool) {});
}

Result<void> Storage::save_numbers(FileState& state) {
  if (state.numbers.unsaved.empty()) return {};
  if (!save_number_) {
    auto made = db_.exec(
        "CREATE TABLE IF NOT EXISTS _entente_numbers (tbl INTEGER PRIMARY KEY, made INTEGER NOT "
        "NULL)");
    if (!made) return made;
  }
  auto q = plan(save_number_, "INSERT OR REPLACE INTO _entente_numbers VALUES (?1, ?2)");
  if (!q) return tl::unexpected(q.error());
  for (const int64_t table : state.numbers.unsaved) {
    (*q)->bind_all(table, state.numbers.made[table]);
    if (auto done = (*q)->run(); !done) return done;
  }
  state.numbers.unsaved.clear();
  return {};
}

Result<void> Storage::leave_out(FileState& state, const SchemaChange& change,
                                const std::string& why) {
  if (auto done = db_.exec(kLeftOut); !done) return done;
  auto q = db_.prepare("INSERT OR REPLACE INTO _entente_left_out VALUES (?1, ?2, ?3)");
  if (!q) return tl::unexpected(q.error());
  ByteWriter bytes;
  append_change(bytes, Change(change));
  q->bind_all(change.epoch, Bytes{bytes.view()}, Text{why});
  if (auto done = q->run(); !done) return done;
  std::erase_if(state.left_out, [&](const LeftOut& l) { return l.epoch == change.epoch; });
  state.left_out.push_back({change.epoch, change.sql.front(), why});
  return {};
}

Result<SchemaChange> Storage::left_out(uint64_t epoch) {
  auto q = db_.prepare("SELECT change FROM _entente_left_out WHERE epoch = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, epoch);
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  ByteReader in(*row ? q->bytes(0) : std::string_view());
  auto change = decode_change(in);
  if (!change || !std::holds_alternative<SchemaChange>(*change)) {
    return not_ours("_entente_left_out");
  }
  return std::get<SchemaChange>(std::move(*change));
}

Result<void> Storage::forget_left_out(FileState& state, uint64_t epoch) {
  auto q = db_.prepare("DELETE FROM _entente_left_out WHERE epoch = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, epoch);
  if (auto done = q->run(); !done) return done;
  std::erase_if(state.left_out, [&](const LeftOut& l) { return l.epoch == epoch; });
  return {};
}

Result<std::string> Storage::rules_version() {
  auto q = db_.prepare("SELECT version FROM _entente_rules");
  if (!q) return tl::unexpected(q.error());
  auto row = q->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? std::string(q->bytes(0)) : std::string();
}

Result<void> Storage::save_rules_version(const std::string& version) {
  auto q = db_.prepare("UPDATE _entente_rules SET version = ?1");
  if (!q) return tl::unexpected(q.error());
  q->bind(1, Text{version});
  return q->run();
}

Result<void> Storage::save_stream(const Stream& s) {
  auto q = plan(save_stream_,
                "UPDATE _entente_origins SET seq = ?2, hlc = ?3, chain = ?4, context = ?5 "
                "WHERE id = ?1");
  if (!q) return tl::unexpected(q.error());
  const std::string context = encoded(s.state.context);
  (*q)->bind_all(s.id, s.state.seq, s.state.hlc.bits, Bytes{bytes_of(s.state.chain)},
                 Bytes{context});
  return (*q)->run();
}

Result<void> Storage::save(const FileState& state) {
  auto q = plan(
      save_, "UPDATE _entente_state SET hlc = ?1, epoch = ?2, head = ?3, applied = ?4, keys = ?5");
  if (!q) return tl::unexpected(q.error());
  const std::string applied = encoded(state.applied);
  (*q)->bind_all(state.clock.last().bits, state.epoch, state.log_head, Bytes{applied},
                 state.keys.last);
  return (*q)->run();
}

Result<void> Storage::save_promised(const VersionVector& promised) {
  auto q = db_.prepare("UPDATE _entente_state SET promised = ?1");
  if (!q) return tl::unexpected(q.error());
  const std::string bytes = encoded(promised);
  q->bind_all(Bytes{bytes});
  return q->run();
}

Result<void> Storage::save_collected(const VersionVector& collected) {
  auto q = db_.prepare("UPDATE _entente_state SET collected = ?1");
  if (!q) return tl::unexpected(q.error());
  const std::string bytes = encoded(collected);
  q->bind_all(Bytes{bytes});
  return q->run();
}

Result<void> Storage::append_log(FileState& state, int64_t origin, const LogChunk& chunk,
                                 const std::array<uint8_t, 16>& chain_before, uint64_t wall_ms) {
  const Run& run = chunk.run;
  auto q = plan(append_, "INSERT INTO _entente_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
  if (!q) return tl::unexpected(q.error());
  state.log_total += run.records.size();
  (*q)->bind_all(chunk.position, origin, run.first, run.last(), wall_ms, state.log_total,
                 Bytes{bytes_of(chain_before)}, Bytes{run.records});
  return (*q)->run();
}

}  // namespace entente::sqlite
