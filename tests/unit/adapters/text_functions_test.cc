#include "adapters/sqlite/text_functions.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/support/process.h"

namespace entente::sqlite {
namespace {

using Bound = std::vector<std::string>;

class TextFunctions : public ::testing::Test {
 protected:
  TextFunctions() { install_text_functions(ours_); }

  // What `sql` answers, with its type; `blobs` says which arguments are blobs.
  std::string answer(Connection& db, const std::string& sql, const Bound& bound, unsigned blobs) {
    auto q = db.prepare("SELECT r, typeof(r) FROM (SELECT " + sql + " AS r)");
    EXPECT_TRUE(q) << sql;
    for (size_t i = 0; i < bound.size(); ++i) {
      const int at = static_cast<int>(i) + 1;
      if ((blobs >> i & 1) != 0) {
        q->bind(at, Bytes{bound[i]});
      } else {
        q->bind(at, Text{bound[i]});
      }
    }
    const auto row = q->step();
    if (!row) return "error: " + row.error().tag;
    return std::string(q->bytes(0)) + " " + std::string(q->bytes(1));
  }

  entente::testing::TemporaryFolder folder_;
  Connection plain_ = *Connection::open(folder_.path() / "a.db", Connection::Kind::kWrite);
  Connection ours_ = *Connection::open(folder_.path() / "b.db", Connection::Kind::kWrite);
};

TEST_F(TextFunctions, AnswerWhatSqliteAnswers) {
  static const std::vector<std::string> kPieces = {
      "a", "b", "ab", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc3", "\x80", "\xa9"};
  std::mt19937 random(1);
  const auto text = [&](size_t most) {
    std::string out;
    for (size_t n = random() % (most + 1); n > 0; --n) out += kPieces[random() % kPieces.size()];
    return out;
  };
  for (int i = 0; i < 4'000; ++i) {
    const Bound bound = {text(12), text(3), text(3)};
    const auto blobs = static_cast<unsigned>(random() % 8);
    for (const char* sql : {"instr(?1, ?2)", "replace(?1, ?2, ?3)", "trim(?1, ?2)", "ltrim(?1, ?2)",
                            "rtrim(?1, ?2)", "trim(?1)", "ltrim(?1)", "rtrim(?1)"}) {
      ASSERT_EQ(answer(ours_, std::string(sql) + " || ''", bound, blobs),
                answer(plain_, std::string(sql) + " || ''", bound, blobs))
          << sql << " of a text of " << bound[0].size() << " bytes, round " << i;
    }
  }
}

TEST_F(TextFunctions, NullsAndNumbersAreWhatTheyAreInSqlite) {
  for (const char* sql :
       {"instr(NULL, 'a')", "instr('a', NULL)", "instr(123, 2)", "replace(NULL, 1, 2)",
        "replace(121, 1, 9)", "replace('a', '', 'b')", "replace(12, '', 'b')", "trim(NULL)",
        "trim('a', NULL)", "trim(121, 1)", "instr(x'', x'')", "instr('', '')", "rtrim(1.50, 0)"}) {
    EXPECT_EQ(answer(ours_, sql, {}, 0), answer(plain_, sql, {}, 0)) << sql;
  }
}

// SQLite's own would take hours.
TEST_F(TextFunctions, LongTextsAreSearchedInLinearTime) {
  const std::string text(8 << 20, 'a'), part = std::string(2 << 20, 'a') + "b";
  for (const char* sql : {"instr(?1, ?2)", "length(replace(?1, ?2, ?2))", "length(trim(?1, ?2))"}) {
    const auto began = std::chrono::steady_clock::now();
    answer(ours_, sql, {text, part}, 0);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10)) << sql;
  }
}

}  // namespace
}  // namespace entente::sqlite
