#include "adapters/sqlite/numbering.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <set>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;
using Table = std::vector<std::vector<Value>>;

constexpr const char* kSchema[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b DEFAULT 'd')",
    "CREATE TABLE \"odd \"\"name\" (x TEXT, g AS (x || 'g'), \"the id\" INTEGER PRIMARY KEY "
    "AUTOINCREMENT, y)",
    "CREATE TABLE w (id INTEGER PRIMARY KEY, v) WITHOUT ROWID",
    "CREATE TABLE s (k TEXT PRIMARY KEY, v)",
    "CREATE TABLE src (id INTEGER PRIMARY KEY, x, y)",
};

// A plain SQLite, to compare with.
class Plain {
 public:
  Plain() { sqlite3_open(":memory:", &db_); }
  ~Plain() { sqlite3_close(db_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  bool run(const std::string& sql, const std::vector<Value>& args, Table& rows) {
    sqlite3_stmt* q = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &q, nullptr) != SQLITE_OK) return false;
    for (size_t i = 0; i < args.size(); ++i) {
      const auto* n = std::get_if<int64_t>(&args[i]);
      const int at = static_cast<int>(i) + 1;
      n != nullptr ? sqlite3_bind_int64(q, at, *n) : sqlite3_bind_null(q, at);
    }
    int code = 0;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
      auto& row = rows.emplace_back();
      for (int i = 0; i < sqlite3_column_count(q); ++i) {
        if (sqlite3_column_type(q, i) == SQLITE_INTEGER) {
          row.emplace_back(int64_t{sqlite3_column_int64(q, i)});
        } else if (sqlite3_column_type(q, i) == SQLITE_NULL) {
          row.emplace_back(Null{});
        } else {
          row.emplace_back(std::string(reinterpret_cast<const char*>(sqlite3_column_text(q, i))));
        }
      }
    }
    sqlite3_finalize(q);
    return code == SQLITE_DONE;
  }

 private:
  sqlite3* db_ = nullptr;
};

constexpr uint64_t kNow = 1'800'000'000'000;     // in 2027
constexpr int64_t kNumbered = int64_t{1} << 40;  // all that nobody named are above it

// Which numbers were made is the only difference to plain SQLite: they become their order.
Table without_numbers(Table rows) {
  std::set<int64_t> made;
  for (const auto& row : rows) {
    for (const auto& v : row) {
      if (const auto* n = std::get_if<int64_t>(&v); n != nullptr && *n > kNumbered) made.insert(*n);
    }
  }
  for (auto& row : rows) {
    for (auto& v : row) {
      const auto* n = std::get_if<int64_t>(&v);
      if (n == nullptr || *n <= kNumbered) continue;
      v = int64_t{1000} + std::distance(made.begin(), made.find(*n));
    }
  }
  return rows;
}

struct Case {
  const char* sql;
  std::vector<Value> args = {};
};

// Each runs on rows 1..999 of plain SQLite, which begins to number at 1000.
const Case kCases[] = {
    {"INSERT INTO t (a, b) VALUES (1, 2)"},
    {"insert into main.t(b, a) values (1, 2), ((3), (4 + 5)), (NULL, ')') returning *"},
    {"INSERT INTO t DEFAULT VALUES RETURNING id, b"},
    {"INSERT INTO t VALUES (NULL, 1, 2), (7, 3, 4), (NULL, 5, 6)"},
    {"INSERT INTO t VALUES (?, ?, ?)", {Null{}, int64_t{1}, int64_t{2}}},
    {"INSERT INTO t VALUES (?, ?, ?)", {int64_t{8}, int64_t{1}, int64_t{2}}},
    {"INSERT INTO t (a, id) VALUES (?2, ?1) RETURNING id", {Null{}, int64_t{2}}},
    {"INSERT INTO t (a, rowid) VALUES (1, NULL)"},
    {"INSERT INTO t (a, _rowid_) VALUES (1, 9)"},
    {"INSERT INTO t (\"a\", [b]) VALUES (1, 'it''s'), (2, \"b\" IS NULL)"},
    {"INSERT INTO t (a) VALUES (1) ON CONFLICT (id) DO NOTHING; "},
    {"INSERT INTO t AS z (id, a) VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET a = excluded.a, "
     "b = z.a RETURNING id, a, b"},
    {"INSERT OR IGNORE INTO t (id, a) VALUES (1, 'x'), (NULL, 'y')"},
    {"REPLACE INTO t (id, a) VALUES (1, 'r'), (NULL, 's')"},
    {"INSERT OR REPLACE INTO t (a) VALUES (CASE WHEN 1 THEN 2 ELSE 3 END)"},
    {"INSERT INTO t (a, b) SELECT x, y FROM src ORDER BY id DESC LIMIT 2"},
    {"INSERT INTO t (a, b) SELECT x, y FROM src WHERE true ON CONFLICT DO NOTHING"},
    {"INSERT INTO t SELECT NULL, x, y FROM src ORDER BY id RETURNING a"},
    {"INSERT INTO t SELECT * FROM src WHERE id = 3"},
    {"INSERT INTO t (b, id) SELECT y, CASE id WHEN 3 THEN 77 END FROM src ORDER BY id"},
    {"INSERT INTO t (a) SELECT DISTINCT 1 FROM src"},
    {"INSERT INTO t (a) SELECT x FROM src UNION SELECT 5 ORDER BY 1"},
    {"INSERT INTO t (a) VALUES (1) UNION ALL VALUES (2)"},
    {"INSERT INTO t (a, id) VALUES (1, NULL), (2, NULL) ORDER BY 1"},
    {"INSERT INTO t (a, b) SELECT l.x, r.y FROM src l JOIN src r ON l.id = r.id ORDER BY l.id"},
    {"INSERT INTO t (a) WITH c(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM c WHERE v < 4) "
     "SELECT v FROM c"},
    {"WITH c(v) AS (SELECT 5), \"insert\" AS (SELECT 1) INSERT INTO t (a) SELECT v FROM c"},
    {"WITH c(v) AS (SELECT 5) INSERT INTO t (a) VALUES ((SELECT v FROM c))"},
    {"/* INSERT INTO */ INSERT -- x (\nINTO t /* ( */ (a) VALUES (1) -- )\n"},
    {"INSERT INTO \"odd \"\"name\" (x) VALUES ('a')"},
    {"INSERT INTO [odd \"name] VALUES ('a', NULL, 'b'), ('c', 6, 'd') RETURNING g"},
    {"INSERT INTO `odd \"name` (\"THE ID\", y) SELECT NULL, 1"},
    {"INSERT INTO w VALUES (5, 'v')"},
    {"INSERT INTO s VALUES ('k', 1)"},
    {"UPDATE t SET a = 'INSERT INTO t (a) VALUES (1)'"},
    {"DELETE FROM t WHERE a = 'x'"},
    // What SQLite refuses stays refused.
    {"INSERT INTO t (a, b) VALUES (1)"},
    {"INSERT INTO t VALUES (1, 2)"},
    {"INSERT INTO t (a) VALUES ()"},
    {"INSERT INTO t (a) VALUES (1"},
    {"INSERT INTO t (a) SELECT x, y FROM src"},
    {"INSERT INTO t (nonsense) VALUES (1)"},
    {"INSERT INTO w (v) VALUES (1)"},
    {"INSERT INTO t (id) VALUES ('no number')"},
    {"INSERT INTO t"},
    {"INSERT"},
    {"WITH c AS (SELECT 1)"},
};

TEST(Numbering, OnlyTheNumbersDifferFromPlainSqlite) {
  size_t accepted = 0;
  for (const auto& c : kCases) {
    Folder folder;
    Site site(folder / "a.db", 1);
    site.now = kNow;
    Plain plain;
    Table ignored;
    std::vector<std::string> before(std::begin(kSchema), std::end(kSchema));
    before.emplace_back("INSERT INTO src (id, x, y) VALUES (3, 'x3', 'y3'), (4, 'x4', 'y4')");
    before.emplace_back("INSERT INTO t (id, a) VALUES (1, 'x'), (999, 'last')");
    before.emplace_back("INSERT INTO \"odd \"\"name\" (\"the id\") VALUES (999)");
    for (const auto& sql : before) {
      site.must(sql);
      ASSERT_TRUE(plain.run(sql, {}, ignored)) << sql;
    }
    Table rows;
    const bool fine = plain.run(c.sql, c.args, rows);
    const auto ours = site.run(c.sql, c.args);
    EXPECT_EQ(ours.has_value(), fine) << c.sql << ": " << (ours ? "" : ours.error().text);
    if (!ours || !fine) continue;
    ++accepted;
    EXPECT_EQ(without_numbers(ours->rows), rows) << c.sql;
    for (const char* table : {"t", "\"odd \"\"name\"", "w", "s"}) {
      const std::string all = std::string("SELECT * FROM ") + table + " ORDER BY 1, 2, 3";
      const std::string keyless = std::string("SELECT * FROM ") + table;
      const auto& sql = std::string_view(table).size() == 1 && table[0] != 't' ? keyless : all;
      Table want;
      ASSERT_TRUE(plain.run(sql, {}, want));
      EXPECT_EQ(without_numbers(site.query(sql)), want) << c.sql;
    }
  }
  EXPECT_GT(accepted, 30u);
}

TEST(Numbering, TwoDatacentersNeverGiveTheSameNumber) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
  ship(a, b);
  for (int i = 0; i < 20; ++i) {
    for (Site* site : {&a, &b}) {
      const auto done = site->run("INSERT INTO t (v) VALUES (1), (2) RETURNING id");
      ASSERT_TRUE(done);
      EXPECT_EQ(done->last_insert_rowid, std::get<int64_t>(done->rows[1][0]));
    }
    if (i % 5 == 0) settle(a, b);
  }
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.count("t"), 80);
}

TEST(Numbering, NumbersGrowWhateverTheClockDoes) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  int64_t last = 0;
  const std::vector<uint64_t> times{kNow, kNow / 2, 0, kNow + 1'000'000'000};
  for (const uint64_t now : times) {
    a.now = now;
    if (now == 0) a.open();
    for (int i = 0; i < 2; ++i) {
      const auto done = a.run("INSERT INTO t (v) VALUES (1) RETURNING id");
      ASSERT_TRUE(done);
      const auto id = std::get<int64_t>(done->rows[0][0]);
      EXPECT_GT(id, last);
      EXPECT_EQ(id % 256, 1);
      last = id;
    }
  }
  a.now = UINT64_MAX / 2;  // no clock says this
  const auto done = a.run("INSERT INTO t (v) VALUES (1) RETURNING id");
  EXPECT_EQ(std::get<int64_t>(done->rows[0][0]), last + 256);
}

TEST(Numbering, AHundredThousandAtOnceAreExactInJavaScript) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must(
      "WITH c(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM c WHERE v < 100000) "
      "INSERT INTO t (v) SELECT v FROM c");
  const auto row = a.query("SELECT count(*), min(id) > 0, max(id) < 9007199254740992 FROM t")[0];
  EXPECT_EQ(row, (std::vector<Value>{int64_t{100000}, int64_t{1}, int64_t{1}}));
}

TEST(Numbering, AnyColumnMayHaveANumberByDefault) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER NOT NULL DEFAULT (entente_id()))");
  ship(a, b);
  for (Site* site : {&a, &b}) site->must("INSERT INTO t (k) VALUES ('" + site->options.dc + "')");
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_EQ(a.query("SELECT count(DISTINCT n) FROM t WHERE n > 0")[0][0], Value(int64_t{2}));
  Statement reading;
  reading.sql = "SELECT entente_id()";
  EXPECT_FALSE(a.reader->execute(reading));
  Statement insert;
  insert.sql = "INSERT INTO t (k) VALUES (?)";
  EXPECT_TRUE(a.reader->describe(insert));
}

// ---- keys: {numbering: interleaved}
// ---------------------------------------------------------------

ConflictRules interleaved() {
  ConflictRules rules;
  rules.defaults.numbering = Numbering::kInterleaved;
  return rules;
}

int64_t next_number(Site& site, const std::string& table = "t") {
  const auto done = site.run("INSERT INTO " + table + " (v) VALUES (0) RETURNING id");
  EXPECT_TRUE(done) << done.error().text;
  return done ? std::get<int64_t>(done->rows[0][0]) : -1;
}

void alone(Site& site) {
  site.options.alone = true;
  site.open();
}

TEST(SmallNumbers, OneDatacenterCountsAsPlainSqliteDoes) {
  for (const char* key : {"INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"}) {
    Folder folder;
    Site a(folder / "a.db", 1, interleaved());
    alone(a);
    Plain plain;
    Table ignored;
    const std::vector<std::string> statements{
        std::string("CREATE TABLE t (id ") + key + ", v)",
        "INSERT INTO t (v) VALUES (1), (2)",
        "INSERT INTO t VALUES (NULL, 3)",
        "INSERT INTO t (id, v) VALUES (10, 4)",
        "INSERT INTO t (v) SELECT v FROM t ORDER BY id",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t (v) VALUES (9)",
        "INSERT INTO t (id, v) VALUES (-5, 4)",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t (id, v) VALUES (10, 1), (NULL, 2) ON CONFLICT DO NOTHING",
        "INSERT INTO t (v) VALUES (1)",
    };
    for (const auto& sql : statements) {
      a.must(sql);
      ASSERT_TRUE(plain.run(sql, {}, ignored)) << sql;
    }
    Table want;
    ASSERT_TRUE(plain.run("SELECT * FROM t ORDER BY id", {}, want));
    EXPECT_EQ(a.query("SELECT * FROM t ORDER BY id"), want);
  }
}

TEST(SmallNumbers, WhatIsRolledBackIsGivenAgain) {
  Folder folder;
  Site a(folder / "a.db", 1, interleaved());
  alone(a);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)");
  a.must("INSERT INTO t (v) VALUES (7)");
  EXPECT_FALSE(a.run("INSERT INTO t (v) VALUES (8), (7)"));
  EXPECT_FALSE(a.transaction([](WriteSession& s) -> Result<void> {
    Statement insert;
    insert.sql = "INSERT INTO t (v) VALUES (9)";
    if (auto done = s.execute(insert); !done) return tl::unexpected(done.error());
    return fail(Code::kInvalid, "it changed its mind");
  }));
  a.must("INSERT OR IGNORE INTO t (v) VALUES (7)");
  a.must("INSERT INTO t (v) VALUES (10)");
  EXPECT_EQ(a.query("SELECT max(id) FROM t")[0][0], Value(int64_t{2}));
}

TEST(SmallNumbers, EachTableCountsByItself) {
  Folder folder;
  Site a(folder / "a.db", 1, interleaved());
  alone(a);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must("CREATE TABLE u (id INTEGER PRIMARY KEY, v)");
  a.must("CREATE TABLE k (v)");
  EXPECT_EQ(next_number(a), 1);
  EXPECT_EQ(next_number(a), 2);
  EXPECT_EQ(next_number(a, "u"), 1);
  EXPECT_EQ(a.run("INSERT INTO k VALUES (1), (2)")->last_insert_rowid, 2);
}

TEST(SmallNumbers, TwoDatacentersNeverGiveTheSameAndEachAscends) {
  Folder folder;
  Site a(folder / "a.db", 1, interleaved()), b(folder / "b.db", 200, interleaved());
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  ship(a, b);
  std::set<int64_t> all;
  int64_t last_of_a = 0, last_of_b = 0;
  for (int i = 0; i < 30; ++i) {
    const int64_t of_a = next_number(a), of_b = next_number(b);
    EXPECT_GT(of_a, last_of_a);
    EXPECT_GT(of_b, last_of_b);
    EXPECT_TRUE(all.insert(of_a).second && all.insert(of_b).second);
    last_of_a = of_a, last_of_b = of_b;
    if (i % 7 == 0) settle(a, b);
  }
  settle(a, b);
  expect_same(a, b, "t");
  EXPECT_LT(*all.rbegin(), 32 * 1024);
}

TEST(SmallNumbers, ADatacenterThatJoinsOneAloneTakesNoneOfItsNumbers) {
  Folder folder;
  Site a(folder / "a.db", 1, interleaved());
  alone(a);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  for (int i = 1; i <= 40; ++i) EXPECT_EQ(next_number(a), i);
  a.must("DELETE FROM t");
  a.options.alone = false;
  a.open();
  const int64_t first = next_number(a);
  EXPECT_GT(first, 40);
  EXPECT_EQ(first % 32, SmallKeys::of(1, 0)->remainder);
  ASSERT_TRUE(a.db->snapshot(folder / "b.db"));
  DatabaseOptions options = a.options;
  options.dc = "dc2", options.key_slot = 2, options.fresh_origin = origin_of(2);
  auto opened = open_sqlite(folder / "b.db", options, {.new_life = true});
  ASSERT_TRUE(opened) << opened.error().text;
  opened->reset();
  Site b(folder / "b.db", 2, interleaved());
  const int64_t second = next_number(b);
  EXPECT_GT(second, 40);
  EXPECT_EQ(second % 32, SmallKeys::of(2, 0)->remainder);
  settle(a, b);
  expect_same(a, b, "t");
  // It never is alone again, whatever the file says.
  alone(a);
  EXPECT_EQ(next_number(a) % 32, SmallKeys::of(1, 0)->remainder);
}

// A life that is over may have given numbers that nobody here ever heard of.
TEST(SmallNumbers, ALaterLifeGivesNoneOfAnEarlierOne) {
  Folder folder;
  std::set<int64_t> all;
  {
    Site a(folder / "a.db", 1, interleaved());
    a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    ASSERT_TRUE(a.db->snapshot(folder / "backup.db"));
    for (int i = 0; i < 20; ++i) all.insert(next_number(a));
  }
  for (uint8_t life = 1; life < 12; ++life) {
    DatabaseOptions options;
    options.dc = "dc1", options.key_slot = 1, options.rules = interleaved();
    options.schema_leader_name = "dc1";
    options.fresh_origin = origin_of(static_cast<uint8_t>(100 + life));
    options.alone = life % 2 == 0;
    const auto path = folder / "backup.db";
    ASSERT_TRUE(open_sqlite(path, options, {.new_life = true}));
    Site again(path, 1, interleaved());
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(all.insert(next_number(again)).second) << int{life};
    again.must("DELETE FROM t");
  }
}

TEST(SmallNumbers, ThoseOfDeletedRowsAreNotGivenAgain) {
  Folder folder;
  Site a(folder / "a.db", 1, interleaved());
  alone(a);
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
  EXPECT_EQ(next_number(a), 1);
  EXPECT_EQ(next_number(a), 2);
  a.must("DELETE FROM t");
  ASSERT_TRUE(a.db->promise(a.db->state().streams.begin()->second.context));
  VersionVector stable;
  stable.advance(a.db->state().self, a.seq());
  ASSERT_TRUE(a.db->collect(stable, 1000));
  a.open();
  EXPECT_EQ(next_number(a), 3);
}

TEST(SmallNumbers, AreChosenTableByTableAndTriggersKeepThem) {
  Folder folder;
  ConflictRules rules;
  rules.tables["t"].numbering = Numbering::kInterleaved;
  Site a(folder / "a.db", 1, rules);
  alone(a);
  a.now = kNow;
  a.must("CREATE TABLE u (id INTEGER PRIMARY KEY, v)");
  a.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  a.must("CREATE TRIGGER told AFTER INSERT ON u BEGIN INSERT INTO t (v) VALUES (NEW.id); END");
  EXPECT_GT(next_number(a, "u"), kNumbered);
  EXPECT_GT(next_number(a, "u"), kNumbered);
  EXPECT_EQ(a.query("SELECT id FROM t ORDER BY id"), (Table{{int64_t{1}}, {int64_t{2}}}));
}

// PostgreSQL's word, which a migration tool writes: to SQLite it is a number that may be NULL.
TEST(Numbering, AKeyThatIsANumberAndLeftOutIsNumbered) {
  Folder folder;
  Site a(folder / "a.db", 1);
  a.must("CREATE TABLE m (id SERIAL PRIMARY KEY, hash TEXT)");
  a.must("CREATE TABLE d (id INT DEFAULT 5 PRIMARY KEY, v)");
  a.must("CREATE TABLE x (id TEXT PRIMARY KEY, v)");
  a.must("INSERT INTO m (hash) VALUES ('a'), ('b')");
  EXPECT_EQ(a.query("SELECT count(DISTINCT id) FROM m WHERE typeof(id) = 'integer'")[0][0],
            Value(int64_t{2}));
  a.must("INSERT INTO d (v) VALUES (1)");
  EXPECT_EQ(a.query("SELECT id FROM d")[0][0], Value(int64_t{5}));
  EXPECT_EQ(a.tag("INSERT INTO x (v) VALUES (1)"), "null_key");
}

}  // namespace
}  // namespace entente
