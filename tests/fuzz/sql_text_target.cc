// SQL as the gateway and the SQLite adapter look at it before SQLite does.

#include "adapters/sqlite/sql_text.h"

#include "gateway/server/sql_text.h"
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
  MUST(sqlite::unquoted(sqlite::quote_name(sql)) == sql);
}

void run(std::string_view sql) {
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
