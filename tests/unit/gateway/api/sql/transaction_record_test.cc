#include "gateway/api/sql/transaction_record.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

Statement statement(std::string sql) {
  Statement made;
  made.sql = std::move(sql);
  return made;
}

Result<StatementResult> affected(uint64_t rows) {
  StatementResult result;
  result.affected = rows;
  return result;
}

TEST(TransactionRecord, KeepsWritesSavepointsAndFailuresAndNoReads) {
  TransactionRecord record;
  record.add(statement("SELECT 1"), affected(0));
  record.add(statement("PRAGMA table_info(t)"), affected(0));
  record.add(statement("WITH a AS (SELECT 1) SELECT * FROM a"), affected(0));
  EXPECT_TRUE(record.statements().empty());
  record.add(statement("SAVEPOINT s"), affected(0));
  record.add(statement("UPDATE t SET n = 1"), affected(0));
  record.add(statement("WITH a AS (SELECT 1) DELETE FROM t"), affected(2));
  record.add(statement("INSERT INTO t VALUES (1)"), fail(Code::kConstraint, "taken"));
  EXPECT_EQ(record.statements().size(), 4u);
  EXPECT_TRUE(record.complete());
}

TEST(TransactionRecord, ComparesWhatItsClientSaw) {
  TransactionRecord record;
  record.add(statement("UPDATE t SET n = 1"), affected(2));
  record.add(statement("INSERT INTO t VALUES (1)"), fail(Code::kConstraint, "taken"));
  const Result<StatementResult> taken =
      fail(Code::kSql, "the same, in other words", "SQLITE_CONSTRAINT");
  const StepResults same{affected(0), affected(2), taken};
  EXPECT_TRUE(record.same(same, 1));
  EXPECT_FALSE(record.same({affected(0), affected(1), taken}, 1));
  EXPECT_FALSE(record.same({affected(0), affected(2), affected(1)}, 1));
  EXPECT_FALSE(record.same({affected(0), std::nullopt, taken}, 1));
}

TEST(TransactionRecord, ComparesTheNumberOfARowThatTheStatementMade) {
  const auto numbered = [](int64_t rowid) {
    StatementResult result;
    result.affected = 1;
    result.last_insert_rowid = rowid;
    result.counts = ConnectionCounts{rowid, 1, 1};
    return Result<StatementResult>(result);
  };
  TransactionRecord made, left;
  made.add(statement("INSERT INTO t (v) VALUES (1)"), numbered(7));
  EXPECT_TRUE(made.same({numbered(7)}, 0));
  EXPECT_FALSE(made.same({numbered(8)}, 0));
  Statement update = statement("UPDATE t SET v = 2");
  update.counts.last_insert_rowid = 7;  // of a row that the connection made before
  left.add(update, numbered(7));
  EXPECT_TRUE(left.same({numbered(0)}, 0));
}

TEST(TransactionRecord, PastItsBoundsItForgetsAndSaysSo) {
  TransactionRecord many, large;
  for (size_t i = 0; i <= TransactionRecord::kStatementsMax; ++i) {
    many.add(statement("DELETE FROM t"), affected(0));
  }
  EXPECT_FALSE(many.complete());
  EXPECT_TRUE(many.statements().empty());
  auto bulky = statement("INSERT INTO t VALUES (?)");
  bulky.args = {std::string(TransactionRecord::kBytesMax, 'x')};
  large.add(bulky, affected(1));
  EXPECT_FALSE(large.complete());
  large.add(statement("DELETE FROM t"), affected(1));
  EXPECT_TRUE(large.statements().empty());
}

}  // namespace
}  // namespace entente
