#include "adapters/sqlite/foreign_writes.h"

#include <gtest/gtest.h>

#include "tests/support/process.h"

namespace entente::sqlite {
namespace {

// Two connections of ours and one of somebody else.
class ForeignWritesTest : public ::testing::Test {
 protected:
  ForeignWritesTest() {
    for (auto* c : {&a_, &b_, &other_}) {
      *c = std::move(*Connection::open(folder_.path() / "x.db", Connection::Kind::kWrite));
    }
    write(a_, "CREATE TABLE t (v)");
    EXPECT_TRUE(writes_.begin());
  }

  static void write(Connection& c, const char* sql = "INSERT INTO t VALUES (1)") {
    ASSERT_TRUE(c.exec(sql));
  }
  bool after(Connection& c) { return writes_.after(c).value(); }

  testing::TemporaryFolder folder_;
  Connection a_, b_, other_;
  ForeignWrites writes_{a_, b_};
};

TEST_F(ForeignWritesTest, OursAreNot) {
  for (auto* c : {&a_, &a_, &b_, &b_, &a_, &b_, &a_}) {
    write(*c);
    EXPECT_FALSE(after(*c));
    EXPECT_FALSE(after(a_));
    EXPECT_FALSE(after(b_));
  }
}

TEST_F(ForeignWritesTest, AnybodyElsesIsBeforeOrAfterOurs) {
  for (auto* c : {&a_, &b_, &b_, &a_}) {
    write(other_);
    write(*c);
    EXPECT_TRUE(after(*c));
    write(*c);
    write(other_);
    EXPECT_TRUE(after(*c));
    write(c == &a_ ? b_ : a_);
    EXPECT_FALSE(after(c == &a_ ? b_ : a_));
    write(other_);
    EXPECT_TRUE(after(*c));
    EXPECT_FALSE(after(*c));
  }
}

TEST_F(ForeignWritesTest, WhatIsNotCommittedAndCheckpointsAreNot) {
  write(other_, "BEGIN IMMEDIATE");
  write(other_);
  write(other_, "ROLLBACK");
  write(a_);
  sqlite3_wal_checkpoint_v2(other_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  EXPECT_FALSE(after(a_));
  write(b_);
  EXPECT_FALSE(after(b_));
  write(a_);
  EXPECT_FALSE(after(a_));
}

}  // namespace
}  // namespace entente::sqlite
