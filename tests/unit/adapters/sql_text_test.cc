#include "adapters/sqlite/sql_text.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace entente::sqlite {
namespace {

using Names = std::vector<std::string>;

TEST(SqlText, IndexIsOfItsTableHoweverItIsMade) {
  EXPECT_EQ(indexed_table(words_of("create unique index if not exists main.i on \"T\" (a)")), "T");
  EXPECT_EQ(indexed_table(words_of("CREATE INDEX i ON t (a) WHERE b")), "T");
  EXPECT_EQ(indexed_table(words_of("CREATE TABLE t (a)")), "");
  EXPECT_EQ(indexed_table(words_of("CREATE UNIQUE INDEX i")), "");
}

TEST(SqlText, IndexNamesWhatItsExpressionsAndItsConditionName) {
  const auto names = [](const std::string& sql) { return names_in_index(words_of(sql)); };
  EXPECT_EQ(names("CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE, \"b\")"), (Names{"A", "b"}));
  EXPECT_EQ(names("CREATE INDEX i ON t (lower(a) || 'a', CAST(b AS c)) WHERE [c d] IS NULL"),
            (Names{"A", "B", "WHERE", "c d", "IS", "NULL"}));
}

TEST(SqlText, GeneratedColumnNamesWhatItIsComputedFrom) {
  const auto columns = generated_columns(
      words_of("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT CHECK (CAST(a AS b) > 1), "
               "\"G\" TEXT COLLATE NOCASE AS (lower(a) || coalesce(b, 'x')) UNIQUE, "
               "h INT GENERATED ALWAYS AS ((n)) STORED, CHECK (a <> b), UNIQUE (a, b))"));
  EXPECT_EQ(columns, (GeneratedColumns{{"g", {"A", "B"}}, {"h", {"N"}}}));
  EXPECT_TRUE(generated_columns(words_of("CREATE TABLE t (a, b AS (")).contains("b"));
  EXPECT_TRUE(generated_columns({}).empty());
}

}  // namespace
}  // namespace entente::sqlite
