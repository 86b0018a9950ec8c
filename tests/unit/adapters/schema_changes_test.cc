#include <functional>

#include "adapters/sqlite/connection.h"
#include "tests/unit/adapters/sql_site.h"

namespace entente::test {
namespace {

struct Three {
  Folder folder;
  Site a{folder / "a.db", 1}, b{folder / "b.db", 2}, c{folder / "c.db", 3};
};

// The statements as one transaction.
Result<void> try_together(Site& site, const std::vector<std::string>& statements,
                          bool enforce = true) {
  auto done = site.transaction([&](WriteSession& session) -> Result<void> {
    for (const auto& sql : statements) {
      Statement s;
      s.sql = sql;
      s.enforce_foreign_keys = enforce;
      auto result = session.execute(s);
      if (!result) return tl::unexpected(result.error());
    }
    return {};
  });
  return done.map([](const Committed&) {});
}

// The statements, each a transaction of its own.
void one_by_one(Site& site, const std::vector<std::string>& statements) {
  for (const auto& sql : statements) {
    const auto done = try_together(site, {sql}, false);
    ASSERT_TRUE(done) << sql << ": " << done.error().text;
  }
}

void together(Site& site, const std::vector<std::string>& statements, bool enforce = true) {
  const auto done = try_together(site, statements, enforce);
  ASSERT_TRUE(done) << done.error().text;
}

std::vector<std::string> schema(Site& site) {
  std::vector<std::string> out;
  for (const auto& row : site.query(
           "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master WHERE name "
           "NOT LIKE '%\\_entente\\_%' ESCAPE '\\' ORDER BY type, name")) {
    out.push_back(std::get<std::string>(row[0]));
  }
  return out;
}

void expect_same_everywhere(Site& a, Site& b) {
  EXPECT_EQ(schema(a), schema(b));
  const auto tables = a.reader->tables(), others = b.reader->tables();
  ASSERT_TRUE(tables && others);
  ASSERT_EQ(tables->size(), others->size());
  for (size_t i = 0; i < tables->size(); ++i) {
    EXPECT_EQ((*tables)[i], (*others)[i]) << (*tables)[i].name;
    expect_same(a, b, (*tables)[i].name.c_str());
  }
}

// ---- What a transaction of an earlier schema means under a later one ---------------------------

struct Act {
  const char* name;
  std::vector<std::string> statements;
  bool one_by_one = false;  // not one transaction
};

const std::vector<Act> kElsewhere = {
    {"nothing", {}},
    {"insert", {"INSERT INTO t (k, v, n) VALUES (9, 'elsewhere', 90)"}},
    {"update v", {"UPDATE t SET v = 'elsewhere' WHERE k = 1"}},
    {"update n", {"UPDATE t SET n = 99 WHERE k = 1"}},
    {"put", {"REPLACE INTO t (k, v, n) VALUES (1, 'elsewhere', 91)"}},
    {"delete", {"DELETE FROM t WHERE k = 1"}},
    {"delete and make", {"DELETE FROM t WHERE k = 1", "INSERT INTO t VALUES (1, 'again', 8)"}},
    {"several", {"UPDATE t SET v = v || '!'", "DELETE FROM t WHERE k = 2"}},
};

const std::vector<Act> kChanges = {
    {"add", {"ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7"}},
    {"add text", {"ALTER TABLE t ADD COLUMN c TEXT NOT NULL DEFAULT 'it''s'"}},
    {"add two", {"ALTER TABLE t ADD COLUMN c", "ALTER TABLE t ADD COLUMN d DEFAULT 1.5"}},
    {"drop", {"ALTER TABLE t DROP COLUMN v"}},
    {"rename", {"ALTER TABLE t RENAME COLUMN v TO w"}},
    {"rename and take",
     {"ALTER TABLE t RENAME COLUMN v TO w", "ALTER TABLE t ADD COLUMN v DEFAULT 3"}},
    {"drop and add", {"ALTER TABLE t DROP COLUMN v", "ALTER TABLE t ADD COLUMN v DEFAULT 4"}},
    {"rename table", {"ALTER TABLE t RENAME TO u"}},
    {"drop table", {"DROP TABLE t"}},
    {"drop and make",
     {"DROP TABLE t", "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)"}},
    {"make anew",
     {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, v TEXT COLLATE NOCASE, n TEXT, c DEFAULT 5)",
      "INSERT INTO new_t (k, v, n) SELECT k, v, n FROM t", "DROP TABLE t",
      "ALTER TABLE new_t RENAME TO t", "CREATE INDEX t_n ON t (n)"}},
    {"make anew otherwise",
     {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, n INTEGER, c TEXT)",
      "INSERT INTO new_t SELECT k, n + 1, upper(v) FROM t WHERE k < 3", "DROP TABLE t",
      "ALTER TABLE new_t RENAME TO t"}},
    {"make anew, renaming first",
     {"ALTER TABLE t RENAME TO t_old", "CREATE TABLE t (n TEXT, k INTEGER PRIMARY KEY, v, c)",
      "INSERT INTO t (k, v, n) SELECT k, v, n FROM t_old", "DROP TABLE t_old"}},
    {"make anew, renaming first, otherwise",
     {"ALTER TABLE t RENAME TO t_old", "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL)",
      "INSERT INTO t SELECT k, v || 's' FROM t_old WHERE k > 1", "DROP TABLE t_old"}},
    {"make anew, away and back",
     {"CREATE TABLE away (k INTEGER PRIMARY KEY, v, n)", "INSERT INTO away SELECT k, v, n FROM t",
      "DROP TABLE t", "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 6)",
      "INSERT INTO t (k, v, n) SELECT * FROM away", "DROP TABLE away"}},
    {"make anew with a longer key",
     {"CREATE TABLE new_t (k INTEGER, n INTEGER NOT NULL, v TEXT, PRIMARY KEY (k, n))",
      "INSERT INTO new_t SELECT k, n, v FROM t", "DROP TABLE t", "ALTER TABLE new_t RENAME TO t"}},
    {"make anew with another kind of key",
     {"ALTER TABLE t RENAME TO t_old", "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, v, n)",
      "INSERT INTO t SELECT k, v, n FROM t_old", "DROP TABLE t_old"}},
    {"make anew one by one",
     {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 5)",
      "INSERT INTO new_t (k, v, n) SELECT k, v, n FROM t", "DROP TABLE t",
      "ALTER TABLE new_t RENAME TO t", "CREATE INDEX t_n ON t (n)"},
     true},
    {"make anew otherwise one by one",
     {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, n INTEGER, c TEXT)",
      "INSERT INTO new_t SELECT k, n + 1, upper(v) FROM t WHERE k < 3",
      "UPDATE new_t SET c = 'changed' WHERE k = 1", "UPDATE t SET n = 7 WHERE k < 3",
      "DROP TABLE t", "ALTER TABLE new_t RENAME TO t"},
     true},
    {"make anew, renaming first, one by one",
     {"ALTER TABLE t RENAME TO t_old", "CREATE TABLE t (n, k INTEGER PRIMARY KEY, v TEXT, c)",
      "INSERT INTO t (k, v, n) SELECT k, v, n FROM t_old", "UPDATE t SET v = 'now' WHERE k = 2",
      "DROP TABLE t_old"},
     true},
    {"make anew, away and back, one by one",
     {"CREATE TABLE away (k INTEGER PRIMARY KEY, v, n)", "INSERT INTO away SELECT k, v, n FROM t",
      "DROP TABLE t", "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 6)",
      "INSERT INTO t (k, v, n) SELECT * FROM away", "DROP TABLE away"},
     true},
    {"make anew with a longer key one by one",
     {"CREATE TABLE new_t (k INTEGER, n INTEGER NOT NULL, v TEXT, PRIMARY KEY (k, n))",
      "INSERT INTO new_t SELECT k, n, v FROM t", "DROP TABLE t", "ALTER TABLE new_t RENAME TO t"},
     true},
    {"copy and keep the copy",
     {"CREATE TABLE kept (k INTEGER PRIMARY KEY, v, n)", "INSERT INTO kept SELECT * FROM t",
      "DROP TABLE t"},
     true},
    {"write, change, write",
     {"UPDATE t SET n = n + 1", "ALTER TABLE t ADD COLUMN c DEFAULT 8",
      "UPDATE t SET c = 9 WHERE k = 2", "ALTER TABLE t RENAME COLUMN n TO m",
      "INSERT INTO t (k, m) VALUES (30, 30)"}},
};

const std::vector<Act> kAfterwards = {
    {"nothing", {}},
    {"update c", {"UPDATE t SET c = 70 WHERE k = 1"}},
    {"update all", {"UPDATE t SET n = 71"}},
    {"put", {"REPLACE INTO t (k, n) VALUES (1, 72)"}},
    {"delete", {"DELETE FROM t WHERE k = 1"}},
    {"insert", {"INSERT INTO t (k, n) VALUES (9, 73)"}},
};

const std::vector<std::pair<const char*, std::function<TableRules()>>> kRules = {
    {"column", [] { return TableRules{}; }},
    {"row",
     [] {
       TableRules rules;
       rules.granularity = Granularity::kRow;
       return rules;
     }},
    {"siblings",
     [] {
       TableRules rules;
       rules.granularity = Granularity::kRow;
       rules.policy.kind = PolicyKind::kSiblings;
       rules.policy.run = RunWhen::kRead;
       return rules;
     }},
    {"column siblings",
     [] {
       TableRules rules;
       rules.policy.kind = PolicyKind::kSiblings;
       rules.policy.run = RunWhen::kRead;
       return rules;
     }},
    {"priority",
     [] {
       TableRules rules;
       rules.policy.kind = PolicyKind::kPriority;
       return rules;
     }},
};

// Two datacenters do this at once; two others hear of it in opposite orders.
class SchemaOrder : public ::testing::TestWithParam<size_t> {
 protected:
  static void run(const ConflictRules& rules, const Act& elsewhere, const Act& change,
                  const Act& afterwards, size_t variant) {
    const bool later = variant % 2 == 0, general = variant % 4 < 2;
    Folder folder;
    const SqliteTuning tuning{.general_path_only = general};
    Site a(folder / "a.db", 1, rules, tuning), b(folder / "b.db", 2, rules),
        c(folder / "c.db", 3, rules, tuning), d(folder / "d.db", 4, rules);
    together(a, {"CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)",
                 "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)"});
    a.must("UPDATE t SET v = 'TWO' WHERE k = 2");
    for (Site* site : {&b, &c, &d}) ship(a, *site);
    // A conflict that is there before.
    c.must("UPDATE t SET v = 'c' WHERE k = 3");
    d.must("UPDATE t SET v = 'd', n = 33 WHERE k = 3");
    for (Site* site : {&a, &b, &d}) ship(c, *site);
    for (Site* site : {&a, &b, &c}) ship(d, *site);

    if (later) b.now += 1000;
    // Where the change is several transactions, c has heard of some of them when it hears of what
    // is done elsewhere; in some stories, so has who does it.
    const size_t heard = change.one_by_one ? variant % (change.statements.size() + 1) : 0;
    const std::vector<std::string> begun(change.statements.begin(),
                                         change.statements.begin() + static_cast<ptrdiff_t>(heard));
    const std::vector<std::string> rest(change.statements.begin() + static_cast<ptrdiff_t>(heard),
                                        change.statements.end());
    const bool hears = change.one_by_one && variant % 5 == 0, knows = variant % 3 == 0;
    if (!hears) together(b, elsewhere.statements);
    one_by_one(a, begun);
    ship(a, c);
    if (hears) {
      ship(a, b);
      const auto done = try_together(b, elsewhere.statements);
      ASSERT_TRUE(done || done.error().code == Code::kSql) << done.error().text;
    }
    if (change.one_by_one && knows) ship(b, a);
    change.one_by_one ? one_by_one(a, rest) : together(a, rest);
    const auto done = try_together(a, afterwards.statements);  // may name what is gone
    ASSERT_TRUE(done || done.error().code == Code::kSql) << done.error().text;

    ship(b, c), ship(a, c);
    ship(a, d), ship(b, d);
    ship(a, b), ship(b, a);
    for (Site* site : {&b, &c, &d}) expect_same_everywhere(a, *site);
    d.open();
    expect_same_everywhere(a, d);
    // And it goes on.
    try_together(d, {"UPDATE t SET n = 5 WHERE k = 1"}).map([] {});
    for (Site* site : {&a, &b, &c}) ship(d, *site);
    for (Site* site : {&b, &c, &d}) expect_same_everywhere(a, *site);
  }
};

TEST_P(SchemaOrder, EveryOrderOfArrivalShowsTheSame) {
  const auto& [name, rules_of] = kRules[GetParam()];
  ConflictRules rules;
  rules.defaults = rules_of();
  rules.priorities = {{"dc2", 2}, {"dc1", 1}};
  size_t n = GetParam();
  for (const auto& elsewhere : kElsewhere) {
    for (const auto& change : kChanges) {
      const auto& afterwards = kAfterwards[++n % kAfterwards.size()];
      SCOPED_TRACE(std::string(name) + "; elsewhere: " + elsewhere.name + "; then: " + change.name +
                   ", " + afterwards.name);
      run(rules, elsewhere, change, afterwards, n);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, SchemaOrder, ::testing::Range<size_t>(0, kRules.size()),
                         [](const auto& of) {
                           std::string name = kRules[of.param].first;
                           std::erase(name, ' ');
                           return name;
                         });

// ---- Statement by statement --------------------------------------------------------------------

class SchemaChanges : public ::testing::Test {
 protected:
  void meet() {
    settle(a, b);
    expect_same_everywhere(a, b);
  }
  Folder folder;
  Site a{folder / "a.db", 1}, b{folder / "b.db", 2};
};

TEST_F(SchemaChanges, AColumnIsAddedWithItsDefaultAndEmitsNoRows) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must(
      "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 100) INSERT INTO t "
      "SELECT i, i FROM s");
  meet();
  const auto before = a.db->read_log(0, SIZE_MAX)->back().position;
  a.must("ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'new'");
  const auto log = a.db->read_log(before, SIZE_MAX);
  ASSERT_EQ(log->size(), 1u);
  EXPECT_LT((*log)[0].run.records.size(), 400u);
  meet();
  EXPECT_EQ(b.query("SELECT count(*) FROM t WHERE c = 'new'")[0][0], Value(int64_t{100}));
}

TEST_F(SchemaChanges, WritesOfBothSchemasMeetInOneRow) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
  a.must("INSERT INTO t VALUES (1, 'one', 1)");
  meet();
  b.must("UPDATE t SET v = 'b' WHERE k = 1");
  a.must("ALTER TABLE t RENAME COLUMN v TO w");
  a.must("ALTER TABLE t ADD COLUMN c DEFAULT 0");
  a.must("UPDATE t SET c = 5 WHERE k = 1");
  meet();
  const auto row = b.query("SELECT w, n, c FROM t")[0];
  EXPECT_EQ(row, (std::vector<Value>{std::string("b"), int64_t{1}, int64_t{5}}));
}

TEST_F(SchemaChanges, ADroppedTableTakesItsRowsAndItsNameCanBeUsedAgain) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 'old')");
  meet();
  b.must("INSERT INTO t VALUES (2, 'late')");
  a.must("DROP TABLE t");
  a.must("CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, x)");
  a.must("INSERT INTO t VALUES ('1', 'new')");
  meet();
  EXPECT_EQ(b.count("t"), 1);
  b.must("INSERT INTO t VALUES ('2', 'b')");
  meet();
  EXPECT_EQ(a.count("t"), 2);
}

TEST_F(SchemaChanges, ATableMadeAnewKeepsWhatOthersWroteMeanwhile) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
  a.must("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)");
  a.must("CREATE INDEX t_v ON t (v)");
  meet();
  b.must("UPDATE t SET v = 'b' WHERE k = 1");
  b.must("INSERT INTO t VALUES (3, 'three', 3)");
  together(a,
           {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, v TEXT NOT NULL, n INTEGER, c DEFAULT 5)",
            "INSERT INTO new_t (k, v, n) SELECT k, v, n FROM t", "DROP TABLE t",
            "ALTER TABLE new_t RENAME TO t", "CREATE INDEX t_v ON t (v)"});
  meet();
  EXPECT_EQ(a.query("SELECT group_concat(v || c) FROM t")[0][0],
            Value(std::string("b5,two5,three5")));
  EXPECT_EQ(a.query("SELECT count(*) FROM sqlite_master WHERE name LIKE '%gone%'")[0][0],
            Value(int64_t{0}));
}

// Every spelling of it means the same.
const std::vector<Act> kMakeAnew = {
    {"create, copy, drop, rename",
     {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 5)",
      "INSERT INTO new_t (k, v, n) SELECT k, v, n FROM t", "DROP TABLE t",
      "ALTER TABLE new_t RENAME TO t"}},
    {"rename, create, copy, drop",
     {"ALTER TABLE t RENAME TO old_t",
      "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 5)",
      "INSERT INTO t (k, v, n) SELECT k, v, n FROM old_t", "DROP TABLE old_t"}},
    {"copy away, drop, create, copy back",
     {"CREATE TABLE away (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)",
      "INSERT INTO away SELECT * FROM t", "DROP TABLE t",
      "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER, c DEFAULT 5)",
      "INSERT INTO t (k, v, n) SELECT * FROM away", "DROP TABLE away"}},
};

class TableMadeAnew : public ::testing::TestWithParam<std::tuple<size_t, bool>>, public Three {
 protected:
  void change() {
    const auto& act = kMakeAnew[std::get<0>(GetParam())];
    std::get<1>(GetParam()) ? one_by_one(a, act.statements) : together(a, act.statements, false);
  }
  void begin() {
    a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
    a.must("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)");
    for (Site* site : {&b, &c}) ship(a, *site);
  }
  void expect_kept(Site& site) {
    EXPECT_EQ(site.query("SELECT group_concat(k || v || c, ' ') FROM (SELECT * FROM t ORDER BY k)"),
              (std::vector<std::vector<Value>>{{std::string("1one5 2changed5 50born5")}}));
    const auto lost = site.reader->conflicts({ConflictQuery::State::kAny, "", {}, 0, 10});
    ASSERT_TRUE(lost);
    EXPECT_TRUE(lost->empty());
  }
};

TEST_P(TableMadeAnew, P2KeepsWhatOthersWroteWhoHadNotHeardOfIt) {
  begin();
  b.must("INSERT INTO t VALUES (50, 'born', 50)");
  b.must("UPDATE t SET v = 'changed' WHERE k = 2");
  b.must("DELETE FROM t WHERE k = 3");
  change();
  ship(b, c), ship(a, c);
  settle(a, b);
  for (Site* site : {&a, &b, &c}) expect_kept(*site);
  for (Site* site : {&b, &c}) expect_same_everywhere(a, *site);
}

// It came to the schema leader between any two statements.
TEST_P(TableMadeAnew, P2KeepsWhatCameWhileItWasMade) {
  const auto& [way, separately] = GetParam();
  if (!separately) return;
  const auto& statements = kMakeAnew[way].statements;
  for (size_t before = 0; before <= statements.size(); ++before) {
    SCOPED_TRACE(before);
    Three at;
    at.a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
    at.a.must("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)");
    for (Site* site : {&at.b, &at.c}) ship(at.a, *site);
    at.b.must("INSERT INTO t VALUES (50, 'born', 50)");
    at.b.must("UPDATE t SET v = 'changed' WHERE k = 2");
    at.b.must("DELETE FROM t WHERE k = 3");
    const auto middle = statements.begin() + static_cast<ptrdiff_t>(before);
    one_by_one(at.a, {statements.begin(), middle});
    ship(at.b, at.a);
    one_by_one(at.a, {middle, statements.end()});
    ship(at.a, at.c);
    settle(at.a, at.b);
    for (Site* site : {&at.a, &at.b, &at.c}) expect_kept(*site);
    for (Site* site : {&at.b, &at.c}) expect_same_everywhere(at.a, *site);
    at.c.open();
    expect_same_everywhere(at.a, at.c);
  }
}

TEST_P(TableMadeAnew, LeavesNothingBehindThatUsersSee) {
  begin();
  change();
  ship(a, b);
  for (Site* site : {&a, &b}) {
    const auto rest = site->query(
        "SELECT name FROM sqlite_master WHERE name LIKE '%gone%' OR name LIKE '%dropped%'");
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(site->reader->tables()->size(), 1u);
  }
  b.must("INSERT INTO t (k, v) VALUES (4, 'four')");
  ship(b, a);
  EXPECT_EQ(a.count("t"), 4);
}

INSTANTIATE_TEST_SUITE_P(Spellings, TableMadeAnew,
                         ::testing::Combine(::testing::Range<size_t>(0, kMakeAnew.size()),
                                            ::testing::Bool()),
                         [](const auto& of) {
                           std::string name = kMakeAnew[std::get<0>(of.param)].name;
                           std::erase_if(name, [](char c) { return c == ' ' || c == ','; });
                           return name + (std::get<1>(of.param) ? "OneByOne" : "AtOnce");
                         });

// The new shape has no place for it.
TEST(SchemaChangesOfKeys, P2ListsEverywhereWhatWasWrittenUnderAnotherKey) {
  for (const bool separately : {false, true}) {
    Three at;
    at.a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT, n INTEGER)");
    at.a.must("INSERT INTO t VALUES (1, 'one', 1)");
    for (Site* site : {&at.b, &at.c}) ship(at.a, *site);
    at.b.must("INSERT INTO t VALUES (50, 'born', 50)");
    const std::vector<std::string> statements = {
        "CREATE TABLE new_t (k INTEGER, n INTEGER NOT NULL, v TEXT, PRIMARY KEY (k, n))",
        "INSERT INTO new_t SELECT k, n, v FROM t", "DROP TABLE t", "ALTER TABLE new_t RENAME TO t"};
    separately ? one_by_one(at.a, statements) : together(at.a, statements);
    ship(at.b, at.c), ship(at.a, at.c);
    settle(at.a, at.b);
    for (Site* site : {&at.b, &at.c}) expect_same_everywhere(at.a, *site);
    for (Site* site : {&at.a, &at.b, &at.c}) {
      EXPECT_EQ(site->count("t"), 1);
      const auto lost = site->reader->conflicts({ConflictQuery::State::kAny, "t", {}, 0, 10});
      ASSERT_TRUE(lost);
      ASSERT_EQ(lost->size(), 1u) << site->path;
      EXPECT_EQ(lost->front().kind, "schema");
      EXPECT_EQ(lost->front().losers.at(0).row->at("v"), Value(std::string("born")));
    }
  }
}

// Whoever writes to the copy has not heard that it was to become something else.
TEST_F(SchemaChanges, P2ListsEverywhereWhatWasWrittenToTheTableThatTookThePlace) {
  Three at;
  at.a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  at.a.must("INSERT INTO t VALUES (1, 'one')");
  one_by_one(at.a, {"ALTER TABLE t RENAME TO t_old", "CREATE TABLE t (k INTEGER PRIMARY KEY, v)"});
  for (Site* site : {&at.b, &at.c}) ship(at.a, *site);
  at.b.must("INSERT INTO t VALUES (9, 'early')");
  ship(at.b, at.c);
  one_by_one(at.a, {"INSERT INTO t SELECT * FROM t_old", "DROP TABLE t_old"});
  ship(at.a, at.c);
  settle(at.a, at.b);
  for (Site* site : {&at.b, &at.c}) expect_same_everywhere(at.a, *site);
  for (Site* site : {&at.a, &at.b, &at.c}) {
    EXPECT_EQ(site->count("t"), 1);
    const auto lost = site->reader->conflicts({ConflictQuery::State::kAny, "t", {}, 0, 10});
    ASSERT_TRUE(lost);
    ASSERT_EQ(lost->size(), 1u) << site->path;
    EXPECT_EQ(lost->front().losers.at(0).row->at("v"), Value(std::string("early")));
  }
}

TEST_F(SchemaChanges, ATableThatNobodySucceedsIsLetGoOf) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  one_by_one(a, {"CREATE TABLE kept (k INTEGER PRIMARY KEY, v)", "INSERT INTO kept SELECT * FROM t",
                 "DROP TABLE t"});
  const auto retired = [](Site& site) {
    return site.query("SELECT 1 FROM sqlite_master WHERE name LIKE '%dropped%'").size();
  };
  meet();
  EXPECT_EQ(retired(a), 1u);
  EXPECT_EQ(retired(b), 1u);
  std::vector<std::string> changes;
  for (int i = 0; i < 130; ++i) {
    changes.emplace_back("CREATE VIEW w AS SELECT 1");
    changes.emplace_back("DROP VIEW w");
  }
  together(a, changes);
  meet();
  EXPECT_EQ(retired(a), 0u);
  EXPECT_EQ(retired(b), 0u);
}

// A schema leader that lost its database and began again.
TEST_F(SchemaChanges, P2ALeaderThatBeginsAgainTakesNoColumnsAway) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  a.must("ALTER TABLE t ADD COLUMN extra TEXT");
  a.must("INSERT INTO t VALUES (1, 'one', 'precious')");
  meet();
  Site again(folder / "again.db", 9);
  again.options.schema_leader = true;
  again.open();
  again.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  again.must("INSERT INTO t VALUES (2, 'two')");
  ship(again, b);
  ship(b, again);
  EXPECT_EQ(b.query("SELECT extra FROM t ORDER BY k"),
            (std::vector<std::vector<Value>>{{std::string("precious")}, {Null{}}}));
  expect_same_everywhere(b, again);
  again.must("ALTER TABLE t ADD COLUMN more");
  ship(again, b);
  expect_same_everywhere(b, again);
}

TEST_F(SchemaChanges, TwoHistoriesOfOneTableAreRefused) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  a.must("INSERT INTO t VALUES (1, 'one')");
  meet();
  Site again(folder / "again.db", 9);
  again.options.schema_leader = true;
  again.open();
  again.must("CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL, x)");
  const auto chunks = again.db->read_log(0, SIZE_MAX);
  std::vector<entente::Run> runs;
  for (const auto& chunk : *chunks) runs.push_back(chunk.run);
  const auto done = b.db->apply(runs, ++b.now);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFork);
  EXPECT_EQ(b.query("SELECT v FROM t"), (std::vector<std::vector<Value>>{{std::string("one")}}));
}

TEST_F(SchemaChanges, RowsThatANewConstraintRefusesElsewhereWait) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 'one')");
  meet();
  b.must("INSERT INTO t VALUES (2, NULL)");
  together(
      a, {"CREATE TABLE new_t (k INTEGER PRIMARY KEY, v NOT NULL)",
          "INSERT INTO new_t SELECT k, v FROM t", "DROP TABLE t", "ALTER TABLE new_t RENAME TO t"});
  meet();
  EXPECT_EQ(a.count("t"), 1);
  EXPECT_EQ(a.reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 10})->size(), 1u);
  b.must("INSERT INTO t VALUES (2, 'two')");
  meet();
  EXPECT_EQ(a.count("t"), 2);
}

TEST_F(SchemaChanges, AUniqueIndexThatComesLateHidesTheSameRowsEverywhere) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 'same')");
  meet();
  b.must("INSERT INTO t VALUES (2, 'same')");
  a.must("CREATE UNIQUE INDEX t_v ON t (v)");
  meet();
  EXPECT_EQ(b.query("SELECT k FROM t"), (std::vector<std::vector<Value>>{{int64_t{1}}}));
  a.must("DROP INDEX t_v");
  meet();
  EXPECT_EQ(b.count("t"), 2);
}

TEST_F(SchemaChanges, ViewsAndTriggersReplicateAndTriggersFireAtTheOriginOnly) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("CREATE TABLE log (id INTEGER PRIMARY KEY, what)");
  a.must("CREATE VIEW big AS SELECT * FROM t WHERE v > 10");
  a.must(
      "CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log (what) VALUES (NEW.k); END");
  a.must(
      "CREATE TRIGGER through INSTEAD OF INSERT ON big BEGIN INSERT INTO t VALUES (NEW.k, NEW.v); "
      "END");
  meet();
  a.must("INSERT INTO t VALUES (1, 11)");
  b.must("INSERT INTO big VALUES (2, 12)");
  meet();
  EXPECT_EQ(a.count("big"), 2);
  EXPECT_EQ(b.count("log"), 2);  // their keys did not collide
  EXPECT_GT(std::get<int64_t>(a.query("SELECT min(id) FROM log")[0][0]), 256);
  a.must("DROP TRIGGER logged");
  a.must("DROP VIEW big");
  meet();
  b.must("INSERT INTO t VALUES (3, 13)");
  meet();
  EXPECT_EQ(a.count("log"), 2);
}

TEST_F(SchemaChanges, DroppingAParentActsOnItsChildrenUnlessForeignKeysAreOff) {
  a.must("CREATE TABLE p (k INTEGER PRIMARY KEY)");
  a.must("CREATE TABLE c (k INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)");
  a.must("INSERT INTO p VALUES (1), (2)");
  a.must("INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL)");
  meet();
  together(
      a,
      {"CREATE TABLE new_p (k INTEGER PRIMARY KEY, name)", "INSERT INTO new_p SELECT k, 'x' FROM p",
       "DROP TABLE p", "ALTER TABLE new_p RENAME TO p"},
      false);
  meet();
  EXPECT_EQ(b.count("c"), 3);
  EXPECT_EQ(b.query("SELECT count(*) FROM p WHERE name = 'x'")[0][0], Value(int64_t{2}));
  b.must("DELETE FROM p WHERE k = 2");
  meet();
  EXPECT_EQ(a.count("c"), 2);
  a.must("DROP TABLE p");
  meet();
  EXPECT_EQ(b.query("SELECT k FROM c"), (std::vector<std::vector<Value>>{{int64_t{3}}}));
}

TEST_F(SchemaChanges, ARestrictedParentIsNotDropped) {
  a.must("CREATE TABLE p (k INTEGER PRIMARY KEY)");
  a.must("CREATE TABLE c (k INTEGER PRIMARY KEY, p REFERENCES p)");
  a.must("INSERT INTO p VALUES (1)");
  a.must("INSERT INTO c VALUES (1, 1)");
  EXPECT_EQ(a.tag("DROP TABLE p"), "SQLITE_CONSTRAINT");
  EXPECT_EQ(a.count("p"), 1);
  meet();
}

TEST_F(SchemaChanges, AFailedTransactionLeavesTheSchemaAsItWas) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 1)");
  const auto before = schema(a);
  EXPECT_FALSE(try_together(a, {"ALTER TABLE t ADD COLUMN c", "UPDATE t SET c = 2", "DROP TABLE t",
                                "CREATE TABLE t (x INTEGER PRIMARY KEY)", "nonsense"}));
  EXPECT_EQ(schema(a), before);
  a.must("INSERT INTO t VALUES (2, 2)");
  meet();
  EXPECT_EQ(b.count("t"), 2);
}

TEST_F(SchemaChanges, ASavepointBringsATableBack) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  a.must("INSERT INTO t VALUES (1, 1)");
  together(a, {"UPDATE t SET v = 2", "SAVEPOINT s", "ALTER TABLE t ADD COLUMN c DEFAULT 1",
               "UPDATE t SET c = 3, v = 4", "DROP TABLE t", "ROLLBACK TO s",
               "INSERT INTO t VALUES (5, 5)"});
  meet();
  EXPECT_EQ(b.query("SELECT * FROM t"),
            (std::vector<std::vector<Value>>{{int64_t{1}, int64_t{2}}, {int64_t{5}, int64_t{5}}}));
}

TEST_F(SchemaChanges, WhatCannotBeIsRefusedWithASentence) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v)");
  meet();
  EXPECT_EQ(b.tag("ALTER TABLE t ADD COLUMN c"), "schema_leader");
  EXPECT_EQ(b.tag("DROP TABLE t"), "schema_leader");
  EXPECT_EQ(a.tag("ALTER TABLE t RENAME TO _entente_t"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("DROP TABLE _entente_log"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("ALTER TABLE _entente_log ADD COLUMN x"), "SQLITE_AUTH");
  EXPECT_EQ(a.tag("CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _entente_log; END"),
            "SQLITE_AUTH");
  EXPECT_EQ(a.tag("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END"),
            "on_conflict_rollback");
  EXPECT_EQ(a.tag("CREATE TEMP VIEW x AS SELECT 1"), "temporary_table");
  EXPECT_EQ(a.tag("CREATE VIRTUAL TABLE f USING fts5(x)"), "schema_statement");
  EXPECT_EQ(a.tag("ALTER TABLE t DROP COLUMN k"), "SQLITE_ERROR");
  EXPECT_EQ(a.tag("ALTER TABLE t DROP COLUMN nothing"), "SQLITE_ERROR");
  EXPECT_EQ(a.tag("ALTER TABLE nowhere ADD COLUMN x"), "SQLITE_ERROR");
  EXPECT_EQ(a.tag("DROP TABLE nowhere"), "SQLITE_ERROR");
  a.must("DROP TABLE IF EXISTS nowhere");
  EXPECT_EQ(a.db->state().epoch, 1u);
  meet();
}

TEST(SchemaChangesRules, AColumnKeepsItsPolicyWhateverItIsCalled) {
  Folder folder;
  ConflictRules rules;
  TableRules stock;
  stock.columns["n"].kind = PolicyKind::kCounter;
  rules.tables["stock"] = stock;
  Site a(folder / "a.db", 1, rules);
  a.must("CREATE TABLE stock (k INTEGER PRIMARY KEY, n INTEGER)");
  EXPECT_EQ(a.tag("ALTER TABLE stock RENAME COLUMN n TO m"), "policy_misfit");
  EXPECT_EQ(a.tag("ALTER TABLE stock RENAME TO goods"), "policy_misfit");
  EXPECT_EQ(a.tag("ALTER TABLE stock DROP COLUMN n"), "policy_misfit");
  a.must("ALTER TABLE stock ADD COLUMN note");
}

TEST(SchemaChangesRules, ACounterCannotBeginWithADefault) {
  Folder folder;
  ConflictRules rules;
  rules.defaults.policy.kind = PolicyKind::kCounter;
  Site a(folder / "a.db", 1, rules);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, n INTEGER)");
  EXPECT_EQ(a.tag("ALTER TABLE t ADD COLUMN m INTEGER DEFAULT 10"), "policy_misfit");
  a.must("ALTER TABLE t ADD COLUMN m INTEGER DEFAULT 0");
}

// Versions are found by the key that the table had.
TEST_F(SchemaChanges, ATableMadeAnewKeepsOrLosesNoRowid) {
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  a.must("INSERT INTO t VALUES (1, 'one')");
  const auto done = try_together(
      a, {"CREATE TABLE n (k INT PRIMARY KEY, v TEXT)", "INSERT INTO n SELECT * FROM t",
          "DROP TABLE t", "ALTER TABLE n RENAME TO t"});
  ASSERT_TRUE(done) << done.error().text;
  a.must("UPDATE t SET v = 'uno'");
  a.must("INSERT INTO t VALUES (2, 'due')");
  meet();
  EXPECT_EQ(b.count("t"), 2);
}

TEST_F(SchemaChanges, DeferredForeignKeysLastToTheEndOfTheirTransaction) {
  a.must("CREATE TABLE p (k INTEGER PRIMARY KEY)");
  a.must("CREATE TABLE c (k INTEGER PRIMARY KEY, p REFERENCES p)");
  together(a, {"PRAGMA defer_foreign_keys = ON", "INSERT INTO c VALUES (1, 1)",
               "INSERT INTO p VALUES (1)"});
  EXPECT_FALSE(try_together(a, {"PRAGMA defer_foreign_keys = ON", "INSERT INTO c VALUES (2, 2)"}));
  EXPECT_EQ(a.tag("INSERT INTO c VALUES (3, 3)"), "SQLITE_CONSTRAINT");
  meet();
  EXPECT_EQ(b.count("c"), 1);
}

// ---- A peer that lies ---------------------------------------------------------------------------

// The next record of the schema leader, which a peer has made up: a schema change and a row of its
// table.
Run forged(Site& to, SchemaChange change, uint64_t ahead = 1) {
  const StreamState before = to.db->state().streams.at(origin_of(1));
  change.epoch = to.db->state().epoch + ahead;
  RowChange row{change.tables.front().name, {}, false, true, {}, {}, {}, {}};
  ByteWriter key;
  for (const auto* c : change.tables.front().key()) key.value(int64_t{c->key_part} + 1);
  row.key = key.take();
  Transaction t{{origin_of(1), before.seq + 1},
                Hlc{before.hlc.bits + 1},
                before.context,
                change.epoch,
                {},
                {change, row}};
  ByteWriter out;
  out.string(encode_record(t, before));
  return {origin_of(1), before.seq + 1, 1, out.take()};
}

TableDef keyed(std::string name, std::vector<std::string> columns, size_t key_parts) {
  TableDef def{std::move(name), {}};
  for (auto& column : columns) {
    ColumnDef c{std::move(column), "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0};
    if (def.columns.size() < key_parts) c.key_part = static_cast<uint16_t>(def.columns.size() + 1);
    def.columns.push_back(std::move(c));
  }
  return first_definition(std::move(def), 100);
}

TEST(SchemaChangesOfAPeer, P11WhatAPeerSaysOfATableAndIsNotSoIsLeftOut) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  a.must("INSERT INTO t VALUES (1, 'one')");
  ship(a, b);
  const std::vector<std::string> before = schema(b);
  TableDef another = b.reader->tables()->front();
  another.columns[0].collation = Collation::kNocase;  // another key
  const std::vector<SchemaChange> lies = {
      {0, {"CREATE TABLE n (k INTEGER PRIMARY KEY)"}, {keyed("n", {"k", "x"}, 1)}, {}},
      {0, {"CREATE TABLE n (k INTEGER PRIMARY KEY)"}, {keyed("m", {"k"}, 1)}, {}},
      {0, {"CREATE TABLE n (k, l, PRIMARY KEY (k, l))"}, {keyed("n", {"k", "l"}, 1)}, {}},
      {0, {"CREATE TABLE n (k)"}, {keyed("n", {"k"}, 1)}, {}},
      {0, {"DELETE FROM t"}, {keyed("n", {"k"}, 1)}, {}},
      {0, {"SELECT 1"}, {keyed("_entente_unsettled", {"tbl", "key"}, 2)}, {}},
      {0, {"ALTER TABLE t ADD COLUMN w"}, {another}, {}},
  };
  for (const auto& lie : lies) {
    const entente::Run run = forged(b, lie);
    const auto done = b.db->apply(std::span(&run, 1), ++b.now);
    ASSERT_TRUE(done) << lie.sql.front() << ": " << done.error().text;
    EXPECT_EQ(schema(b), before) << lie.sql.front();
    EXPECT_EQ(b.reader->tables()->size(), 1u) << lie.sql.front();
  }
  EXPECT_EQ(b.count("t"), 2);  // its own, and the one that came with the last lie
  b.must("INSERT INTO t VALUES (7, 'seven')");
}

// Otherwise everything that the leader changes from then on would look older than that.
TEST(SchemaChangesOfAPeer, P11AnEpochThatLeavesOthersOutIsRefused) {
  Folder folder;
  Site a(folder / "a.db", 1), b(folder / "b.db", 2);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  ship(a, b);
  const uint64_t epoch = b.db->state().epoch;
  for (const uint64_t ahead : {uint64_t{1} << 20, UINT64_MAX - epoch}) {
    SchemaChange lie{0, {"CREATE TABLE n (k INTEGER PRIMARY KEY)"}, {keyed("n", {"k"}, 1)}, {}};
    const entente::Run run = forged(b, lie, ahead);
    const auto done = b.db->apply(std::span(&run, 1), ++b.now);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kInvalid);
    EXPECT_EQ(b.db->state().epoch, epoch);
  }
  a.must("CREATE TABLE n (k INTEGER PRIMARY KEY)");
  ship(a, b);
  EXPECT_EQ(b.db->state().epoch, epoch + 1);
  EXPECT_EQ(b.reader->tables()->size(), 2u);
}

// ---- Schema changes that cannot be made elsewhere ----------------------------------------------

// Another process makes something here whose name the leader uses then.
void make_here(Site& site, const std::string& sql) {
  auto db = sqlite::Connection::open(site.path, sqlite::Connection::Kind::kWrite);
  ASSERT_TRUE(db);
  ASSERT_TRUE(db->exec(sql));
}

TEST(SchemaLeftOut, WhatCannotBeMadeIsLeftOutAndToldAndTriedAgain) {
  const Folder folder;
  Site a(folder / "a", 1), b(folder / "b", 2);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  settle(a, b);
  make_here(b, "CREATE VIEW taken AS SELECT 1");
  a.must("CREATE INDEX taken ON t (v)");
  a.must("INSERT INTO t VALUES (1, 'after it')");
  settle(a, b);
  expect_same(a, b, "t");
  ASSERT_EQ(b.db->left_out().size(), 1u);
  EXPECT_EQ(b.db->left_out()[0].sql, "CREATE INDEX taken ON t (v)");
  EXPECT_NE(b.db->left_out()[0].why.find("already a table named taken"), std::string::npos)
      << b.db->left_out()[0].why;
  b.open();
  EXPECT_EQ(b.db->left_out().size(), 1u) << "it is in the way still";
  make_here(b, "DROP VIEW taken");
  a.must("ALTER TABLE t ADD COLUMN w INTEGER");
  settle(a, b);
  EXPECT_TRUE(b.db->left_out().empty());
  expect_same_everywhere(a, b);
}

TEST(SchemaLeftOut, WhatWasLeftOutIsMadeWhenTheDatabaseIsOpened) {
  const Folder folder;
  Site a(folder / "a", 1), b(folder / "b", 2);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  settle(a, b);
  make_here(b, "CREATE VIEW taken AS SELECT 1");
  a.must("CREATE UNIQUE INDEX taken ON t (v)");
  settle(a, b);
  b.must("INSERT INTO t VALUES (1, 'twice'), (2, 'twice')");
  EXPECT_EQ(b.db->left_out().size(), 1u);
  make_here(b, "DROP VIEW taken");
  b.open();
  EXPECT_TRUE(b.db->left_out().empty());
  settle(a, b);
  EXPECT_EQ(b.count("t"), 1) << "the other waits";
  expect_same_everywhere(a, b);
}

TEST(SchemaLeftOut, WhatIsDroppedNeedNotHaveBeenMade) {
  const Folder folder;
  Site a(folder / "a", 1), b(folder / "b", 2);
  a.must("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)");
  settle(a, b);
  make_here(b, "CREATE VIEW taken AS SELECT 1");
  for (const char* const drop : {"DROP INDEX taken", "DROP TABLE t"}) {
    a.must("CREATE INDEX taken ON t (v)");
    settle(a, b);
    EXPECT_EQ(b.db->left_out().size(), 1u);
    a.must(drop);
    settle(a, b);
    EXPECT_TRUE(b.db->left_out().empty()) << drop;
  }
}

}  // namespace
}  // namespace entente::test
