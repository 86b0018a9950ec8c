#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entente::sqlite {

// SQL as words: unquoted words in upper case, other tokens as they are, comments and blanks gone.
// Good for recognising statements before SQLite compiles them; it is not a parser.
struct SqlWord {
  std::string text;
  size_t begin = 0, end = 0;  // in the SQL
};
std::vector<SqlWord> placed_words_of(std::string_view sql);
std::vector<std::string> words_of(std::string_view sql);
// A name without its quotes.
std::string unquoted(std::string_view name);

enum class StatementKind {
  kEmpty,
  kTransactionControl,  // BEGIN, COMMIT, ROLLBACK
  kSavepoint,           // SAVEPOINT, RELEASE, ROLLBACK TO
  kCreateTable,
  kCreateIndex,
  kOtherSchema,  // ALTER, DROP, views, triggers, virtual tables, ANALYZE, VACUUM, REINDEX
  kOther,        // reads and writes, and what SQLite will refuse
};
StatementKind kind_of(const std::vector<std::string>& words);

struct SavepointControl {
  enum class Kind { kOpen, kRelease, kRollbackTo } kind = Kind::kOpen;
  std::string name;  // in lower case
};
std::optional<SavepointControl> savepoint_of(const std::vector<std::string>& words);

// CREATE TABLE … AS SELECT, CREATE TEMP TABLE.
bool creates_from_select(const std::vector<std::string>& words);
bool creates_temporary(const std::vector<std::string>& words);

// Says OR ROLLBACK or ON CONFLICT ROLLBACK: failing, it would undo its neighbours' work.
bool rolls_back(const std::vector<std::string>& words);
bool contains(const std::vector<std::string>& words, std::string_view word);

// "name", with quotes inside doubled.
std::string quote_name(std::string_view name);
std::string lower(std::string_view name);

}  // namespace entente::sqlite
