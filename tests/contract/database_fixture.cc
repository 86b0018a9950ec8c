#include "tests/contract/database_fixture.h"

#include <algorithm>

#include "adapters/memory/memory_database.h"
#include "adapters/sqlite/snapshot.h"
#include "adapters/sqlite/sqlite_database.h"
#include "tests/support/process.h"

namespace entente::contract {
namespace {

Adapter sqlite_adapter() {
  return {"sqlite", true, [] { return std::make_shared<testing::TemporaryFolder>(); },
          [](const std::shared_ptr<void>& place, int n, const DatabaseOptions& options) {
            const auto& folder = static_cast<testing::TemporaryFolder*>(place.get())->path();
            return open_sqlite(folder / ("dc" + std::to_string(n) + ".db"), options);
          },
          [](const std::shared_ptr<void>& place, int from, int to, const DatabaseOptions& as) {
            const auto& folder = static_cast<testing::TemporaryFolder*>(place.get())->path();
            const auto path = folder / ("dc" + std::to_string(to) + ".db");
            return snapshot_sqlite(folder / ("dc" + std::to_string(from) + ".db"), path)
                .and_then([&](const auto&) { return begin_new_life(path, as); });
          }};
}

using Disks = std::map<int, std::shared_ptr<MemoryDisk>>;

Adapter memory_adapter() {
  return {"memory", false, [] { return std::make_shared<Disks>(); },
          [](const std::shared_ptr<void>& place, int n, const DatabaseOptions& options) {
            auto& disk = (*static_cast<Disks*>(place.get()))[n];
            if (!disk) disk = make_memory_disk();
            return Result<std::unique_ptr<Database>>(open_memory(disk, options));
          },
          [](const std::shared_ptr<void>& place, int from, int to, const DatabaseOptions&) {
            auto& disks = *static_cast<Disks*>(place.get());
            disks[to] = copy_memory_disk(*disks.at(from));
            return Result<void>();
          }};
}

}  // namespace

std::vector<Adapter> adapters() { return {sqlite_adapter(), memory_adapter()}; }

std::vector<Adapter> sql_adapters() {
  auto all = adapters();
  std::erase_if(all, [](const Adapter& a) { return !a.sql; });
  return all;
}

Origin origin_of(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

TableDef account_table(std::string name) {
  TableDef t{std::move(name), {}};
  t.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
  t.columns.push_back({"owner", "TEXT", Affinity::kText, Collation::kBinary, false, 0});
  t.columns.push_back({"balance", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0});
  return t;
}

ConflictRules rules(PolicyKind policy, Granularity granularity) {
  ConflictRules r;
  r.defaults.policy.kind = policy;
  r.defaults.granularity = granularity;
  r.priorities = {{"dc1", 10}, {"dc2", 30}, {"dc3", 20}};
  return r;
}

Row account(const char* owner, int64_t balance) {
  return {{"owner", std::string(owner)}, {"balance", balance}};
}

RowRequest request(RowRequest::Kind kind, int64_t key, Row columns) {
  RowRequest r;
  r.kind = kind;
  r.table = "account";
  r.key = {key};
  r.columns = std::move(columns);
  return r;
}

ClientTransaction write(const RowRequest& r, RowOutcome* outcome) {
  return [r, outcome](WriteSession& session) -> Result<void> {
    auto done = session.write(r);
    if (!done) return tl::unexpected(done.error());
    if (outcome != nullptr) *outcome = *done;
    return {};
  };
}

Statement sql(std::string text, std::vector<Value> args) {
  Statement s;
  s.sql = std::move(text);
  s.args = std::move(args);
  return s;
}

ClientTransaction run(std::vector<Statement> statements) {
  return [statements = std::move(statements)](WriteSession& session) -> Result<void> {
    for (const auto& s : statements) {
      auto done = session.execute(s);
      if (!done) return tl::unexpected(done.error());
    }
    return {};
  };
}

Value column(const RowRead& r, const char* name) {
  if (!r.row || !r.row->contains(name)) return Null{};
  return r.row->find(name)->second;
}

Site DatabaseContract::open(int n, ConflictRules rules) {
  Site site;
  site.options.dc = "dc" + std::to_string(n);
  site.options.fresh_origin = origin_of(static_cast<uint8_t>(n));
  site.options.rules = std::move(rules);
  site.options.schema_leader = n == 1;
  site.options.schema_leader_name = "dc1";
  site.options.wall_ms = site.now;
  reopen(site, n);
  return site;
}

void DatabaseContract::reopen(Site& site, int n) {
  site.reader.reset();
  site.db.reset();
  auto db = GetParam().open(place_, n, site.options);
  ASSERT_TRUE(db) << db.error().text;
  site.db = std::move(*db);
  auto reader = site.db->reader();
  ASSERT_TRUE(reader) << reader.error().text;
  site.reader = std::move(*reader);
}

Site DatabaseContract::copy(const Site& of, int from, int n) {
  Site site;
  site.now = of.now;
  site.options = of.options;
  site.options.dc = "dc" + std::to_string(n);
  site.options.fresh_origin = origin_of(static_cast<uint8_t>(n));
  site.options.schema_leader = n == 1;
  site.options.wall_ms = site.now;
  auto done = GetParam().copy(place_, from, n, site.options);
  EXPECT_TRUE(done) << done.error().text;
  reopen(site, n);
  return site;
}

Result<Committed> DatabaseContract::try_commit(Site& site, const ClientTransaction& work) {
  auto out = site.db->commit(std::span(&work, 1), ++site.now);
  if (!out) return tl::unexpected(out.error());
  EXPECT_EQ(out->results.size(), 1u);
  return out->results.front();
}

Committed DatabaseContract::commit(Site& site, const ClientTransaction& work) {
  auto out = try_commit(site, work);
  EXPECT_TRUE(out) << out.error().text;
  return out.value_or(Committed{});
}

Committed DatabaseContract::put(Site& site, const std::string& table, Value key, Row columns) {
  return commit(site, [&](WriteSession& session) -> Result<void> {
    RowRequest request;
    request.table = table;
    request.key = {key};
    request.columns = columns;
    auto done = session.write(request);
    if (!done) return tl::unexpected(done.error());
    return {};
  });
}

Committed DatabaseContract::erase(Site& site, const std::string& table, Value key) {
  return commit(site, [&](WriteSession& session) -> Result<void> {
    RowRequest request;
    request.kind = RowRequest::Kind::kErase;
    request.table = table;
    request.key = {key};
    auto done = session.write(request);
    if (!done) return tl::unexpected(done.error());
    return {};
  });
}

RowRead DatabaseContract::read(Site& site, const std::string& table, Value key, bool all) {
  auto out = site.reader->row(table, std::span(&key, 1), all);
  EXPECT_TRUE(out) << out.error().text;
  return out.value_or(RowRead{});
}

void DatabaseContract::ship(Site& from, Site& to) {
  auto chunks = from.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(chunks) << chunks.error().text;
  std::vector<entente::Run> runs;
  for (auto& chunk : *chunks) {
    if (chunk.run.origin != to.db->state().self) runs.push_back(std::move(chunk.run));
  }
  auto done = to.db->apply(runs, ++to.now);
  ASSERT_TRUE(done) << done.error().text;
}

void DatabaseContract::settle(std::vector<Site*> sites) {
  for (int round = 0; round < 2; ++round) {
    for (Site* from : sites) {
      for (Site* to : sites) {
        if (from != to) ship(*from, *to);
      }
    }
  }
}

void DatabaseContract::define(Site& leader, const TableDef& table, std::vector<Site*> others) {
  commit(leader, [&](WriteSession& session) { return session.define(table); });
  for (Site* other : others) ship(leader, *other);
}

std::map<Key, Row> DatabaseContract::table(Site& site, const std::string& name) {
  auto out = site.reader->table(name);
  EXPECT_TRUE(out) << out.error().text;
  return out.value_or(std::map<Key, Row>{});
}

}  // namespace entente::contract
