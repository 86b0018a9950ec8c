#include "gateway/server/sql_text.h"

#include <algorithm>
#include <charconv>

namespace entente {
namespace {

struct Token {
  enum class Kind { kEnd, kWord, kQuoted, kParameter, kSymbol } kind = Kind::kEnd;
  std::string_view text;
  size_t end = 0;  // where the next begins
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

// Past blanks and comments. A comment that does not end takes the rest.
size_t skip_blanks(std::string_view sql, size_t at) {
  for (;;) {
    while (at < sql.size() && is_blank(sql[at])) ++at;
    const auto rest = sql.substr(at);
    std::string_view close;
    if (rest.starts_with("--")) close = "\n";
    if (rest.starts_with("/*")) close = "*/";
    if (close.empty()) return at;
    const size_t end = sql.find(close, at + 2);
    if (end == std::string_view::npos) return sql.size();
    at = end + close.size();
  }
}

// Past a quoted text that starts at `at`; a doubled quote is part of it.
size_t skip_quoted(std::string_view sql, size_t at) {
  const char close = sql[at] == '[' ? ']' : sql[at];
  for (++at; at < sql.size(); ++at) {
    if (sql[at] != close) continue;
    if (close == ']' || at + 1 == sql.size() || sql[at + 1] != close) return at + 1;
    ++at;
  }
  return sql.size();
}

size_t skip_word(std::string_view sql, size_t at) {
  while (at < sql.size() && is_word(sql[at])) ++at;
  return at;
}

Token next_token(std::string_view sql, size_t at) {
  at = skip_blanks(sql, at);
  if (at == sql.size()) return {Token::Kind::kEnd, {}, at};
  const char c = sql[at];
  Token token{Token::Kind::kSymbol, {}, at + 1};
  if (c == '\'' || c == '"' || c == '`' || c == '[') {
    token = {Token::Kind::kQuoted, {}, skip_quoted(sql, at)};
  } else if (c == '?' || c == ':' || c == '@' || c == '$') {
    token = {Token::Kind::kParameter, {}, skip_word(sql, at + 1)};
  } else if (is_word(c)) {
    token = {Token::Kind::kWord, {}, skip_word(sql, at)};
  }
  token.text = sql.substr(at, token.end - at);
  return token;
}

bool is(const Token& token, std::string_view word) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  return token.text.size() == word.size() &&
         std::equal(token.text.begin(), token.text.end(), word.begin(),
                    [&](char a, char b) { return upper(a) == b; });
}

bool starts_with_one_of(std::string_view sql, std::initializer_list<std::string_view> words) {
  const auto first = next_token(sql, 0);
  return std::any_of(words.begin(), words.end(), [&](auto word) { return is(first, word); });
}

// The tokens of one short statement; more than a control statement can have, or a second statement:
// nothing.
std::vector<Token> short_statement(std::string_view sql) {
  constexpr size_t kMax = 6;
  std::vector<Token> tokens;
  for (auto token = next_token(sql, 0); token.kind != Token::Kind::kEnd;
       token = next_token(sql, token.end)) {
    if (is(token, ";")) {
      return next_token(sql, token.end).kind == Token::Kind::kEnd ? tokens : std::vector<Token>{};
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

bool starts_trigger(std::string_view sql) {
  auto token = next_token(sql, 0);
  if (!is(token, "CREATE")) return false;
  token = next_token(sql, token.end);
  if (is(token, "TEMP") || is(token, "TEMPORARY")) token = next_token(sql, token.end);
  return is(token, "TRIGGER");
}

// Where the first statement ends: at its semicolon, or at the end of the text.
size_t statement_end(std::string_view sql) {
  const bool trigger = starts_trigger(sql);
  Token before, last;
  for (auto token = next_token(sql, 0);; token = next_token(sql, token.end)) {
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
  return starts_with_one_of(sql, {"CREATE", "ALTER", "DROP"});
}

std::string table_if_absent(std::string_view sql) {
  Token token;
  for (const std::string_view word : {"CREATE", "TABLE", "IF", "NOT", "EXISTS"}) {
    token = next_token(sql, token.end);
    if (!is(token, word)) return "";
  }
  token = next_token(sql, token.end);
  if (!is(next_token(sql, token.end), "(")) return "";
  const bool quoted = token.kind == Token::Kind::kQuoted && token.text.size() > 2;
  return std::string(quoted ? token.text.substr(1, token.text.size() - 2) : token.text);
}

std::vector<std::string_view> split_statements(std::string_view sql) {
  std::vector<std::string_view> statements;
  while (!sql.empty()) {
    const size_t end = statement_end(sql);
    const auto statement = sql.substr(0, end);
    const size_t begin = skip_blanks(statement, 0);
    if (begin < end) statements.push_back(statement.substr(begin));
    sql.remove_prefix(std::min(end + 1, sql.size()));
  }
  return statements;
}

}  // namespace entente
