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
  kSchema,              // a SchemaStatement
  kOtherSchema,         // virtual tables, ANALYZE, VACUUM, REINDEX
  kDeferredKeys,        // PRAGMA defer_foreign_keys = …
  kOther,               // reads and writes, and what SQLite will refuse
};
StatementKind kind_of(const std::vector<std::string>& words);

// CREATE, ALTER and DROP of what replicates. Names as the words have them, without quotes.
struct SchemaStatement {
  enum class Verb { kCreate, kAlter, kDrop } verb = Verb::kCreate;
  enum class Object { kTable, kIndex, kView, kTrigger } object = Object::kTable;
  bool temporary = false;
  std::string name;             // the object's
  bool renames_table = false;   // ALTER TABLE … RENAME TO …
  bool renames_column = false;  // ALTER TABLE … RENAME [COLUMN] … TO …
};
std::optional<SchemaStatement> schema_statement_of(const std::vector<std::string>& words);

// CREATE UNIQUE INDEX over plain columns of all rows.
struct UniqueIndex {
  std::string table;
  std::vector<std::string> columns;
};
std::optional<UniqueIndex> unique_index_of(const std::vector<std::string>& words);

// The table of CREATE [UNIQUE] INDEX.
std::optional<std::string> indexed_table_of(const std::vector<std::string>& words);

struct SavepointControl {
  enum class Kind { kOpen, kRelease, kRollbackTo } kind = Kind::kOpen;
  std::string name;  // in lower case
};
std::optional<SavepointControl> savepoint_of(const std::vector<std::string>& words);

// CREATE TABLE … AS SELECT.
bool creates_from_select(const std::vector<std::string>& words);

// True if the last word says so: `… = ON`, `(1)`.
bool turns_on(const std::vector<std::string>& words);

// Says OR ROLLBACK, ON CONFLICT ROLLBACK or RAISE(ROLLBACK: failing, it would undo its neighbours'
// work.
bool rolls_back(const std::vector<std::string>& words);
bool contains(const std::vector<std::string>& words, std::string_view word);

// "name", with quotes inside doubled.
std::string quote_name(std::string_view name);
std::string lower(std::string_view name);

}  // namespace entente::sqlite
