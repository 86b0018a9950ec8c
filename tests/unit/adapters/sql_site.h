#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "adapters/sqlite/sqlite_database.h"
#include "tests/support/process.h"

namespace entente::test {

struct Folder : testing::TemporaryFolder {
  std::filesystem::path operator/(const char* name) const { return path() / name; }
};

inline Origin origin_of(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

// One datacenter on a file, driven by SQL.
struct Site {
  std::filesystem::path path;
  DatabaseOptions options;
  std::unique_ptr<Database> db;
  std::unique_ptr<Reader> reader;
  uint64_t now = 1'700'000'000'000;

  Site(std::filesystem::path p, uint8_t n, ConflictRules rules = {}, SqliteTuning tuning = {})
      : path(std::move(p)) {
    options.dc = "dc" + std::to_string(n);
    options.fresh_origin = origin_of(n);
    options.rules = std::move(rules);
    options.key_slot = n;
    options.schema_leader = n == 1;
    options.schema_leader_name = "dc1";
    options.wall_ms = now;
    open(tuning);
  }
  void open(SqliteTuning tuning = {}) {
    reader.reset();
    db.reset();
    auto opened = open_sqlite(path, options, tuning);
    ASSERT_TRUE(opened) << opened.error().text;
    db = std::move(*opened);
    reader = std::move(*db->reader());
  }

  Result<Committed> transaction(const ClientTransaction& work) {
    auto out = db->commit(std::span(&work, 1), ++now);
    if (!out) return tl::unexpected(out.error());
    return out->results.front();
  }
  Result<StatementResult> run(Statement statement) {
    StatementResult result;
    auto done = transaction([&](WriteSession& s) -> Result<void> {
      auto r = s.execute(statement);
      if (!r) return tl::unexpected(r.error());
      result = std::move(*r);
      return {};
    });
    if (!done) return tl::unexpected(done.error());
    return result;
  }
  Result<StatementResult> run(std::string sql, std::vector<Value> args = {}) {
    Statement s;
    s.sql = std::move(sql);
    s.args = std::move(args);
    return run(std::move(s));
  }
  void must(const std::string& sql) {
    auto done = run(sql);
    ASSERT_TRUE(done) << sql << ": " << done.error().text;
  }
  std::string tag(const std::string& sql) {
    auto done = run(sql);
    return done ? "accepted" : done.error().tag;
  }
  std::vector<std::vector<Value>> query(const std::string& sql) {
    Statement s;
    s.sql = sql;
    auto out = reader->execute(s);
    EXPECT_TRUE(out) << sql << ": " << out.error().text;
    return out ? out->rows : std::vector<std::vector<Value>>{};
  }
  int64_t count(const std::string& table) {
    return std::get<int64_t>(query("SELECT count(*) FROM " + table)[0][0]);
  }
  uint64_t seq() { return db->state().streams.at(db->state().self).seq; }
};

inline void ship(Site& from, Site& to) {
  auto chunks = from.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(chunks);
  std::vector<Run> runs;
  for (auto& c : *chunks) {
    if (c.run.origin != to.db->state().self) runs.push_back(std::move(c.run));
  }
  auto done = to.db->apply(runs, ++to.now);
  ASSERT_TRUE(done) << done.error().text;
}

inline void settle(Site& a, Site& b) {
  ship(a, b);
  ship(b, a);
}

inline void expect_same(Site& a, Site& b, const char* table) {
  const auto x = a.reader->table(table), y = b.reader->table(table);
  ASSERT_TRUE(x && y);
  EXPECT_EQ(*x, *y) << table;
}

}  // namespace entente::test
