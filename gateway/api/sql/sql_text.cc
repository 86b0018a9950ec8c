#include "gateway/api/sql/sql_text.h"

#include <algorithm>

#include "adapters/sql_tokens.h"

namespace entente {
namespace {

using Token = SqlToken;

bool is(const Token& token, std::string_view word) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  return token.text.size() == word.size() &&
         std::equal(token.text.begin(), token.text.end(), word.begin(),
                    [&](char a, char b) { return upper(a) == b; });
}

bool starts_with_one_of(std::string_view sql, std::initializer_list<std::string_view> words) {
  const auto first = next_sql_token(sql, 0);
  return std::any_of(words.begin(), words.end(), [&](auto word) { return is(first, word); });
}

// The tokens of one short statement; more than a control statement can have, or a second statement:
// nothing.
std::vector<Token> short_statement(std::string_view sql) {
  constexpr size_t kMax = 6;
  std::vector<Token> tokens;
  for (auto token = next_sql_token(sql, 0); token.kind != Token::Kind::kEnd;
       token = next_sql_token(sql, token.end)) {
    if (is(token, ";")) {
      return next_sql_token(sql, token.end).kind == Token::Kind::kEnd ? tokens
                                                                      : std::vector<Token>{};
    }
    if (tokens.size() == kMax) return {};
    tokens.push_back(token);
  }
  return tokens;
}

SqlControl begin_of(const std::vector<Token>& tokens) {
  size_t at = 1;
  const auto take = [&](std::string_view word) {
    return at < tokens.size() && is(tokens[at], word) && ++at > 0;
  };
  bool readonly = take("READONLY");
  const bool other = readonly || take("DEFERRED") || take("IMMEDIATE") || take("EXCLUSIVE");
  if (!other) take("CONCURRENT");                                                      // libSQL's
  if (take("TRANSACTION") && at < tokens.size() && !is(tokens[at], "READONLY")) ++at;  // a name
  if (take("READONLY")) readonly = true;
  if (at != tokens.size()) return SqlControl::kNone;
  return readonly ? SqlControl::kBeginReadonly : SqlControl::kBegin;
}

// `COMMIT [TRANSACTION [name]]`, and the same for END and ROLLBACK.
bool ends_plainly(const std::vector<Token>& tokens) {
  return tokens.size() == 1 || (tokens.size() <= 3 && is(tokens[1], "TRANSACTION"));
}

bool rolls_back_to(const std::vector<Token>& tokens) {
  return std::any_of(tokens.begin(), tokens.end(), [](const Token& t) { return is(t, "TO"); });
}

bool switches_foreign_keys(const std::vector<Token>& tokens) {
  return tokens.size() == 4 && is(tokens[0], "PRAGMA") && is(tokens[1], "FOREIGN_KEYS") &&
         is(tokens[2], "=");
}

bool asks_foreign_keys(const std::vector<Token>& tokens) {
  return tokens.size() == 2 && is(tokens[0], "PRAGMA") && is(tokens[1], "FOREIGN_KEYS");
}

// PRAGMA user_version = …: the version of the schema is a part of it.
bool sets_user_version(std::string_view sql) {
  auto token = next_sql_token(sql, 0);
  if (!is(token, "PRAGMA")) return false;
  token = next_sql_token(sql, token.end);
  const auto dot = next_sql_token(sql, token.end);
  if (is(dot, ".")) token = next_sql_token(sql, dot.end);
  const auto value = next_sql_token(sql, token.end);
  return is(token, "USER_VERSION") && (is(value, "=") || is(value, "("));
}

bool starts_trigger(std::string_view sql) {
  auto token = next_sql_token(sql, 0);
  if (is(token, "EXPLAIN")) token = next_sql_token(sql, token.end);
  if (is(token, "QUERY")) {
    token = next_sql_token(sql, token.end);
    token = next_sql_token(sql, token.end);
  }
  if (!is(token, "CREATE")) return false;
  token = next_sql_token(sql, token.end);
  if (is(token, "TEMP") || is(token, "TEMPORARY")) token = next_sql_token(sql, token.end);
  return is(token, "TRIGGER");
}

// Where the first statement ends: at its semicolon, or at the end of the text.
size_t statement_end(std::string_view sql) {
  const bool trigger = starts_trigger(sql);
  Token before, last;
  for (auto token = next_sql_token(sql, 0);; token = next_sql_token(sql, token.end)) {
    if (token.kind == Token::Kind::kEnd) return sql.size();
    const bool closed = is(before, ";") && is(last, "END");
    if (is(token, ";") && (!trigger || closed)) return token.end - 1;
    before = last;
    last = token;
  }
}

}  // namespace

SqlControl control_of(std::string_view sql) {
  const auto tokens = short_statement(sql);
  if (tokens.empty()) return SqlControl::kNone;
  if (is(tokens[0], "BEGIN")) return begin_of(tokens);
  if (is(tokens[0], "COMMIT") || is(tokens[0], "END")) {
    return ends_plainly(tokens) ? SqlControl::kCommit : SqlControl::kNone;
  }
  if (is(tokens[0], "ROLLBACK")) {
    if (ends_plainly(tokens)) return SqlControl::kRollback;
    return rolls_back_to(tokens) ? SqlControl::kSavepoint : SqlControl::kNone;
  }
  if (is(tokens[0], "SAVEPOINT") || is(tokens[0], "RELEASE")) return SqlControl::kSavepoint;
  if (asks_foreign_keys(tokens)) return SqlControl::kForeignKeysAsked;
  if (!switches_foreign_keys(tokens)) return SqlControl::kNone;
  const bool on =
      is(tokens[3], "ON") || is(tokens[3], "1") || is(tokens[3], "TRUE") || is(tokens[3], "YES");
  return on ? SqlControl::kForeignKeysOn : SqlControl::kForeignKeysOff;
}

bool selects(std::string_view sql) { return starts_with_one_of(sql, {"SELECT", "VALUES", "WITH"}); }

bool may_only_read(std::string_view sql) {
  return starts_with_one_of(sql, {"SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"});
}

bool changes_schema(std::string_view sql) {
  return starts_with_one_of(sql, {"CREATE", "ALTER", "DROP"}) || sets_user_version(sql);
}

std::string schema_target(std::string_view sql) {
  constexpr std::string_view kSkipped[] = {"IF", "NOT", "EXISTS", "TEMP", "TEMPORARY", "UNIQUE"};
  std::string target;
  int left = 3;  // verb, kind, name
  for (auto token = next_sql_token(sql, 0); left > 0; token = next_sql_token(sql, token.end)) {
    const bool name = token.kind == Token::Kind::kWord || token.kind == Token::Kind::kName;
    if (!name && !is(token, ".")) break;
    const bool skipped = std::any_of(std::begin(kSkipped), std::end(kSkipped),
                                     [&](std::string_view word) { return is(token, word); });
    if (skipped) continue;
    if (!target.empty()) target += ' ';
    target += token.text;
    --left;
  }
  return target;
}

std::string table_if_absent(std::string_view sql) {
  Token token;
  for (const std::string_view word : {"CREATE", "TABLE", "IF", "NOT", "EXISTS"}) {
    token = next_sql_token(sql, token.end);
    if (!is(token, word)) return "";
  }
  token = next_sql_token(sql, token.end);
  if (!is(next_sql_token(sql, token.end), "(")) return "";
  const bool quoted = token.kind == Token::Kind::kName && token.text.size() > 2;
  return std::string(quoted ? token.text.substr(1, token.text.size() - 2) : token.text);
}

std::vector<std::string_view> split_statements(std::string_view sql) {
  std::vector<std::string_view> statements;
  while (!sql.empty()) {
    const size_t end = statement_end(sql);
    const auto statement = sql.substr(0, end);
    const size_t begin = skip_sql_blanks(statement, 0);
    if (begin < end) statements.push_back(statement.substr(begin));
    sql.remove_prefix(std::min(end + 1, sql.size()));
  }
  return statements;
}

}  // namespace entente
