#pragma once

#include <cstddef>
#include <string_view>

namespace entente {

// SQL cut into tokens exactly where SQLite's own tokenizer cuts it. Good for recognizing statements
// before SQLite compiles them; it is not a parser.
//
// Threads: any. Ownership: tokens point into the text. Source: sqlite3GetToken() of SQLite 3.40;
// `tests/fuzz/sql_text_target.cc` asks SQLite where each token ends.
struct SqlToken {
  enum class Kind {
    kEnd,
    kWord,       // a keyword or a name without quotes
    kName,       // "…", `…` or […]
    kText,       // '…'
    kBlob,       // x'…'
    kNumber,     //
    kParameter,  // ?1, :name, @name, $name, #1
    kSymbol,     //
    kIllegal,    // SQLite refuses a statement that holds one
  } kind = Kind::kEnd;
  std::string_view text;
  size_t begin = 0, end = 0;  // in the SQL
};

// The first token at or after `at`, past blanks, comments and byte order marks.
SqlToken next_sql_token(std::string_view sql, size_t at);

// Where the blanks, comments and byte order marks at `at` end.
size_t skip_sql_blanks(std::string_view sql, size_t at);

}  // namespace entente
