#include "gateway/api/sql/sql_text.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using Texts = std::vector<std::string_view>;

TEST(SqlText, TransactionControlIsRecognised) {
  EXPECT_EQ(control_of("BEGIN"), SqlControl::kBegin);
  EXPECT_EQ(control_of(" -- c\n/* d */ begin immediate;"), SqlControl::kBegin);
  EXPECT_EQ(control_of("BEGIN DEFERRED TRANSACTION"), SqlControl::kBegin);
  EXPECT_EQ(control_of("BEGIN EXCLUSIVE TRANSACTION name"), SqlControl::kBegin);
  EXPECT_EQ(control_of("BEGIN TRANSACTION READONLY"), SqlControl::kBeginReadonly);
  EXPECT_EQ(control_of("BEGIN READONLY"), SqlControl::kBeginReadonly);
  EXPECT_EQ(control_of("COMMIT"), SqlControl::kCommit);
  EXPECT_EQ(control_of("END TRANSACTION;"), SqlControl::kCommit);
  EXPECT_EQ(control_of("ROLLBACK"), SqlControl::kRollback);
  EXPECT_EQ(control_of("PRAGMA foreign_keys=off"), SqlControl::kForeignKeysOff);
  EXPECT_EQ(control_of("PRAGMA foreign_keys = ON;"), SqlControl::kForeignKeysOn);
  EXPECT_EQ(control_of("begin concurrent"), SqlControl::kBegin);
  for (const auto sql : {"savepoint s;", "RELEASE s", "RELEASE SAVEPOINT s", "ROLLBACK TO s",
                         "ROLLBACK TRANSACTION TO SAVEPOINT \"s\""}) {
    EXPECT_EQ(control_of(sql), SqlControl::kSavepoint) << sql;
  }
}

TEST(SqlText, WhatOnlyResemblesControlIsNone) {
  for (const auto sql : {"", ";", "BEGIN nonsense", "BEGIN; SELECT 1", "COMMIT AND",
                         "SELECT 'BEGIN'", "BEGINS", "PRAGMA foreign_key_list(t)", "\"BEGIN\""}) {
    EXPECT_EQ(control_of(sql), SqlControl::kNone) << sql;
  }
}

TEST(SqlText, ForeignKeysAreAskedForOrSwitched) {
  EXPECT_EQ(control_of("PRAGMA foreign_keys;"), SqlControl::kForeignKeysAsked);
  EXPECT_EQ(control_of("pragma foreign_keys = off"), SqlControl::kForeignKeysOff);
  EXPECT_EQ(control_of("PRAGMA foreign_keys=1"), SqlControl::kForeignKeysOn);
}

TEST(SqlText, TheVersionOfTheSchemaIsAPartOfIt) {
  for (const auto sql :
       {"PRAGMA user_version = 7", "pragma main.user_version=-1", "PRAGMA user_version(3);"}) {
    EXPECT_TRUE(changes_schema(sql)) << sql;
  }
  for (const auto sql : {"PRAGMA user_version", "PRAGMA main.user_version", "PRAGMA x = 1"}) {
    EXPECT_FALSE(changes_schema(sql)) << sql;
  }
}

TEST(SqlText, SchemaChangesAreRecognisedByTheirFirstWord) {
  EXPECT_TRUE(changes_schema("create table t (id)"));
  EXPECT_TRUE(changes_schema("/* x */ -- y\n ALTER TABLE t ADD c"));
  EXPECT_TRUE(changes_schema("DROP INDEX i"));
  for (const auto sql : {"", "INSERT INTO t VALUES ('CREATE')", "EXPLAIN CREATE TABLE t (id)",
                         "CREATED", "\"DROP\"", "-- CREATE"}) {
    EXPECT_FALSE(changes_schema(sql)) << sql;
  }
}

TEST(SqlText, ATableThatIsMadeIfItIsAbsentIsNamed) {
  EXPECT_EQ(table_if_absent("create table if not exists t(id)"), "t");
  EXPECT_EQ(table_if_absent("CREATE TABLE IF NOT EXISTS /* x */ \"a b\" (id)"), "a b");
  EXPECT_EQ(table_if_absent("CREATE TABLE IF NOT EXISTS `m` (id)"), "m");
  for (const auto sql :
       {"CREATE TABLE t (id)", "CREATE INDEX IF NOT EXISTS i ON t (id)",
        "CREATE TABLE IF NOT EXISTS main.t (id)", "CREATE TABLE IF NOT EXISTS",
        "CREATE TEMP TABLE IF NOT EXISTS t (id)", "CREATE TABLE IF NOT EXISTS t AS SELECT 1"}) {
    EXPECT_EQ(table_if_absent(sql), "") << sql;
  }
}

TEST(SqlText, ReadersAreTriedForStatementsThatMayOnlyRead) {
  EXPECT_TRUE(may_only_read("/* x */ select 1"));
  EXPECT_TRUE(may_only_read("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a"));
  EXPECT_FALSE(may_only_read("INSERT INTO t VALUES (1)"));
  EXPECT_FALSE(may_only_read("-- SELECT"));
}

TEST(SqlText, ScriptIsSplitAtSemicolonsOutsideTexts) {
  EXPECT_EQ(split_statements("a; b"), (Texts{"a", "b"}));
  EXPECT_EQ(split_statements(";; a ;-- end;\n"), (Texts{"a "}));
  EXPECT_EQ(split_statements("x ';' \"a;\"\"b\" [;] `;` /* ; */ y;z").size(), 2u);
  EXPECT_EQ(split_statements("'never closed; a").size(), 1u);
  EXPECT_EQ(split_statements(""), Texts{});
}

TEST(SqlText, TriggerEndsAfterItsEnd) {
  const auto parts = split_statements(
      "CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; "
      "DELETE FROM t; END; SELECT 1");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_TRUE(parts[0].ends_with("; END"));
}

TEST(SqlTextScript, TextsEndAtSemicolons) {
  EXPECT_EQ(split_statements("CREATE TABLE a(x);\n\n CREATE TABLE b(y) ; "),
            (Texts{"CREATE TABLE a(x)", "CREATE TABLE b(y) "}));
  EXPECT_EQ(split_statements("SELECT 1"), (Texts{"SELECT 1"}));
  EXPECT_EQ(split_statements(" ;; \n;"), Texts{});
  EXPECT_EQ(split_statements(""), Texts{});
}

TEST(SqlTextScript, SemicolonsInQuotesAndCommentsDoNotCount) {
  EXPECT_EQ(split_statements("INSERT INTO t VALUES('a;b''c;d', \"e;f\", `g;h`, [i;j]);x"),
            (Texts{"INSERT INTO t VALUES('a;b''c;d', \"e;f\", `g;h`, [i;j])", "x"}));
  EXPECT_EQ(split_statements("-- first; comment\nSELECT 1 -- in; it\n; /* last; */"),
            (Texts{"SELECT 1 -- in; it\n"}));
  EXPECT_EQ(split_statements("SELECT /* a; */ 1; SELECT 2"),
            (Texts{"SELECT /* a; */ 1", "SELECT 2"}));
}

TEST(SqlTextScript, ATriggerEndsWithItsEnd) {
  const std::string trigger =
      "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n"
      "  UPDATE b SET n = CASE WHEN n > 1 THEN 2 ELSE 3 END;\n"
      "  DELETE FROM c;\nEND";
  EXPECT_EQ(split_statements(trigger + ";\nSELECT 1;"),
            (Texts{std::string_view(trigger), "SELECT 1"}));
  EXPECT_EQ(split_statements("create trigger t after insert on a begin select 1; end; x"),
            (Texts{"create trigger t after insert on a begin select 1; end", "x"}));
}

TEST(SqlTextScript, OnlyATriggerHasABody) {
  EXPECT_EQ(split_statements("CREATE TABLE trigger(x); SELECT 1"),
            (Texts{"CREATE TABLE trigger(x)", "SELECT 1"}));
  EXPECT_EQ(split_statements("BEGIN; SELECT 1; END; SELECT 2"),
            (Texts{"BEGIN", "SELECT 1", "END", "SELECT 2"}));
}

TEST(SqlTextScript, WhatIsNeverClosedIsOneStatement) {
  EXPECT_EQ(split_statements("SELECT 'a;b"), (Texts{"SELECT 'a;b"}));
  EXPECT_EQ(split_statements("SELECT 1 /* a;"), (Texts{"SELECT 1 /* a;"}));
  EXPECT_EQ(split_statements("CREATE TRIGGER t BEGIN SELECT 1;"),
            (Texts{"CREATE TRIGGER t BEGIN SELECT 1;"}));
}

}  // namespace
}  // namespace entente
