// SQL as the gateway and the SQLite adapter look at it before SQLite does, and SQLite's own view of
// where its tokens end.

#include "adapters/sqlite/sql_text.h"

#include <sqlite3.h>

#include "adapters/sql_tokens.h"
#include "gateway/api/sql/sql_text.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

void check_words(std::string_view sql) {
  size_t end = 0;
  for (const auto& word : sqlite::placed_words_of(sql)) {
    MUST(word.begin >= end && word.begin < word.end && word.end <= sql.size());
    end = word.end;
    sqlite::unquoted(word.text);
  }
  const auto words = sqlite::words_of(sql);
  const auto kind = sqlite::kind_of(words);
  const auto schema = sqlite::schema_statement_of(words);
  if (kind == sqlite::StatementKind::kSchema) MUST(schema);
  sqlite::indexed_table(words);
  sqlite::names_in_index(words);
  sqlite::generated_columns(words);
  sqlite::savepoint_of(words);
  sqlite::creates_from_select(words);
  sqlite::turns_on(words);
  sqlite::rolls_back(words);
  sqlite::reserved_name_in(words);
  sqlite::changing_check_in(words);
  MUST(sqlite::unquoted(sqlite::quote_name(sql)) == sql);
}

sqlite3* database() {
  static sqlite3* db = [] {
    sqlite3* opened = nullptr;
    MUST(sqlite3_open(":memory:", &opened) == SQLITE_OK);
    return opened;
  }();
  return db;
}

// What SQLite says of `rest` where no token but a semicolon may stand: it names the first one.
std::string said_of(std::string_view rest) {
  const std::string sql = "RELEASE a/**/" + std::string(rest);
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  sqlite3_finalize(statement);
  return code == SQLITE_OK ? "" : sqlite3_errmsg(database());
}

std::string expected_of(const SqlToken& token) {
  using Kind = SqlToken::Kind;
  const std::string text(token.text);
  if (token.kind == Kind::kEnd || text == ";") return "";
  if (token.kind == Kind::kIllegal) return "unrecognized token: \"" + text + "\"";
  return "near \"" + text + "\": syntax error";
}

// SQLite's tokens are ours.
void check_tokens(std::string_view sql) {
  constexpr size_t kLongest = 2000, kMost = 100;
  sql = sql.substr(0, std::min(sql.find('\0'), kLongest));
  size_t at = 0;
  for (size_t i = 0; i < kMost; ++i) {
    const auto token = next_sql_token(sql, at);
    MUST(said_of(sql.substr(at)) == expected_of(token));
    if (token.kind == SqlToken::Kind::kEnd) return;
    at = token.end;
  }
}

void run(std::string_view sql) {
  check_tokens(sql);
  check_words(sql);
  const char* end = sql.data();
  for (const auto statement : split_statements(sql)) {
    MUST(!statement.empty());
    MUST(statement.data() >= end && statement.data() + statement.size() <= sql.data() + sql.size());
    end = statement.data() + statement.size();
    control_of(statement);
    if (!table_if_absent(statement).empty()) MUST(changes_schema(statement));
    MUST(!(changes_schema(statement) && may_only_read(statement)));
    check_words(statement);
  }
  selects(sql);
}

const Registration registered({"sql_text", run});

}  // namespace
}  // namespace entente::fuzz
