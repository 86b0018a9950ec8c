#pragma once

#include <map>
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

// CREATE, ALTER and DROP of what replicates, and PRAGMA user_version = …. Names as the words have
// them, without quotes.
struct SchemaStatement {
  enum class Verb { kCreate, kAlter, kDrop } verb = Verb::kCreate;
  enum class Object { kTable, kIndex, kView, kTrigger, kUserVersion } object = Object::kTable;
  bool temporary = false;
  bool if_exists = false;
  std::string schema;           // that the name is qualified with, in lower case; "" for none
  std::string name;             // the object's
  bool renames_table = false;   // ALTER TABLE … RENAME TO …
  bool renames_column = false;  // ALTER TABLE … RENAME [COLUMN] … TO …
};
std::optional<SchemaStatement> schema_statement_of(const std::vector<std::string>& words);

// The table of CREATE INDEX; "" if it is another statement.
std::string indexed_table(const std::vector<std::string>& words);
// What CREATE INDEX names behind its table: columns, and maybe more than them.
std::vector<std::string> names_in_index(const std::vector<std::string>& words);
// What the generated columns of CREATE TABLE name, by their own names in lower case: columns, and
// maybe more than them.
using GeneratedColumns = std::map<std::string, std::vector<std::string>>;
GeneratedColumns generated_columns(const std::vector<std::string>& words);

// INSERT INTO a table SELECT … FROM another.
struct CopyStatement {
  std::string into, from;
};
std::optional<CopyStatement> copy_statement_of(const std::vector<std::string>& words);

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

// A name in it that belongs to the gateway, as a name or as a text that SQLite would take for one.
std::optional<std::string> reserved_name_in(const std::vector<std::string>& words);

// What a CHECK calls that does not give the same at every datacenter and time: random(),
// last_insert_rowid(), CURRENT_TIME and the like.
std::optional<std::string> changing_check_in(const std::vector<std::string>& words);

// Names that belong to the gateway.
bool is_reserved(std::string_view name);

// "name", with quotes inside doubled.
std::string quote_name(std::string_view name);
std::string lower(std::string_view name);

}  // namespace entente::sqlite
