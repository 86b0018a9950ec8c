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
  if (at(i) == "PRAGMA" && at(i + 1) == "DEFER_FOREIGN_KEYS" && one_of(at(i + 2), {"=", "("})) {
    return StatementKind::kDeferredKeys;
  }
  if (schema_statement_of(words)) return StatementKind::kSchema;
  const bool other = one_of(at(i), {"CREATE", "ALTER", "DROP", "ANALYZE", "VACUUM", "REINDEX"});
  return other ? StatementKind::kOtherSchema : StatementKind::kOther;
}

namespace {

// Reads words one after the other.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {
    while (take(";")) {
    }
  }
  std::string_view next() const {
    return at_ < words_.size() ? std::string_view(words_[at_]) : std::string_view();
  }
  bool take(std::string_view word) {
    if (next() != word) return false;
    ++at_;
    return true;
  }
  bool take(std::initializer_list<std::string_view> all) {
    const size_t from = at_;
    for (const auto word : all) {
      if (take(word)) continue;
      at_ = from;
      return false;
    }
    return true;
  }
  // A name, after that of its schema.
  std::string name() {
    if (at_ + 1 < words_.size() && words_[at_ + 1] == ".") at_ += 2;
    return at_ < words_.size() ? unquoted(words_[at_++]) : std::string();
  }
  bool done() const { return next().empty() || next() == ";"; }

 private:
  const std::vector<std::string>& words_;
  size_t at_ = 0;
};

}  // namespace

std::optional<SchemaStatement> schema_statement_of(const std::vector<std::string>& all) {
  using Object = SchemaStatement::Object;
  using Verb = SchemaStatement::Verb;
  Words words(all);
  SchemaStatement out;
  if (words.take("CREATE")) {
    out.temporary = words.take("TEMP") || words.take("TEMPORARY");
  } else if (words.take("DROP")) {
    out.verb = Verb::kDrop;
  } else if (words.take("ALTER")) {
    out.verb = Verb::kAlter;
  } else {
    return std::nullopt;
  }
  if (words.take("TABLE")) {
    out.object = Object::kTable;
  } else if (words.take({"UNIQUE", "INDEX"}) || words.take("INDEX")) {
    out.object = Object::kIndex;
  } else if (words.take("VIEW")) {
    out.object = Object::kView;
  } else if (words.take("TRIGGER")) {
    out.object = Object::kTrigger;
  } else {
    return std::nullopt;
  }
  if (!words.take({"IF", "NOT", "EXISTS"})) words.take({"IF", "EXISTS"});
  out.name = words.name();
  if (out.verb == Verb::kAlter && words.take("RENAME")) {
    out.renames_table = words.next() == "TO";
    out.renames_column = !out.renames_table;
  }
  return out;
}

std::optional<UniqueIndex> unique_index_of(const std::vector<std::string>& all) {
  Words words(all);
  UniqueIndex out;
  if (!words.take({"CREATE", "UNIQUE", "INDEX"})) return std::nullopt;
  words.take({"IF", "NOT", "EXISTS"});
  words.name();
  if (!words.take("ON")) return std::nullopt;
  out.table = words.name();
  if (!words.take("(")) return std::nullopt;
  do {
    out.columns.push_back(words.name());
    if (words.take("COLLATE")) words.name();
    if (!words.take("ASC")) words.take("DESC");
  } while (words.take(","));
  if (!words.take(")") || !words.done()) return std::nullopt;
  return out;
}

std::optional<std::string> indexed_table_of(const std::vector<std::string>& all) {
  Words words(all);
  if (!words.take({"CREATE", "UNIQUE", "INDEX"}) && !words.take({"CREATE", "INDEX"})) {
    return std::nullopt;
  }
  words.take({"IF", "NOT", "EXISTS"});
  words.name();
  if (!words.take("ON")) return std::nullopt;
  return words.name();
}

bool turns_on(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](const auto& word) {
    return one_of(word, {"ON", "1", "YES", "TRUE"});
  });
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

bool rolls_back(const std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "ROLLBACK") continue;
    const bool raised = i > 1 && words[i - 1] == "(" && words[i - 2] == "RAISE";
    if (raised || one_of(words[i - 1], {"OR", "CONFLICT"})) return true;
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
