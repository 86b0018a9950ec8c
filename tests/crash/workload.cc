#include "tests/crash/workload.h"

#include <array>

#include "tests/simulation/random.h"

namespace entente::crash {
namespace {

using simulation::Random;
using K = StepKind;

constexpr std::array kBeginning = {K::kOpen, K::kDefine, K::kPeers, K::kApply};
constexpr std::array kRound = {
    K::kGroup,  K::kPeers, K::kGroup,   K::kApply, K::kGroup, K::kPeers,   K::kReadAcross,
    K::kPeers,  K::kApply, K::kPromise, K::kGroup, K::kPeers, K::kApply,   K::kCollect,
    K::kSchema, K::kPeers, K::kGroup,   K::kApply, K::kTrim,  K::kGroup,   K::kOpen,
    K::kGroup,  K::kPeers, K::kApply,   K::kJudge, K::kGroup, K::kSnapshot};
constexpr size_t kRounds = 2;

// ---- What clients write
// --------------------------------------------------------------------------

std::string text(Random& random) {
  const bool large = random.chance(0.15);  // a value with pages of its own
  return std::string(large ? 3'000 + random.below(6'000) : 3 + random.below(30),
                     static_cast<char>('a' + random.below(26)));
}

RowRequest write_of(Random& random) {
  RowRequest r;
  const auto id = static_cast<int64_t>(1 + random.below(12));
  const uint64_t dice = random.below(100);
  r.key = {id};
  if (dice < 35) {
    r.table = "account";
    r.columns = {{"owner", text(random)}, {"balance", random.between(0, 999)}};
    if (dice < 12) {
      r.kind = RowRequest::Kind::kPatch;
      r.columns.erase("owner");
    }
  } else if (dice < 55) {
    r.table = "note";
    r.key = {"note " + std::to_string(id)};
    r.columns = {{"body", text(random)}};
  } else if (dice < 70) {
    r.table = "stock";
    r.key = {id % 4};
    r.kind = dice < 65 ? RowRequest::Kind::kIncrement : RowRequest::Kind::kPut;
    r.columns = {{"n", random.between(-5, 5)}};
  } else if (dice < 85) {
    constexpr std::array<const char*, 4> kTables = {"account", "note", "stock", "email"};
    r.kind = RowRequest::Kind::kErase;
    r.table = kTables[random.below(kTables.size())];
    if (r.table == "note") r.key = {"note " + std::to_string(id)};
    if (r.table == "stock") r.key = {id % 4};
  } else if (dice < 93) {
    r.table = "email";
    r.columns = {{"address", std::string(1, static_cast<char>('a' + random.below(5)))}};
  } else {
    r.table = "child";
    r.columns = {{"parent", random.between(1, 12)}};
  }
  return r;
}

// Rows that are not there are no failure.
Result<void> write(WriteSession& session, const RowRequest& request) {
  auto done = session.write(request);
  if (!done && done.error().code != Code::kNotFound) return tl::unexpected(done.error());
  return {};
}

Result<void> execute(WriteSession& session, std::string sql, std::vector<Value> args = {},
                     bool alone = false) {
  Statement statement;
  statement.sql = std::move(sql);
  statement.args = std::move(args);
  statement.alone = alone;
  auto done = session.execute(statement);
  if (!done) return tl::unexpected(done.error());
  return {};
}

ClientTransaction sql_transaction(Random& random) {
  const int64_t n = random.between(0, 999);
  const std::string value = text(random);
  switch (random.below(4)) {
    case 0:
      return [=](WriteSession& s) {
        return execute(s, "INSERT INTO account (owner, balance) VALUES (?1, ?2)", {value, n}, true);
      };
    case 1:
      return [=](WriteSession& s) {
        return execute(s, "UPDATE account SET balance = balance + ?1 WHERE id % 3 = ?2",
                       {n, n % 3});
      };
    case 2:
      return [=](WriteSession& s) {
        return execute(s, "DELETE FROM note WHERE length(body) % 5 = ?1", {n % 5}, true)
            .and_then([&] { return Result<void>(); });
      };
    default:
      return [=](WriteSession& s) {
        return execute(s,
                       "INSERT INTO note (id, body) VALUES ('note 1', ?1) ON CONFLICT (id) DO "
                       "UPDATE SET body = excluded.body",
                       {value})
            .and_then([&] { return execute(s, "DELETE FROM child WHERE parent = ?1", {n % 12}); });
      };
  }
}

ClientTransaction transaction_of(Random& random) {
  if (random.chance(0.3)) return sql_transaction(random);
  std::vector<RowRequest> writes(1 + random.below(3));
  for (auto& w : writes) w = write_of(random);
  const bool changes_its_mind = random.chance(0.15);
  return [writes, changes_its_mind](WriteSession& session) -> Result<void> {
    for (const auto& w : writes) {
      if (auto done = write(session, w); !done) return done;
    }
    if (changes_its_mind) return fail(Code::kRefused, "not after all");
    return {};
  };
}

// ---- The database under test
// ---------------------------------------------------------------------

bool leads(const World& world) { return world.seed % 2 == 1; }

TableDef table_of(const std::string& name, const std::string& key_type, const std::string& column,
                  const std::string& type) {
  TableDef t{name, {}};
  t.columns.push_back({"id", key_type, affinity_of(key_type), Collation::kBinary, false, 1});
  t.columns.push_back({column, type, affinity_of(type), Collation::kBinary, false, 0});
  return t;
}

std::vector<TableDef> plain_tables() {
  TableDef account = table_of("account", "INTEGER", "owner", "TEXT");
  account.columns.push_back(
      {"balance", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0});
  return {account, table_of("note", "TEXT", "body", "TEXT"),
          table_of("stock", "INTEGER", "n", "INTEGER"),
          table_of("email", "INTEGER", "address", "TEXT"),
          table_of("child", "INTEGER", "parent", "INTEGER")};
}

Result<void> define_tables(WriteSession& s) {
  return execute(s, "CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER)")
      .and_then([&] { return execute(s, "CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT)"); })
      .and_then(
          [&] { return execute(s, "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER)"); })
      .and_then([&] {
        return execute(s, "CREATE TABLE email (id INTEGER PRIMARY KEY, address TEXT UNIQUE)");
      })
      .and_then([&] {
        return execute(s,
                       "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES "
                       "account (id) ON DELETE SET NULL)");
      });
}

Result<void> change_schema(WriteSession& s, size_t step) {
  constexpr std::array<const char*, 2> kChanges = {
      "ALTER TABLE account ADD COLUMN city TEXT DEFAULT 'nowhere'",
      "ALTER TABLE account RENAME COLUMN city TO town"};
  const size_t n = step / kRound.size() % kChanges.size();
  return execute(s, kChanges[n]).and_then([&] {
    return n == 0 ? execute(s, "CREATE TABLE extra (id TEXT PRIMARY KEY, v)")
                  : execute(s, "DROP TABLE extra");
  });
}

StepResult commit(Live& live, const std::vector<ClientTransaction>& group) {
  World& world = live.world();
  auto done = live.db().commit(group, ++world.now);
  if (!done) return {done.error()};
  StepResult out;
  out.committed.push_back(done->chunk ? done->chunk->run.count : 0);
  if (done->chunk) {
    world.logged(std::move(*done->chunk));
  }
  for (const auto& r : done->results) {
    if (r) world.hlc = std::max(world.hlc, r->hlc);
    // It undid the group.
    if (!r && r.error().code == Code::kBusy && !out.error) out.error = r.error();
  }
  live.returned();
  return out;
}

StepResult commit_some(Live& live, Random& random) {
  std::vector<ClientTransaction> group(1 + random.below(4));
  for (auto& t : group) t = transaction_of(random);
  return commit(live, group);
}

StepResult of(const Result<void>& done) { return done ? StepResult{} : StepResult{done.error()}; }

StepResult apply(Live& live) {
  World& world = live.world();
  std::vector<Run> runs;
  std::vector<LogPosition> offered;
  for (auto& peer : world.peers) {
    const Origin own = origin_of(static_cast<uint8_t>(peer.dc.back() - '0'));
    auto db = open_memory(peer.disk, options_of(world, own.id[0]));
    auto chunks = db->read_log(peer.offered, SIZE_MAX);
    for (auto& c : *chunks) {
      if (c.run.origin == own) runs.push_back(std::move(c.run));
    }
    offered.push_back(db->state().log_head);
  }
  auto done = live.db().apply(runs, ++world.now);
  if (!done) return {done.error()};
  for (size_t i = 0; i < offered.size(); ++i) world.peers[i].offered = offered[i];
  for (auto& c : *done) world.logged(std::move(c));
  return {};
}

// What everybody has applied, while nothing that the database under test has not applied yet has
// seen less.
VersionVector stable(const World& world) {
  VersionVector out;
  for (const auto& [origin, stream] : world.streams) out.advance(origin, stream.seq);
  for (const auto& peer : world.peers) {
    const uint8_t n = static_cast<uint8_t>(peer.dc.back() - '0');
    const auto state = open_memory(peer.disk, options_of(world, n))->state();
    VersionVector theirs;
    for (const auto& [origin, stream] : state.streams) theirs.advance(origin, stream.seq);
    const auto mine = world.streams.find(origin_of(n));
    const uint64_t here = mine == world.streams.end() ? 0 : mine->second.seq;
    if (theirs.at(origin_of(n)) > here) return {};
    out.meet(theirs);
  }
  return out;
}

// ---- The others
// ------------------------------------------------------------------------------------

void write_there(Database& db, const World& world, uint8_t n, size_t step, Random& random) {
  if (db.state().streams.size() < 2 && n != 2) return;  // it has no tables yet
  std::vector<ClientTransaction> group;
  if (n == 2 && !leads(world) && kind_of(step + 1) == K::kApply && step > kBeginning.size() &&
      random.chance(0.3)) {
    TableEdit edit;
    edit.table = "account";
    edit.column = {"c" + std::to_string(step), "TEXT", Affinity::kText,
                   Collation::kBinary,         false,  0};
    group.push_back([=](WriteSession& s) { return s.edit(edit); });
  }
  for (uint64_t i = 1 + random.below(3); i > 0; --i) {
    std::vector<RowRequest> writes(1 + random.below(3));
    for (auto& w : writes) w = write_of(random);
    group.push_back([writes](WriteSession& s) -> Result<void> {
      for (const auto& w : writes) {
        if (auto done = write(s, w); !done) return done;
      }
      return {};
    });
  }
  (void)db.commit(group, world.now);
}

void peers(World& world, size_t step, Random& random) {
  ++world.now;
  // Before somebody collects, everybody hears of everything.
  const bool all_hear = kind_of(step + 2) == K::kCollect || kind_of(step + 2) == K::kPromise;
  for (auto& peer : world.peers) {
    const auto n = static_cast<uint8_t>(peer.dc.back() - '0');
    auto db = open_memory(peer.disk, options_of(world, n));
    if (n == 2 && !leads(world) && db->state().epoch == 0) {
      std::vector<ClientTransaction> define;
      for (const auto& t : plain_tables()) {
        define.push_back([t](WriteSession& s) { return s.define(t); });
      }
      (void)db->commit(define, world.now);
    }
    if (all_hear || random.chance(0.5)) {
      for (; peer.heard < world.log.size(); ++peer.heard) {
        const Run& run = world.log[peer.heard].run;
        if (run.origin != origin_of(n)) (void)db->apply(std::span(&run, 1), world.now);
      }
    }
    if (all_hear || random.chance(0.8)) write_there(*db, world, n, step, random);
  }
}

StepResult read_across(Live& live, Random& random) {
  auto reader = live.db().reader();
  if (!reader) return {reader.error(), {}, true};
  if (auto begun = (*reader)->begin(); !begun) return {begun.error(), {}, true};
  if (auto read = (*reader)->applied(); !read) return {read.error(), {}, true};
  StepResult out;
  for (int i = 0; i < 4 && !out.error; ++i) {
    auto done = commit_some(live, random);
    out.error = done.error;
    if (!done.error) out.committed.push_back(done.committed.front());
  }
  (*reader)->end();
  return out;
}

}  // namespace

const char* to_string(StepKind kind) {
  constexpr std::array<const char*, 12> kNames = {"open",   "define",   "group",       "peers",
                                                  "apply",  "promise",  "collect",     "trim",
                                                  "schema", "snapshot", "read across", "judge"};
  return kNames.at(static_cast<size_t>(kind));
}

size_t step_count() { return kBeginning.size() + kRounds * kRound.size(); }

StepKind kind_of(size_t step) {
  if (step < kBeginning.size()) return kBeginning[step];
  return kRound[(step - kBeginning.size()) % kRound.size()];
}

StepResult run_step(Live& live, size_t step) {
  World& world = live.world();
  Random random(world.seed, "step " + std::to_string(step));
  switch (kind_of(step)) {
    case K::kOpen: {
      live.close();
      auto done = live.open();
      if (!done || !world.log.empty()) return of(done);
      // Its first record is the declaration.
      auto log = live.db().read_log(0, SIZE_MAX);
      if (!log) return live.close(), StepResult{log.error(), {}, true};
      for (auto& c : *log) world.logged(std::move(c));
      world.hlc = live.db().state().hlc;
      return {{}, {1}};
    }
    case K::kDefine:
      if (!leads(world)) return {};
      return commit(live, {define_tables});
    case K::kGroup:
      return commit_some(live, random);
    case K::kPeers:
      peers(world, step, random);
      return {};
    case K::kApply:
      return apply(live);
    case K::kPromise: {
      VersionVector floor = stable(world);
      auto done = live.db().promise(floor);
      if (done) world.promised.join(floor);
      return of(done);
    }
    case K::kCollect: {
      auto done = live.db().collect(stable(world), 1'000);
      return done ? StepResult{} : StepResult{done.error()};
    }
    case K::kTrim:
      return of(live.db().trim_log(stable(world), {}));
    case K::kSchema:
      if (!leads(world)) return commit_some(live, random);
      return commit(live, {[step](WriteSession& s) { return change_schema(s, step); }});
    case K::kSnapshot: {
      auto done = live.db().snapshot(live.machine().folder() + "/copy" + std::to_string(step));
      return done ? StepResult{} : StepResult{done.error(), {}, true};
    }
    case K::kReadAcross:
      return read_across(live, random);
    case K::kJudge: {
      auto done = live.db().judge_again(++world.now);
      return done ? StepResult{} : StepResult{done.error()};
    }
  }
  return {};
}

}  // namespace entente::crash
