// The same keys written, deleted and made again at two datacenters for a long time: what is kept
// beside the rows must not grow.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>

#include "adapters/sqlite/sqlite_database.h"

namespace entente {
namespace {

constexpr int64_t kKeys = 40;
constexpr size_t kLogRows = 200;

std::unique_ptr<Database> open_site(const std::filesystem::path& path, uint8_t n) {
  DatabaseOptions options;
  options.dc = "dc" + std::to_string(n);
  options.fresh_origin.id.fill(n);
  options.wall_ms = 1'700'000'000'000;
  options.conflict_log_rows = kLogRows;
  auto& rules = options.rules.defaults;
  rules.policy.kind = PolicyKind::kPriority;
  rules.delete_update = DeleteUpdate::kUpdateWins;
  rules.columns["tags"].kind = PolicyKind::kMerge;
  rules.columns["tags"].merge = MergeKind::kUnion;
  rules.columns["text"].kind = PolicyKind::kMerge;
  rules.columns["text"].merge = MergeKind::kText;
  options.rules.priorities = {{"dc1", 2}, {"dc2", 1}};
  auto opened = open_sqlite(path, options);
  EXPECT_TRUE(opened) << opened.error().text;
  return opened ? std::move(*opened) : nullptr;
}

// Everything in the gateway's own tables, in rows and in bytes of all their values.
struct Metadata {
  int64_t rows = 0, bytes = 0;
};

class Churn : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "entente_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    for (uint8_t n : {1, 2}) sites_.push_back(open_site(file(n), n));
    write(0, "CREATE TABLE t (id INTEGER PRIMARY KEY, plain TEXT, tags TEXT, text TEXT)");
    exchange();
  }
  void TearDown() override {
    sites_.clear();
    std::filesystem::remove_all(folder_);
  }

  std::filesystem::path file(uint8_t n) const { return folder_ / (std::to_string(n) + ".db"); }

  void write(size_t site, std::string sql, std::vector<Value> args = {}) {
    const Statement statement{std::move(sql), std::move(args), {}, false, false};
    const ClientTransaction work = [&](WriteSession& session) -> Result<void> {
      auto done = session.execute(statement);
      if (!done) return tl::unexpected(done.error());
      return {};
    };
    auto done = sites_[site]->commit(std::span(&work, 1), ++now_);
    ASSERT_TRUE(done && done->results.front()) << statement.sql;
  }

  static VersionVector applied(const Database& db) {
    VersionVector out;
    for (const auto& [origin, stream] : db.state().streams) out.set(origin, stream.seq);
    return out;
  }

  // Both get everything, and forget what everybody has.
  void exchange() {
    for (const size_t to : {0u, 1u}) {
      std::vector<entente::Run> runs;
      auto chunks = sites_[1 - to]->read_log(0, SIZE_MAX);
      ASSERT_TRUE(chunks) << chunks.error().text;
      for (auto& c : *chunks) {
        if (c.run.origin != sites_[to]->state().self) runs.push_back(std::move(c.run));
      }
      auto done = sites_[to]->apply(runs, ++now_);
      ASSERT_TRUE(done) << done.error().text;
    }
    for (auto& site : sites_) {
      const VersionVector stable = applied(*site);
      ASSERT_TRUE(site->trim_log(stable, {}));
      for (bool over = false; !over;) {
        auto done = site->collect(stable, 16);
        ASSERT_TRUE(done) << done.error().text;
        over = done->round_over;
      }
    }
  }

  void disturb(size_t site) {
    const auto id = static_cast<int64_t>(random_() % kKeys);
    const std::string s = std::to_string(random_() % 5);
    switch (random_() % 4) {
      case 0:
        return write(site, "DELETE FROM t WHERE id = ?1", {id});
      case 1:
        return write(site, "UPDATE t SET plain = ?2, text = ?2 WHERE id = ?1", {id, s});
      default:
        return write(site,
                     "INSERT INTO t VALUES (?1, ?2, ?3, ?2) ON CONFLICT DO UPDATE SET plain = ?2, "
                     "tags = ?3, text = ?2",
                     {id, s, "[" + s + "]"});
    }
  }

  void round() {
    for (int i = 0; i < 60; ++i) disturb(random_() % 2);
    exchange();
  }

  // The round's last word on every key, so that nothing is open and everything can be collected.
  void settle() {
    exchange();
    write(0, "DELETE FROM t");
    exchange();
    exchange();
  }

  Metadata metadata(uint8_t n) const {
    Metadata out;
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open_v2(file(n).c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    const auto each = [&](const std::string& sql, auto visit) {
      sqlite3_stmt* q = nullptr;
      EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &q, nullptr), SQLITE_OK) << sql;
      while (sqlite3_step(q) == SQLITE_ROW) visit(q);
      sqlite3_finalize(q);
    };
    std::vector<std::string> tables;
    each("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_entente_*'",
         [&](sqlite3_stmt* q) {
           tables.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(q, 0)));
         });
    for (const auto& table : tables) {
      each("SELECT * FROM \"" + table + "\"", [&](sqlite3_stmt* q) {
        ++out.rows;
        for (int i = 0; i < sqlite3_column_count(q); ++i) out.bytes += sqlite3_column_bytes(q, i);
      });
    }
    sqlite3_close(db);
    return out;
  }

  int64_t count(uint8_t n, const std::string& sql) const {
    sqlite3* db = nullptr;
    sqlite3_stmt* q = nullptr;
    EXPECT_EQ(sqlite3_open_v2(file(n).c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &q, nullptr), SQLITE_OK) << sql;
    EXPECT_EQ(sqlite3_step(q), SQLITE_ROW);
    const int64_t out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return out;
  }

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<Database>> sites_;
  std::mt19937_64 random_{7};
  uint64_t now_ = 1'700'000'000'000;
};

TEST_F(Churn, OnTheSameKeysLeavesTheMetadataFlat) {
  for (int i = 0; i < 20; ++i) round();
  const Metadata early[] = {metadata(1), metadata(2)};
  for (int i = 0; i < 150; ++i) round();
  for (uint8_t n : {1, 2}) {
    const Metadata late = metadata(n);
    EXPECT_LT(late.rows, early[n - 1].rows * 3 / 2) << "rows at dc" << int{n};
    EXPECT_LT(late.bytes, early[n - 1].bytes * 3 / 2) << "bytes at dc" << int{n};
  }
}

TEST_F(Churn, NothingIsLeftOfRowsThatWereDeletedEverywhere) {
  for (int i = 0; i < 10; ++i) round();
  for (uint8_t n : {1, 2}) EXPECT_GT(count(n, "SELECT count(*) FROM _entente_v_1"), 0);
  settle();
  for (uint8_t n : {1, 2}) {
    EXPECT_EQ(count(n, "SELECT count(*) FROM t"), 0);
    EXPECT_EQ(count(n, "SELECT count(*) FROM _entente_siblings"), 0);
    EXPECT_EQ(count(n, "SELECT count(*) FROM _entente_unsettled"), 0);
    EXPECT_EQ(count(n, "SELECT count(*) FROM _entente_conflicts WHERE open = 1"), 0);
    EXPECT_EQ(count(n, "SELECT count(*) FROM _entente_v_1"), 0);
  }
}

}  // namespace
}  // namespace entente
