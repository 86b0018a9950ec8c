#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entente {

// What the gateway must know of a statement before a database sees it: a tokenizer, no parser.

enum class SqlControl {
  kNone,
  kBegin,  // takes the writer, DEFERRED too
  kBeginReadonly,
  kCommit,
  kRollback,
  kSavepoint,      // sets, releases, or rolls back to one
  kForeignKeysOn,  // PRAGMA foreign_keys = …: schema tools send it around what they do
  kForeignKeysOff,
  kForeignKeysAsked,  // PRAGMA foreign_keys
};
// One statement that is nothing but transaction control.
SqlControl control_of(std::string_view sql);

// Its first word is one that queries start with (some statements that write do, too).
bool selects(std::string_view sql);
// Its first word is one that statements which only read start with (some that write do, too).
bool may_only_read(std::string_view sql);

// CREATE, ALTER, DROP or PRAGMA user_version = …: only the schema leader runs it.
bool changes_schema(std::string_view sql);
// What such a statement is about, for a log: `CREATE TABLE t`. Never more of it than names.
std::string schema_target(std::string_view sql);
// Which table a CREATE TABLE IF NOT EXISTS makes; "" for any other statement.
std::string table_if_absent(std::string_view sql);

// The statements of a script, without their semicolons, leading blanks and comments, and without
// empty ones. A CREATE TRIGGER ends after its END.
std::vector<std::string_view> split_statements(std::string_view sql);

}  // namespace entente
