// A statement that fails inside a transaction that goes on: what SQLite keeps of it is what
// everybody gets (P1).

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

class FailedStatements : public DatabaseContract {
 protected:
  void SetUp() override {
    DatabaseContract::SetUp();
    here_ = open(1);
    there_ = open(2);
  }

  // In one transaction, each of which may fail; they end as `errors` say.
  void commit_each(const std::vector<const char*>& statements, const std::vector<bool>& fails) {
    std::vector<bool> failed;
    commit(here_, [&](WriteSession& session) -> Result<void> {
      for (const char* text : statements) {
        Statement s = sql(text);
        s.alone = false;
        failed.push_back(!session.execute(s));
      }
      return {};
    });
    EXPECT_EQ(failed, fails);
    settle({&here_, &there_});
  }

  void expect_ids(const std::string& table, const std::vector<int64_t>& ids) {
    for (Site* site : {&here_, &there_}) {
      std::vector<int64_t> shown;
      for (const auto& [key, row] : this->table(*site, table)) {
        shown.push_back(std::get<int64_t>(row.at("id")));
      }
      EXPECT_EQ(shown, ids) << table << " at " << site->options.dc;
    }
  }

  Site here_, there_;
};

TEST_P(FailedStatements, LeaveNothingThoughAForeignKeyActed) {
  commit(here_,
         run({sql("CREATE TABLE p (id INTEGER PRIMARY KEY)"),
              sql("CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, up INT REFERENCES p)"),
              sql("CREATE TABLE c (id INTEGER PRIMARY KEY, t INT REFERENCES t ON DELETE SET "
                  "NULL)"),
              sql("INSERT INTO t VALUES (1, 'old', NULL)"), sql("INSERT INTO c VALUES (1, 1)")}));
  commit_each({"INSERT OR REPLACE INTO t VALUES (1, 'new', 7)", "INSERT INTO p VALUES (1)"},
              {true, false});
  for (Site* site : {&here_, &there_}) {
    EXPECT_EQ(column(read(*site, "t", int64_t{1}), "note"), Value(std::string("old")));
    EXPECT_EQ(column(read(*site, "c", int64_t{1}), "t"), Value(int64_t{1}));
  }
}

TEST_P(FailedStatements, LeaveNothingThoughATriggerFired) {
  commit(here_, run({sql("CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id < 10))"),
                     sql("CREATE TABLE told (id INTEGER PRIMARY KEY)"),
                     sql("CREATE TRIGGER tell AFTER INSERT ON t BEGIN INSERT INTO told VALUES "
                         "(NEW.id); END")}));
  commit_each({"INSERT INTO t VALUES (1), (20)", "INSERT INTO t VALUES (2)"}, {true, false});
  expect_ids("t", {2});
  expect_ids("told", {2});
}

TEST_P(FailedStatements, LeaveWhatFAILLeaves) {
  commit(here_, run({sql("CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id < 10))"),
                     sql("CREATE TABLE told (id INTEGER PRIMARY KEY)"),
                     sql("CREATE TRIGGER tell BEFORE INSERT ON t BEGIN INSERT INTO told VALUES "
                         "(NEW.id); END")}));
  commit_each({"INSERT OR FAIL INTO t VALUES (1), (20), (3)", "INSERT OR FAIL INTO t VALUES (30)",
               "INSERT INTO t VALUES (2)"},
              {true, true, false});
  expect_ids("t", {1, 2});
  expect_ids("told", {1, 2, 20, 30});
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, FailedStatements, testing::ValuesIn(sql_adapters()), kName);

}  // namespace
}  // namespace entente::contract
