#include "tests/crash/world.h"

#include <sqlite3.h>

#include <set>

#include "adapters/memory/memory_disk.h"
#include "adapters/sqlite/sqlite_database.h"

namespace entente::crash {
namespace {

std::shared_ptr<MemoryDisk> copy_of(const MemoryDisk& disk) {
  auto copy = copy_memory_disk(disk);
  copy->self = disk.self;  // the same life, in another world
  return copy;
}

struct Query {
  explicit Query(const std::string& path) {
    sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
    sqlite3_exec(db, "PRAGMA query_only=1", nullptr, nullptr, nullptr);
  }
  ~Query() { sqlite3_close_v2(db); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Rows as lines, values as SQL's quote() writes them.
  std::vector<std::string> lines(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* q = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &q, nullptr) != SQLITE_OK) {
      return {"error: " + sql + ": " + sqlite3_errmsg(db)};
    }
    int code = 0;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
      std::string line;
      for (int i = 0; i < sqlite3_column_count(q); ++i) {
        if (i > 0) line += " | ";
        line += text(q, i);
      }
      out.push_back(std::move(line));
    }
    if (code != SQLITE_DONE) out.push_back(std::string("error: ") + sqlite3_errmsg(db));
    sqlite3_finalize(q);
    return out;
  }

  static std::string text(sqlite3_stmt* q, int i) {
    const int type = sqlite3_column_type(q, i);
    if (type == SQLITE_NULL) return "NULL";
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(q, i));
    std::string value(bytes != nullptr ? bytes : "",
                      static_cast<size_t>(sqlite3_column_bytes(q, i)));
    if (type != SQLITE_BLOB) return value;
    std::string hex;
    for (const unsigned char c : value) {
      hex += "0123456789abcdef"[c >> 4];
      hex += "0123456789abcdef"[c & 15];
    }
    return "x" + hex;
  }

  sqlite3* db = nullptr;
};

std::string name_of(const Key& key) {
  std::string out;
  for (const auto& part : key_parts(key).value_or(std::vector<Value>{}))
    out += describe(part) + " ";
  return out;
}

}  // namespace

Origin origin_of(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

std::string dc_of(uint8_t n) { return "dc" + std::to_string(n); }

DatabaseOptions options_of(const World& world, uint8_t n) {
  const uint8_t leader = world.seed % 2 == 1 ? 1 : 2;
  DatabaseOptions o;
  o.dc = dc_of(n);
  o.fresh_origin = origin_of(n);
  o.key_slot = n;
  o.schema_leader = n == leader;
  o.schema_leader_name = dc_of(leader);
  o.wall_ms = 1'700'000'000'000;
  o.conflict_log_rows = 40;
  TableRules note;
  note.policy.kind = PolicyKind::kSiblings;
  o.rules.tables["note"] = note;
  TableRules stock;
  stock.columns["n"].kind = PolicyKind::kCounter;
  o.rules.tables["stock"] = stock;
  TableRules child;
  child.orphans = Orphans::kHide;
  o.rules.tables["child"] = child;
  return o;
}

World::World(uint64_t seed_of_all) : seed(seed_of_all), mirror(make_memory_disk()) {
  for (const uint8_t n : {2, 3}) peers.push_back({dc_of(n), make_memory_disk()});
}

World::World(const World& other)
    : seed(other.seed),
      disk(other.disk),
      now(other.now),
      peers(other.peers),
      log(other.log),
      streams(other.streams),
      mirror(copy_of(*other.mirror)),
      mirrored(other.mirrored),
      hlc(other.hlc),
      promised(other.promised),
      keys(other.keys) {
  for (auto& peer : peers) peer.disk = copy_of(*peer.disk);
}

void World::logged(LogChunk chunk) {
  StreamState& stream = streams[chunk.run.origin];
  ByteReader in(chunk.run.records);
  for (uint64_t i = 0; i < chunk.run.count; ++i)
    stream.chain = chain_after(stream.chain, in.string());
  stream.seq = chunk.run.last();
  log.push_back(std::move(chunk));
}

Live::Live(World& world) : world_(world), machine_(std::make_unique<Machine>(world.disk)) {}

Live::~Live() {
  machine_->disarm();
  kill();
}

std::string Live::path() const { return machine_->folder() + "/a.db"; }

Result<void> Live::open() {
  auto db = open_sqlite(path(), options_of(world_, 1), {.wal_pages = wal_pages});
  if (!db) return tl::unexpected(db.error());
  db_ = std::move(*db);
  return {};
}

void Live::end(Disk disk) {
  machine_->power_off();
  db_.reset();
  world_.disk = std::move(disk);
  machine_ = std::make_unique<Machine>(world_.disk);
}

std::string dump(const std::string& path) {
  Query file(path);
  std::string out;
  for (const auto& line : file.lines("SELECT type, name, sql FROM sqlite_master ORDER BY name")) {
    out += line + "\n";
  }
  for (const auto& table :
       file.lines("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY "
                  "name")) {
    for (const auto& line : file.lines("SELECT * FROM \"" + table + "\"")) {
      out.append(table).append(": ").append(line).append("\n");
    }
  }
  return out;
}

// ---- verify -------------------------------------------------------------------------------------

namespace {

using Finding = std::optional<std::string>;

std::string said(const Error& e) { return e.text + " (" + e.tag + ")"; }

// What is there that nobody acknowledged: a call that failed may have left it whole.
Finding adopt(Live& live, const DatabaseState& state, std::optional<uint64_t> unsure) {
  World& world = live.world();
  const uint64_t had = world.streams[origin_of(1)].seq;
  const auto found = state.streams.find(origin_of(1));
  const uint64_t has = found == state.streams.end() ? 0 : found->second.seq;
  const uint64_t more = has > had ? has - had : 0;
  if (more != 0 && (!unsure || more != *unsure)) {
    return "of its own transactions " + std::to_string(has) + " are there, acknowledged were " +
           std::to_string(had) + ", and a call failed with " +
           (unsure ? std::to_string(*unsure) : "none") + " more";
  }
  const LogPosition after = world.log.empty() ? 0 : world.log.back().position;
  if (state.log_head > after && !unsure) {
    return "the log goes on after what was acknowledged: " + std::to_string(state.log_head) + ", " +
           std::to_string(after);
  }
  auto chunks = live.db().read_log(after, SIZE_MAX);
  if (!chunks) return "the log cannot be read: " + said(chunks.error());
  for (auto& chunk : *chunks) world.logged(std::move(chunk));
  return {};
}

Finding check_state(const World& world, const DatabaseState& state) {
  for (const auto& [origin, stream] : world.streams) {
    const auto it = state.streams.find(origin);
    const uint64_t seq = it == state.streams.end() ? 0 : it->second.seq;
    if (seq != stream.seq) {
      return "of " + to_hex(origin) + " " + std::to_string(stream.seq) +
             " were acknowledged, and " + std::to_string(seq) + " are there";
    }
    if (it != state.streams.end() && it->second.chain != stream.chain) {
      return "the hash chain of " + to_hex(origin) + " is another one";
    }
  }
  for (const auto& [origin, stream] : state.streams) {
    if (stream.seq > 0 && !world.streams.contains(origin)) return "a stream out of nowhere";
  }
  if (state.hlc < world.hlc) return "the clock went back";
  if (!state.promised.covers(world.promised)) return "a promise is forgotten";
  const LogPosition head = world.log.empty() ? 0 : world.log.back().position;
  if (state.log_head != head) return "the log's head is another one";
  return {};
}

Finding check_log(Live& live) {
  auto chunks = live.db().read_log(0, SIZE_MAX);
  if (!chunks) return "the log cannot be read: " + said(chunks.error());
  const auto& log = live.world().log;
  if (chunks->size() > log.size()) return "the log has chunks that were never there";
  for (size_t i = 0; i < chunks->size(); ++i) {
    const LogChunk& mine = (*chunks)[i];
    const LogChunk& theirs = log[log.size() - chunks->size() + i];
    if (mine.position != theirs.position || mine.run.origin != theirs.run.origin ||
        mine.run.first != theirs.run.first || mine.run.records != theirs.run.records) {
      return "the log has something else at position " + std::to_string(theirs.position);
    }
  }
  return {};
}

Finding compare_table(Reader& mine, Reader& theirs, const std::string& table) {
  // What a constraint keeps from being shown, a memory database shows.
  const bool constrained = table == "email" || table == "child";
  auto a = mine.digests({table}), b = theirs.digests({table});
  if (!a || !b) return "table " + table + " has no digests: " + said(a ? b.error() : a.error());
  std::map<Key, RowDigest> rows;
  for (auto& d : b->rows) rows[d.key] = d;
  for (const auto& d : a->rows) {
    auto it = rows.find(d.key);
    if (it == rows.end()) return "row " + name_of(d.key) + "of " + table + " is too many";
    if (d.dots != it->second.dots || d.values != it->second.values ||
        (!constrained && d.shown != it->second.shown)) {
      return "row " + name_of(d.key) + "of " + table + " differs from what the log says";
    }
    rows.erase(it);
  }
  if (!rows.empty()) return "row " + name_of(rows.begin()->first) + "of " + table + " is missing";
  if (constrained) return {};
  auto shown = mine.table(table), expected = theirs.table(table);
  if (!shown || !expected) return "table " + table + " cannot be read";
  if (*shown != *expected) return "table " + table + " shows something else than the log says";
  return {};
}

std::set<std::string> open_conflicts(Reader& reader) {
  std::set<std::string> out;
  ConflictQuery query;
  query.state = ConflictQuery::State::kOpen;
  query.limit = 10'000;
  const auto found = reader.conflicts(query);
  if (!found) return {said(found.error())};
  for (const auto& c : *found) {
    if (c.kind == "unique" || c.kind == "constraint" || c.kind == "foreign-key") continue;
    out.insert(c.table + " " + name_of(c.key) + c.group + " " + c.kind + " of " +
               std::to_string(c.losers.size()));
  }
  return out;
}

Finding check_mirror(Live& live) {
  World& world = live.world();
  auto mirror = open_memory(world.mirror, options_of(world, 9));
  for (; world.mirrored < world.log.size(); ++world.mirrored) {
    auto done = mirror->apply(std::span(&world.log[world.mirrored].run, 1), world.now);
    if (!done) return "the log cannot be applied elsewhere: " + said(done.error());
  }
  auto mine = live.db().reader(), theirs = mirror->reader();
  if (!mine || !theirs) return "there is no reader";
  auto tables = (*theirs)->tables();
  if (!tables) return "the mirror has no tables";
  for (const auto& table : *tables) {
    if (auto found = compare_table(**mine, **theirs, table.name)) return found;
  }
  if (open_conflicts(**mine) != open_conflicts(**theirs)) return "other conflicts are open";
  return {};
}

}  // namespace

std::optional<std::string> verify(Live& live, std::optional<uint64_t> unsure) {
  World& world = live.world();
  const DatabaseState state = live.db().state();
  if (state.self != origin_of(1)) return "it is another incarnation";
  if (auto found = adopt(live, state, unsure)) return found;
  if (auto found = check_state(world, state)) return found;
  if (auto found = check_log(live)) return found;
  if (auto found = check_integrity(live)) return found;
  Query file(live.path());
  const auto keys = file.lines("SELECT keys FROM _entente_state");
  const int64_t last = std::stoll(keys.front());
  if (last < world.keys) return "numbered keys went back";
  world.keys = last;
  world.hlc = state.hlc;
  world.promised = state.promised;
  return check_mirror(live);
}

std::optional<std::string> check_integrity(const Live& live) {
  const auto said = Query(live.path()).lines("PRAGMA integrity_check");
  return said == std::vector<std::string>{"ok"} ? Finding() : "integrity_check: " + said.front();
}

std::optional<std::string> compare_with_fresh(Live& live) {
  World world(live.world().seed);
  Machine machine(world.disk);
  auto options = options_of(world, 9);
  options.schema_leader = false;
  auto fresh = open_sqlite(machine.folder() + "/fresh.db", options);
  if (!fresh) return "a fresh database does not open: " + said(fresh.error());
  for (const auto& chunk : live.world().log) {
    auto done = (*fresh)->apply(std::span(&chunk.run, 1), world.now);
    if (!done) return "a fresh database does not take the log: " + said(done.error());
  }
  auto mine = live.db().reader(), theirs = (*fresh)->reader();
  if (!mine || !theirs) return "there is no reader";
  auto tables = (*theirs)->tables();
  if (!tables) return "the fresh one has no tables";
  for (const auto& table : *tables) {
    auto shown = (*mine)->table(table.name), expected = (*theirs)->table(table.name);
    if (!shown || !expected) return "table " + table.name + " cannot be read";
    if (*shown != *expected) {
      return "table " + table.name + " shows other rows than a database that was told the log";
    }
  }
  return {};
}

}  // namespace entente::crash
