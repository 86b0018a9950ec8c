#include "gateway/server/schema_file.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

using Statements = std::vector<std::string>;

TEST(SchemaFile, StatementsEndAtSemicolons) {
  EXPECT_EQ(split_statements("CREATE TABLE a(x);\n\n CREATE TABLE b(y) ; "),
            (Statements{"CREATE TABLE a(x)", "CREATE TABLE b(y)"}));
  EXPECT_EQ(split_statements("SELECT 1"), (Statements{"SELECT 1"}));
  EXPECT_EQ(split_statements(" ;; \n;"), Statements{});
  EXPECT_EQ(split_statements(""), Statements{});
}

TEST(SchemaFile, SemicolonsInQuotesAndCommentsDoNotCount) {
  EXPECT_EQ(split_statements("INSERT INTO t VALUES('a;b''c;d', \"e;f\", `g;h`, [i;j]);x"),
            (Statements{"INSERT INTO t VALUES('a;b''c;d', \"e;f\", `g;h`, [i;j])", "x"}));
  EXPECT_EQ(split_statements("-- first; comment\nSELECT 1 -- in; it\n; /* last; */"),
            (Statements{"SELECT 1 -- in; it"}));
  EXPECT_EQ(split_statements("SELECT /* a; */ 1; SELECT 2"),
            (Statements{"SELECT /* a; */ 1", "SELECT 2"}));
}

TEST(SchemaFile, ATriggerEndsWithItsEnd) {
  const std::string trigger =
      "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n"
      "  UPDATE b SET n = CASE WHEN n > 1 THEN 2 ELSE 3 END;\n"
      "  DELETE FROM c;\nEND";
  EXPECT_EQ(split_statements(trigger + ";\nSELECT 1;"), (Statements{trigger, "SELECT 1"}));
  EXPECT_EQ(split_statements("create trigger t after insert on a begin select 1; end; x"),
            (Statements{"create trigger t after insert on a begin select 1; end", "x"}));
}

TEST(SchemaFile, OnlyATriggerHasABody) {
  EXPECT_EQ(split_statements("CREATE TABLE trigger(x); SELECT 1"),
            (Statements{"CREATE TABLE trigger(x)", "SELECT 1"}));
  EXPECT_EQ(split_statements("BEGIN; SELECT 1; END; SELECT 2"),
            (Statements{"BEGIN", "SELECT 1", "END", "SELECT 2"}));
}

TEST(SchemaFile, WhatIsNeverClosedIsOneStatement) {
  EXPECT_EQ(split_statements("SELECT 'a;b"), (Statements{"SELECT 'a;b"}));
  EXPECT_EQ(split_statements("SELECT 1 /* a;"), (Statements{"SELECT 1 /* a;"}));
  EXPECT_EQ(split_statements("CREATE TRIGGER t BEGIN SELECT 1;"),
            (Statements{"CREATE TRIGGER t BEGIN SELECT 1;"}));
}

}  // namespace
}  // namespace entente
