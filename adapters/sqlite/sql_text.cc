#include "adapters/sqlite/sql_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace entente::sqlite {
namespace {

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The place after blanks and comments.
size_t skip_blank(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    if (std::isspace(static_cast<unsigned char>(sql[at]))) {
      ++at;
    } else if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      const size_t end = sql.find("*/", at + 2);
      at = end == std::string_view::npos ? sql.size() : end + 2;
    } else {
      break;
    }
  }
  return at;
}

// The place after a quoted token that starts here; a doubled quote is part of it.
size_t skip_quoted(std::string_view sql, size_t at) {
  const char close = sql[at] == '[' ? ']' : sql[at];
  for (++at; at < sql.size(); ++at) {
    if (sql[at] != close) continue;
    if (close == ']' || at + 1 >= sql.size() || sql[at + 1] != close) return at + 1;
    ++at;
  }
  return at;
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

std::vector<SqlWord> placed_words_of(std::string_view sql) {
  std::vector<SqlWord> words;
  size_t at = 0;
  while ((at = skip_blank(sql, at)) < sql.size()) {
    const size_t start = at;
    const char c = sql[at];
    if (c == '\'' || c == '"' || c == '`' || c == '[') {
      at = skip_quoted(sql, at);
      words.push_back({std::string(sql.substr(start, at - start)), start, at});
    } else if (in_word(c)) {
      while (at < sql.size() && in_word(sql[at])) ++at;
      words.push_back({upper(sql.substr(start, at - start)), start, at});
    } else {
      ++at;
      words.push_back({std::string(1, c), start, at});
    }
  }
  return words;
}

std::vector<std::string> words_of(std::string_view sql) {
  std::vector<std::string> words;
  for (auto& word : placed_words_of(sql)) words.push_back(std::move(word.text));
  return words;
}

StatementKind kind_of(const std::vector<std::string>& words) {
  const auto at = [&](size_t i) { return i < words.size() ? std::string_view(words[i]) : ""; };
  size_t i = 0;
  while (at(i) == ";") ++i;
  if (i == words.size()) return StatementKind::kEmpty;
  if (savepoint_of(words)) return StatementKind::kSavepoint;
  if (one_of(at(i), {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})) {
    return StatementKind::kTransactionControl;
  }
  if (one_of(at(i), {"ALTER", "DROP", "ANALYZE", "VACUUM", "REINDEX"})) {
    return StatementKind::kOtherSchema;
  }
  if (at(i) != "CREATE") return StatementKind::kOther;
  const size_t what = one_of(at(i + 1), {"TEMP", "TEMPORARY", "UNIQUE"}) ? i + 2 : i + 1;
  if (at(what) == "TABLE") return StatementKind::kCreateTable;
  if (at(what) == "INDEX") return StatementKind::kCreateIndex;
  return StatementKind::kOtherSchema;
}

// SAVEPOINT x; RELEASE [SAVEPOINT] x; ROLLBACK [TRANSACTION] TO [SAVEPOINT] x.
std::optional<SavepointControl> savepoint_of(const std::vector<std::string>& words) {
  using Kind = SavepointControl::Kind;
  size_t i = 0, end = words.size();
  while (i < end && words[i] == ";") ++i;
  while (i < end && words[end - 1] == ";") --end;
  // Goes on only to a word that follows.
  const auto take = [&](std::string_view word) {
    const bool taken = i + 1 < end && words[i] == word;
    i += taken;
    return taken;
  };
  SavepointControl out;
  if (take("RELEASE")) {
    out.kind = Kind::kRelease;
    take("SAVEPOINT");
  } else if (take("ROLLBACK")) {
    out.kind = Kind::kRollbackTo;
    take("TRANSACTION");
    if (!take("TO")) return std::nullopt;
    take("SAVEPOINT");
  } else if (!take("SAVEPOINT")) {
    return std::nullopt;
  }
  if (i + 1 != end) return std::nullopt;
  out.name = lower(unquoted(words[i]));
  return out;
}

bool creates_from_select(const std::vector<std::string>& words) {
  const auto bracket = std::find(words.begin(), words.end(), "(");
  return std::find(words.begin(), bracket, "AS") != bracket;
}

bool creates_temporary(const std::vector<std::string>& words) {
  return words.size() > 1 && one_of(words[1], {"TEMP", "TEMPORARY"});
}

bool rolls_back(const std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "ROLLBACK" && one_of(words[i - 1], {"OR", "CONFLICT"})) return true;
  }
  return false;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string unquoted(std::string_view name) {
  if (name.size() < 2 || in_word(name.front())) return std::string(name);
  const char quote = name.back();
  std::string out;
  for (size_t i = 1; i + 1 < name.size(); ++i) {
    out.push_back(name[i]);
    if (name[i] == quote && name[i + 1] == quote) ++i;
  }
  return out;
}

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace entente::sqlite
