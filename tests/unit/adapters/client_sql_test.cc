// Statements that a connection has compiled, while the schema changes under it: each answers what a
// connection that was opened a moment ago answers.

#include "adapters/sqlite/client_sql.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

// What a statement says: its columns, with their declared types, and its rows; or its error.
struct Answer {
  std::string error;
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;
  friend bool operator==(const Answer&, const Answer&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Answer& a) {
    out << a.error;
    for (const auto& c : a.columns) out << ' ' << c;
    for (const auto& row : a.rows) {
      out << "\n ";
      for (const auto& v : row) out << ' ' << describe(v);
    }
    return out;
  }
};

Answer answer_of(const Result<StatementResult>& result) {
  if (!result) return {result.error().text, {}, {}};
  Answer out{{}, {}, result->rows};
  for (const auto& c : result->columns)
    out.columns.push_back(c.name + ":" + c.decltype_.value_or(""));
  return out;
}

class StaleStatements : public ::testing::Test {
 protected:
  StaleStatements() : a_(folder_ / "a.db", 1), b_(folder_ / "b.db", 2) {
    must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    must("CREATE TABLE other (id INTEGER PRIMARY KEY)");
    must("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
  }

  void must(const std::string& sql) {
    a_.must(sql);
    settle(a_, b_);
  }
  // Several statements at the leader, as one transaction.
  bool change(const std::vector<std::string>& script) {
    const bool done = a_.transaction([&](WriteSession& s) -> Result<void> {
                          for (const auto& sql : script) {
                            Statement statement;
                            statement.sql = sql;
                            if (auto r = s.execute(statement); !r) return tl::unexpected(r.error());
                          }
                          return {};
                        }).has_value();
    settle(a_, b_);
    return done;
  }

  // A connection of its own, opened for this.
  static Answer fresh(const Site& site, const std::string& sql) {
    auto db = *sqlite::Connection::open(site.path, sqlite::Connection::Kind::kRead);
    auto q = db.prepare(sql);
    if (!q) return {q.error().text, {}, {}};
    Answer out;
    for (int i = 0; i < sqlite3_column_count(q->get()); ++i) {
      const char* type = sqlite3_column_decltype(q->get(), i);
      out.columns.push_back(std::string(sqlite3_column_name(q->get(), i)) + ":" +
                            (type != nullptr ? type : ""));
    }
    if (sqlite3_stmt_readonly(q->get()) == 0) return out;
    for (auto row = q->step(); row && *row; row = q->step()) {
      auto& values = out.rows.emplace_back();
      for (size_t i = 0; i < out.columns.size(); ++i)
        values.push_back(q->value(static_cast<int>(i)));
    }
    return out;
  }

  void expect_read(Site& site, const std::string& sql) {
    Statement statement;
    statement.sql = sql;
    const Answer want = fresh(site, sql);
    EXPECT_EQ(answer_of(site.reader->execute(statement)), want) << sql;
    EXPECT_EQ(answer_of(site.run(statement)), want) << "in a transaction: " << sql;
    const auto described = site.reader->describe(statement);
    EXPECT_EQ(described.has_value(), want.error.empty()) << sql;
    if (!described) return;
    Answer columns = answer_of(StatementResult{described->columns, want.rows, 0, {}});
    EXPECT_EQ(columns, want) << "described: " << sql;
  }

  // Writes are undone: what comes before that is compared.
  void expect_write(Site& site, const std::string& sql) {
    Statement statement;
    statement.sql = sql;
    Answer got;
    site.transaction([&](WriteSession& s) -> Result<void> {
      got = answer_of(s.execute(statement));
      got.rows.clear();
      return fail(Code::kRefused, "");
    });
    EXPECT_EQ(got, fresh(site, sql)) << sql;
  }

  void random_change(std::mt19937_64& rng) {
    const std::string n = std::to_string(rng() % 4);
    switch (rng() % 7) {
      case 0:
        change({"ALTER TABLE t ADD COLUMN c" + n + " TEXT DEFAULT 'new'"});
        break;
      case 1:
        change({"ALTER TABLE t DROP COLUMN c" + n});
        break;
      case 2:
        change({"ALTER TABLE t RENAME COLUMN c" + n + " TO c" + std::to_string(rng() % 4)});
        break;
      case 3:
        change({"CREATE INDEX i" + n + " ON t (v)"});
        break;
      case 4:
        change({"DROP INDEX i" + n});
        break;
      case 5:  // made anew, with its columns in another order
        change({"CREATE TABLE made (c" + n + " INT, v TEXT, id INTEGER PRIMARY KEY)",
                "INSERT INTO made (v, id) SELECT v, id FROM t", "DROP TABLE t",
                "ALTER TABLE made RENAME TO t"});
        break;
      default:
        change({"ALTER TABLE t RENAME TO was", "ALTER TABLE other RENAME TO t",
                "ALTER TABLE was RENAME TO other"});
    }
  }

  Folder folder_;
  Site a_, b_;
};

TEST_F(StaleStatements, AnswerAsAFreshConnectionDoes) {
  std::vector<std::string> reads = {
      "SELECT * FROM t",           "SELECT * FROM other",
      "SELECT v FROM t",           "SELECT c1 FROM t",
      "PRAGMA table_info(t)",      "PRAGMA index_list(t)",
      "SELECT t.*, 1 AS x FROM t", "SELECT count(*) FROM t",
      "PRAGMA index_info(i1)",     "SELECT name FROM pragma_table_xinfo('t')"};
  std::vector<std::string> writes = {"INSERT INTO other VALUES (91)",
                                     "INSERT INTO t VALUES (92, 96)",
                                     "INSERT INTO t VALUES (93, 97, 98)",
                                     "INSERT INTO t VALUES (94, 99, 100, 101)",
                                     "INSERT INTO t (id, v) VALUES (95, 'x') RETURNING *",
                                     "UPDATE t SET v = 'x' RETURNING *",
                                     "DELETE FROM t WHERE id = 1 RETURNING *"};
  std::mt19937_64 rng(7);
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    random_change(rng);
    SCOPED_TRACE("after change " + std::to_string(i));
    for (Site* site : {&b_, &a_}) {
      std::shuffle(writes.begin(), writes.end(), rng);
      std::shuffle(reads.begin(), reads.end(), rng);
      for (const auto& sql : writes) expect_write(*site, sql);
      for (const auto& sql : reads) expect_read(*site, sql);
    }
  }
}

// Nothing else has made that connection look: the row API's statements name their columns.
TEST_F(StaleStatements, AFollowersFirstInsertSeesTheColumnThatCame) {
  b_.must("INSERT INTO t VALUES (3, 'three')");
  must("ALTER TABLE t ADD COLUMN extra TEXT");
  b_.must("INSERT INTO t VALUES (4, 'four', 'more')");
  must("ALTER TABLE t DROP COLUMN v");
  b_.must("INSERT INTO t VALUES (5, 'more')");
  settle(a_, b_);
  expect_same(a_, b_, "t");
}

}  // namespace
}  // namespace entente
