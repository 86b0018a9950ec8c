#include "tests/fuzz/peers_world.h"

#include <unistd.h>

#include "adapters/memory/memory_disk.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

namespace fs = std::filesystem;

// In memory: what is synced here proves nothing.
fs::path scratch_folder() {
  const fs::path memory = "/dev/shm";
  std::string name = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) /
                     ("entente_fuzz_" + std::to_string(::getpid()));
  fs::create_directories(name);
  return name;
}

Policy merged(MergeKind kind) {
  Policy p;
  p.kind = PolicyKind::kMerge;
  p.merge = kind;
  return p;
}

Policy of(PolicyKind kind) {
  Policy p;
  p.kind = kind;
  return p;
}

ConflictRules rules() {
  ConflictRules r;
  r.priorities = {{"dc1", 10}, {"dc2", 30}, {"dc9", 20}};
  TableRules rows;
  rows.granularity = Granularity::kRow;
  r.tables["pair"] = rows;
  TableRules many;
  many.columns = {{"n", of(PolicyKind::kCounter)},  {"s", merged(MergeKind::kUnion)},
                  {"d", merged(MergeKind::kJson)},  {"x", merged(MergeKind::kText)},
                  {"w", of(PolicyKind::kSiblings)}, {"p", of(PolicyKind::kPriority)},
                  {"m", merged(MergeKind::kMax)}};
  r.tables["many"] = many;
  TableRules child;
  child.orphans = Orphans::kHide;
  child.delete_update = DeleteUpdate::kUpdateWins;
  r.tables["child"] = child;
  return r;
}

DatabaseOptions options(uint8_t n, uint64_t wall_ms) {
  DatabaseOptions o;
  o.dc = "dc" + std::to_string(n);
  o.fresh_origin = origin_of(n);
  o.rules = rules();
  o.key_slot = n;
  o.schema_leader = n == 1;
  o.schema_leader_name = "dc1";
  o.wall_ms = wall_ms;
  return o;
}

constexpr const char* kSchema[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL)",
    "CREATE TABLE pair (x TEXT COLLATE NOCASE, y NUMERIC, v BLOB, PRIMARY KEY (x, y)) WITHOUT "
    "ROWID",
    "CREATE TABLE many (id INTEGER PRIMARY KEY, n INTEGER, s TEXT, d TEXT, x TEXT, w TEXT, p TEXT, "
    "m)",
    "CREATE TABLE picky (k TEXT PRIMARY KEY, u TEXT UNIQUE, v INTEGER NOT NULL CHECK (v < 9))",
    "CREATE TABLE child (id PRIMARY KEY, parent INTEGER REFERENCES t (id), note TEXT)",
    "INSERT INTO t VALUES (1, 'one', 1, 1.5), (2, 'two', NULL, NULL)",
    "INSERT INTO pair VALUES ('eu', 1, x'00'), ('us', 2.5, 'text')",
    "INSERT INTO many VALUES (1, 10, '[1,2]', '{\"a\":1}', 'x' || char(10), 'w', 'p', 3)",
    "INSERT INTO picky VALUES ('k', 'u', 1)",
    "INSERT INTO child VALUES ('c', 1, 'n')",
    "ALTER TABLE t RENAME COLUMN a TO aa",
    "ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'd'",
    "DELETE FROM t WHERE id = 2",
};

// What the schema leader's log holds.
std::vector<Run> leader_log(const fs::path& file, uint64_t wall_ms) {
  auto leader = open_sqlite(file, options(1, wall_ms));
  MUST(leader);
  for (const char* sql : kSchema) {
    const ClientTransaction work = [&](WriteSession& session) -> Result<void> {
      Statement statement;
      statement.sql = sql;
      return session.execute(statement).map([](const auto&) {});
    };
    const auto done = (*leader)->commit(std::span(&work, 1), wall_ms);
    MUST(done && done->results.front());
  }
  const auto chunks = (*leader)->read_log(0, SIZE_MAX);
  MUST(chunks);
  std::vector<Run> runs;
  for (const auto& chunk : *chunks) runs.push_back(chunk.run);
  return runs;
}

// The same life of it, unlike copy_memory_disk().
std::shared_ptr<MemoryDisk> same_disk(const MemoryDisk& disk) {
  auto copy = copy_memory_disk(disk);
  copy->self = disk.self;
  return copy;
}

void put_file(const fs::path& from, const fs::path& to) {
  for (const char* suffix : {"-wal", "-shm"}) fs::remove(to.string() + suffix);
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

}  // namespace

PeersWorld& PeersWorld::instance() {
  static PeersWorld world;
  return world;
}

PeersWorld::PeersWorld() : folder_(scratch_folder()), sites_(static_cast<size_t>(Which::kCount)) {
  const auto runs = leader_log(folder_ / "leader.db", wall_ms());
  sites_[0].file = folder_ / "fast.db", sites_[1].file = folder_ / "general.db";
  sites_[2].disk = make_memory_disk();
  for (size_t i = 0; i < sites_.size(); ++i) {
    Site& site = sites_[i];
    open(static_cast<Which>(i));
    const auto done = site.db->apply(runs, wall_ms());
    MUST(done);
    start_ = site.db->state();
    if (i == 0) tables_ = *site.reader->tables();
    site.reader.reset(), site.db.reset();
    site.pristine = site.file.string() + ".pristine";
    if (site.disk) {
      site.pristine_disk = same_disk(*site.disk);
    } else {
      put_file(site.file, site.pristine);
    }
    open(static_cast<Which>(i));
  }
}

PeersWorld::~PeersWorld() {
  sites_.clear();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PeersWorld::open(Which which) {
  Site& site = sites_[static_cast<size_t>(which)];
  const auto as = options(2, wall_ms());
  if (site.disk) {
    site.db = open_memory(site.disk, as);
  } else {
    SqliteTuning tuning;
    tuning.general_path_only = which == Which::kGeneral;
    auto opened = open_sqlite(site.file, as, tuning);
    MUST(opened);
    site.db = std::move(*opened);
  }
  auto reader = site.db->reader();
  MUST(reader);
  site.reader = std::move(*reader);
}

void PeersWorld::reopen() {
  for (size_t i = 0; i < sites_.size(); ++i) {
    sites_[i].reader.reset(), sites_[i].db.reset();
    open(static_cast<Which>(i));
  }
}

void PeersWorld::restore() {
  for (size_t i = 0; i < sites_.size(); ++i) {
    Site& site = sites_[i];
    site.reader.reset(), site.db.reset();
    if (site.disk) {
      site.disk = same_disk(*site.pristine_disk);
    } else {
      put_file(site.pristine, site.file);
    }
    open(static_cast<Which>(i));
  }
}

}  // namespace entente::fuzz
