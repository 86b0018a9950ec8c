// What a peer that lies can have applied: records that are well-formed up to what the fuzzer does
// to them, in the database by both its ways and in the memory database. Whatever it is: it is taken
// or refused alike, a refusal says that the peer is at fault and changes nothing, and both ways end
// at the same rows.

#include <algorithm>
#include <array>
#include <map>

#include "conflict/key.h"
#include "tests/fuzz/peers_world.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

using Which = PeersWorld::Which;
constexpr std::array kAll = {Which::kFast, Which::kGeneral, Which::kMemory};
constexpr size_t kRecordsMax = 8, kChangesMax = 40;

constexpr std::array<const char*, 16> kSchemaSql = {
    "CREATE TABLE fresh (id INTEGER PRIMARY KEY, a TEXT)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, aa TEXT, b INTEGER, c REAL, d TEXT)",
    "CREATE TABLE t (id TEXT, aa TEXT, PRIMARY KEY (id, aa))",
    "CREATE TABLE keyless (a, b)",
    "ALTER TABLE t ADD COLUMN e TEXT",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE pair RENAME COLUMN v TO vv",
    "ALTER TABLE many DROP COLUMN m",
    "DROP TABLE t",
    "DROP TABLE pair",
    "CREATE UNIQUE INDEX one_b ON t (b)",
    "CREATE UNIQUE INDEX one_w ON many (w)",
    "CREATE TRIGGER loud AFTER INSERT ON t BEGIN DELETE FROM pair; END",
    "DELETE FROM _entente_log",
    "PRAGMA writable_schema = 1",
    "",
};

// Makes up what a peer says.
class Liar {
 public:
  Liar(Choices& choices, const PeersWorld& world)
      : choices_(choices), world_(world), streams_(world.start().streams) {
    for (const auto& [origin, stream] : streams_) applied_.advance(origin, stream.seq);
  }

  Run next() {
    const std::array<Origin, 6> origins = {origin_of(9), origin_of(9), origin_of(8),
                                           origin_of(1), origin_of(1), origin_of(2)};
    const Origin origin = origins[choices_.below(origins.size())];
    StreamState& before = streams_[origin];
    std::string record = sealed(origin, before);
    if (choices_.byte() % 8 == 1) damage(record);
    ByteWriter out;
    out.string(record);
    Run run{origin, before.seq + 1, 1, out.take()};
    if (const auto head = decode_head(origin, record, before)) {
      before = advance(before, *head, record);
      applied_.advance(origin, before.seq);
    }
    return run;
  }

  bool changed_schema() const { return changed_schema_; }

 private:
  std::string sealed(const Origin& origin, const StreamState& before) {
    Transaction head{{origin, before.seq + 1}, before.hlc, {}, world_.start().epoch, {}, {}};
    head.hlc.bits = std::max(before.hlc.bits, Hlc::at(world_.wall_ms()).bits) + 1 + choices_.byte();
    if (before.seq == 0) head.declares_dc = "dc" + std::to_string(origin.id[0]);
    const uint8_t how = choices_.byte();
    head.context = how % 4 == 0 ? before.context : applied_;
    if (how % 16 == 5) head.context.set(origin_of(7), 1);  // nobody has it
    if (how % 8 == 6) head.epoch -= std::min<uint64_t>(head.epoch, choices_.byte() % 16);
    if (how % 16 == 7) head.epoch += choices_.byte();
    head.context.set(origin, 0);
    const size_t n = 1 + choices_.below(how % 32 == 3 ? kChangesMax : 4);
    ByteWriter changes;
    for (size_t i = 0; i < n; ++i) add_change(changes, head);
    return seal_record(head, n, changes.view(), before);
  }

  void add_change(ByteWriter& out, const Transaction& head) {
    const uint8_t kind = choices_.byte();
    if (kind % 32 == 31) return out.raw(choices_.piece());
    if (kind % 32 == 30) {
      changed_schema_ = true;
      return append_change(out, schema_change());
    }
    append_change(out, row_change(kind, head));
  }

  Value value() { return value_at(choices_.byte()); }

  Key key(const TableDef& table) {
    std::vector<Value> parts;
    const uint8_t how = choices_.byte();
    const size_t n = table.key().size() + (how % 16 == 14) - (how % 16 == 15);
    for (size_t i = 0; i < n; ++i) {
      static const std::vector<Value> kUsual = {
          int64_t{1},       int64_t{2}, std::string("eu"), int64_t{3},
          std::string("k"), 2.5,        std::string("c")};
      parts.push_back(how % 4 != 0 ? kUsual[choices_.below(kUsual.size())] : value());
    }
    if (how % 16 == 13) return Key(choices_.piece());
    if (how % 16 < 12) {
      if (auto canonical = canonical_key(table, parts)) return std::move(*canonical);
    }
    ByteWriter out;
    for (const auto& part : parts) out.value(part);
    return out.take();
  }

  // Some of its columns, or all.
  Row columns(const TableDef& table, bool all) {
    Row row;
    for (const auto& c : table.columns) {
      if ((c.key_part == 0 && (all || choices_.flag())) || choices_.byte() % 64 == 63) {
        row.insert_or_assign(c.name, value());
      }
    }
    if (choices_.byte() % 32 == 31) row.insert_or_assign(std::string(choices_.piece()), value());
    return row;
  }

  Change row_change(uint8_t kind, const Transaction& head) {
    const auto& tables = world_.tables();
    const TableDef& table = tables[choices_.below(tables.size())];
    RowChange c{table.name, key(table), kind % 4 == 3, (kind & 4) != 0, {}, {}, {}, {}};
    if (!table.former.empty() && kind % 64 == 60) c.table = table.former.front().name;
    if (!c.erase) c.columns = columns(table, (kind & 8) == 0);
    if ((kind & 16) != 0) adorn(c, table, head);
    return c;
  }

  void adorn(RowChange& c, const TableDef& table, const Transaction& head) {
    const uint8_t what = choices_.byte();
    if ((what & 1) != 0) {
      c.context = head.context;
      c.context->set(origin_of(1), choices_.byte());
    }
    if ((what & 2) != 0) c.base = columns(table, false);
    const auto column = [&] { return table.columns[choices_.below(table.columns.size())].name; };
    if ((what & 4) != 0) {
      c.kept.push_back({choices_.flag() ? column() : std::string(),
                        {origin_of(choices_.flag() ? 1 : 9), choices_.byte()}});
    }
    if ((what & 8) != 0) {
      const auto sum = static_cast<Int128>(choices_.number()) << (choices_.byte() % 64);
      const Origin whose = origin_of(choices_.flag() ? 9 : 1);
      const uint64_t seq = choices_.byte() % (head.context.at(whose) + 2);  // or not seen yet
      c.floors.push_back({column(), whose, seq, choices_.flag() ? sum : -sum});
    }
    if ((what & 16) != 0) c.decider = Decider::kHandler;
    if ((what & 32) != 0) {
      for (const auto& [name, now] : c.columns) c.old.emplace(name, value());
      if (c.erase) c.old = columns(table, true);
    }
  }

  Change schema_change() {
    SchemaChange c;
    c.epoch = world_.start().epoch + choices_.byte() % 4;
    const size_t which = choices_.below(kSchemaSql.size() + 1);
    c.sql = {which < kSchemaSql.size() ? kSchemaSql[which] : std::string(choices_.piece())};
    const auto& tables = world_.tables();
    for (size_t n = choices_.below(3); n > 0; --n) {
      TableDef def = tables[choices_.below(tables.size())];
      if (choices_.flag()) bend(def);
      c.tables.push_back(std::move(def));
    }
    for (size_t n = choices_.below(4); n > 2; --n) {
      c.dropped.push_back(tables[choices_.below(tables.size())].name);
    }
    return c;
  }

  void bend(TableDef& def) {
    ColumnDef& c = def.columns[choices_.below(def.columns.size())];
    switch (choices_.below(9)) {
      case 0:
        def.name = choices_.flag() ? "fresh" : "_entente_log";
        break;
      case 1:
        def.since = choices_.byte();
        break;
      case 2:
        c.name = choices_.flag() ? "e" : std::string(choices_.piece());
        break;
      case 3:
        c.key_part = static_cast<uint16_t>(choices_.below(3));
        break;
      case 4:
        c.id = choices_.byte();
        def.columns_ever = 256;
        break;
      case 5:
        def.columns.pop_back();
        break;
      case 6:
        def.former.push_back({"t", choices_.byte()});
        break;
      case 7:
        c.affinity = static_cast<Affinity>(choices_.below(5));
        c.collation = static_cast<Collation>(choices_.below(3));
        break;
      default:
        c.since = def.changed = choices_.byte();
        def.columns.push_back(
            {"e", "TEXT", Affinity::kText, Collation::kBinary, false, 0, def.columns_ever++});
        break;
    }
  }

  void damage(std::string& record) {
    for (size_t n = 1 + choices_.below(3); n > 0 && !record.empty(); --n) {
      const size_t at = (choices_.byte() | static_cast<size_t>(choices_.byte()) << 8);
      record[at % record.size()] = static_cast<char>(choices_.byte());
    }
  }

  Choices& choices_;
  const PeersWorld& world_;
  std::map<Origin, StreamState> streams_;
  VersionVector applied_;
  bool changed_schema_ = false;
};

bool same_streams(const DatabaseState& a, const DatabaseState& b) {
  const auto alike = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.seq == y.second.seq && x.second.hlc == y.second.hlc &&
           x.second.context == y.second.context && x.second.chain == y.second.chain;
  };
  return std::equal(a.streams.begin(), a.streams.end(), b.streams.begin(), b.streams.end(), alike);
}

// Applies everywhere; how many took it. What the memory database makes of a schema is its own.
size_t apply(PeersWorld& world, const std::vector<Run>& runs, bool with_memory) {
  std::array<bool, kAll.size()> taken{};
  for (const Which which : kAll) {
    Database& db = world.database(which);
    const DatabaseState before = db.state();
    const auto done = db.apply(runs, world.wall_ms());
    taken[static_cast<size_t>(which)] = done.has_value();
    if (done) continue;
    const Code code = done.error().code;
    if (code != Code::kInvalid && code != Code::kFork) std::cerr << done.error().text << std::endl;
    MUST(code == Code::kInvalid || code == Code::kFork);
    MUST(same_streams(before, db.state()) && before.log_head == db.state().log_head);
    MUST(before.epoch == db.state().epoch && before.hlc == db.state().hlc);
  }
  MUST(taken[0] == taken[1]);
  // The memory database does not know a rowid, which is an integer, from another key.
  MUST(!with_memory || !taken[0] || taken[2]);
  return static_cast<size_t>(std::count(taken.begin(), taken.end(), true));
}

void show(const std::string& table, const Row& fast, const Row& general) {
  for (const Row* row : {&fast, &general}) {
    std::cerr << table << ":";
    for (const auto& [name, value] : *row) std::cerr << " " << name << "=" << describe(value);
    std::cerr << std::endl;
  }
}

void check_alike(PeersWorld& world) {
  Database &fast = world.database(Which::kFast), &general = world.database(Which::kGeneral);
  MUST(same_streams(fast.state(), general.state()));
  Reader &a = world.reader(Which::kFast), &b = world.reader(Which::kGeneral);
  const auto tables = a.tables(), others = b.tables();
  MUST(tables && others && *tables == *others);
  for (const auto& t : *tables) {
    const auto rows = a.table(t.name), same = b.table(t.name);
    MUST(rows && same && rows->size() == same->size());
    for (const auto& [key, row] : *rows) {
      const bool alike = same->contains(key) && identical(same->at(key), row);
      if (!alike) show(t.name, row, same->contains(key) ? same->at(key) : Row{});
      MUST(alike);
    }
    const auto digests = a.digests({t.name}), alike = b.digests({t.name});
    MUST(digests && alike && digests->rows == alike->rows);
  }
}

// What readers and the writer's housekeeping meet afterwards.
void look_around(PeersWorld& world) {
  for (const Which which : kAll) {
    Database& db = world.database(which);
    Reader& reader = world.reader(which);
    MUST(reader.conflicts({}));
    const auto tables = reader.tables();
    MUST(tables);
    for (const auto& t : *tables) {
      const auto rows = reader.table(t.name);
      const auto states = reader.states({t.name, [](const Version&) { return false; }});
      MUST(rows && states && reader.digests({t.name}));
      for (const auto& state : states->rows) {
        const auto parts = key_parts(state.key);
        MUST(parts && reader.row(t.name, *parts, true));
      }
    }
    VersionVector applied;
    for (const auto& [origin, stream] : db.state().streams) applied.advance(origin, stream.seq);
    MUST(db.judge_again(world.wall_ms()));
    MUST(db.promise(applied) && db.collect(applied, SIZE_MAX));
  }
}

void run(std::string_view bytes) {
  if (bytes.empty()) return;
  auto& world = PeersWorld::instance();
  Choices choices(bytes);
  const uint8_t how = choices.byte();
  Liar liar(choices, world);
  bool changed = false;
  std::vector<Run> runs;
  for (size_t n = 0; n < kRecordsMax && !choices.done(); ++n) {
    runs.push_back(liar.next());
    if ((how & 1) != 0 && choices.flag()) continue;
    const size_t taken = apply(world, runs, !liar.changed_schema());
    changed |= taken > 0;
    runs.clear();
    if (taken < kAll.size()) break;
  }
  if (!changed) return;
  check_alike(world);
  if ((how & 2) != 0) world.reopen();
  if ((how & 4) != 0) look_around(world);
  check_alike(world);
  world.restore();
}

// Short inputs of every kind are as good as any: the bytes are choices.
std::vector<std::string> seeds() {
  std::vector<std::string> out;
  uint32_t x = 1;
  for (int i = 0; i < 24; ++i) {
    std::string seed(1, static_cast<char>(i % 8));
    for (int n = 0; n < 24 + 8 * i; ++n) {
      x = x * 1664525 + 1013904223;
      seed.push_back(static_cast<char>(x >> 24));
    }
    out.push_back(seed);
  }
  return out;
}

const Registration registered({"apply", run, seeds, 20});

}  // namespace
}  // namespace entente::fuzz
