// What a schema change leaves as it was: rows, what is listed of them, and who may delete a parent.

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

class SchemaEffects : public DatabaseContract {
 protected:
  // Two datacenters that have the same tables.
  void open_both(const ConflictRules& rules, std::vector<Statement> tables) {
    here_ = open(1, rules);
    there_ = open(2, rules);
    commit(here_, run(std::move(tables)));
    settle({&here_, &there_});
  }

  void expect_shown(const std::string& table, const Row& row) {
    settle({&here_, &there_});
    for (Site* site : {&here_, &there_}) {
      const auto rows = this->table(*site, table);
      ASSERT_EQ(rows.size(), 1u) << site->options.dc;
      EXPECT_EQ(rows.begin()->second, row) << site->options.dc;
    }
  }

  std::vector<ConflictEntry> listed(Site& site, ConflictQuery::State state) {
    ConflictQuery query;
    query.state = state;
    auto entries = site.reader->conflicts(query);
    EXPECT_TRUE(entries) << entries.error().text;
    return entries.value_or(std::vector<ConflictEntry>());
  }

  Site here_, there_;
};

// A counter has siblings, which a schema change brings to the table's new shape.
TEST_P(SchemaEffects, NoTriggerFires) {
  ConflictRules rules;
  for (const char* name : {"t", "u"}) {
    rules.tables[name].columns["hits"].kind = PolicyKind::kCounter;
  }
  open_both(rules,
            {sql("CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, note TEXT, hits INT, touched "
                 "INT DEFAULT 0)"),
             sql("CREATE TRIGGER touch AFTER UPDATE OF note ON t BEGIN UPDATE t SET touched = "
                 "touched + 1 WHERE k = NEW.k; END"),
             sql("INSERT INTO t VALUES ('a', 'n', 1, 0)")});
  for (Site* site : {&here_, &there_}) commit(*site, run({sql("UPDATE t SET hits = hits + 1")}));
  settle({&here_, &there_});
  for (const char* change : {"ALTER TABLE t RENAME COLUMN note TO remark",
                             "ALTER TABLE t ADD COLUMN more INT", "ALTER TABLE t DROP COLUMN more",
                             "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t"}) {
    SCOPED_TRACE(change);
    commit(here_, run({sql(change)}));
    settle({&here_, &there_});
    for (Site* site : {&here_, &there_}) {
      const auto rows = table(*site, std::string(change).ends_with("TO u") ? "u" : "t");
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_EQ(rows.begin()->second.at("touched"), Value(int64_t{0})) << site->options.dc;
      EXPECT_EQ(rows.begin()->second.at("hits"), Value(int64_t{3})) << site->options.dc;
    }
  }
}

// P2: what lost is found under the name that its column has.
TEST_P(SchemaEffects, LosersAreListedUnderTheNamesOfToday) {
  open_both(rules(PolicyKind::kLww, Granularity::kColumn),
            {sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT)"),
             sql("INSERT INTO t VALUES (1, 0, 0)")});
  commit(here_, run({sql("UPDATE t SET a = 1, b = 10")}));
  there_.now += 10;
  commit(there_, run({sql("UPDATE t SET a = 2, b = 20")}));
  ship(there_, here_);
  // One hears of the loser before, the other one after the columns have each other's names.
  for (const char* change : {"a TO x", "b TO a", "x TO b"}) {
    commit(here_, run({sql(std::string("ALTER TABLE t RENAME COLUMN ") + change)}));
  }
  expect_shown("t", {{"id", int64_t{1}}, {"b", int64_t{2}}, {"a", int64_t{20}}});
  for (Site* site : {&here_, &there_}) {
    std::map<std::string, Row> lost;
    for (const auto& entry : listed(*site, ConflictQuery::State::kResolved)) {
      ASSERT_EQ(entry.losers.size(), 1u);
      lost[entry.group] = entry.losers[0].row.value_or(Row{});
    }
    const std::map<std::string, Row> expected = {{"b", {{"b", int64_t{1}}}},
                                                 {"a", {{"a", int64_t{10}}}}};
    EXPECT_EQ(lost, expected) << site->options.dc;
  }
}

TEST_P(SchemaEffects, OpenConflictsAreListedUnderTheNamesOfToday) {
  open_both(
      rules(PolicyKind::kSiblings, Granularity::kColumn),
      {sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)"), sql("INSERT INTO t VALUES (1, 0)")});
  for (Site* site : {&here_, &there_}) {
    commit(*site, run({sql("UPDATE t SET a = 1 + length('" + site->options.dc + "')" +
                           (site == &here_ ? "" : " + 1"))}));
  }
  settle({&here_, &there_});
  commit(here_, run({sql("ALTER TABLE t RENAME COLUMN a TO b")}));
  settle({&here_, &there_});
  for (Site* site : {&here_, &there_}) {
    const auto open = listed(*site, ConflictQuery::State::kOpen);
    ASSERT_EQ(open.size(), 1u) << site->options.dc;
    EXPECT_EQ(open[0].group, "b");
    ASSERT_EQ(open[0].losers.size(), 1u);
    EXPECT_TRUE(open[0].losers[0].row->contains("b"));
  }
}

// The rows that a dropped table leaves, until a tool's copy takes its place, are nobody's children.
TEST_P(SchemaEffects, ATableThatIsGoneHoldsNoParent) {
  open_both({}, {sql("CREATE TABLE p (id INTEGER PRIMARY KEY)"),
                 sql("CREATE TABLE c (id TEXT PRIMARY KEY, p INT REFERENCES p, up TEXT REFERENCES "
                     "c (id) DEFERRABLE INITIALLY DEFERRED)"),
                 sql("INSERT INTO p VALUES (1), (2)"), sql("INSERT INTO c VALUES ('x', 1, 'x')")});
  for (const char* step : {"CREATE TABLE saved (id TEXT PRIMARY KEY, p INT, up TEXT)",
                           "INSERT INTO saved SELECT * FROM c", "DROP TABLE c"}) {
    commit(here_, run({sql(step)}));
  }
  settle({&here_, &there_});
  for (Site* site : {&here_, &there_}) {
    commit(*site, run({sql("DELETE FROM p WHERE id = " + site->options.dc.substr(2))}));
  }
  commit(here_, run({sql("CREATE TABLE c (id TEXT PRIMARY KEY, p INT REFERENCES p, up TEXT "
                         "REFERENCES c (id) DEFERRABLE INITIALLY DEFERRED)"),
                     sql("INSERT INTO c VALUES ('y', NULL, 'y')"), sql("DROP TABLE saved")}));
  expect_shown("c", {{"id", std::string("y")}, {"p", Null{}}, {"up", std::string("y")}});
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, SchemaEffects, testing::ValuesIn(sql_adapters()), kName);

}  // namespace
}  // namespace entente::contract
