#include "adapters/sqlite/sql_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

#include "adapters/sql_tokens.h"

namespace entente::sqlite {
namespace {

bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
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
  for (auto token = next_sql_token(sql, 0); token.kind != SqlToken::Kind::kEnd;
       token = next_sql_token(sql, token.end)) {
    const bool word = token.kind == SqlToken::Kind::kWord;
    words.push_back({word ? upper(token.text) : std::string(token.text), token.begin, token.end});
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
  // The name of a schema and its dot, if there is one.
  std::string schema() {
    if (at_ + 1 >= words_.size() || words_[at_ + 1] != ".") return {};
    at_ += 2;
    return lower(unquoted(words_[at_ - 2]));
  }
  // A name, after that of its schema.
  std::string name() {
    schema();
    return at_ < words_.size() ? unquoted(words_[at_++]) : std::string();
  }
  void skip() { ++at_; }
  // What is in brackets, if they are next.
  bool skip_brackets() {
    if (next() != "(") return false;
    size_t depth = 0;
    do {
      depth += next() == "(" ? 1 : 0;
      depth -= next() == ")" ? 1 : 0;
      ++at_;
    } while (depth > 0 && !next().empty());
    return true;
  }
  bool done() const { return next().empty() || next() == ";"; }

 private:
  const std::vector<std::string>& words_;
  size_t at_ = 0;
};

}  // namespace

namespace {

// PRAGMA user_version = …
std::optional<SchemaStatement> user_version_of(Words words) {
  SchemaStatement out;
  out.verb = SchemaStatement::Verb::kAlter;
  out.object = SchemaStatement::Object::kUserVersion;
  if (!words.take("PRAGMA")) return std::nullopt;
  out.schema = words.schema();
  if (!words.take("USER_VERSION") || (words.next() != "=" && words.next() != "(")) {
    return std::nullopt;
  }
  return out;
}

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
    return user_version_of(words);
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
  if (!words.take({"IF", "NOT", "EXISTS"})) out.if_exists = words.take({"IF", "EXISTS"});
  out.schema = words.schema();
  out.name = words.name();
  if (out.verb == Verb::kAlter && words.take("RENAME")) {
    out.renames_table = words.next() == "TO";
    out.renames_column = !out.renames_table;
  }
  return out;
}

namespace {

// Words from `at` on, as far as the bracket that opens there reaches, or to the end.
size_t end_of_bracket(const std::vector<std::string>& words, size_t at) {
  for (int depth = 0; at < words.size(); ++at) {
    depth += words[at] == "(" ? 1 : words[at] == ")" ? -1 : 0;
    if (depth == 0) break;
  }
  return at;
}

// What may be a column in an expression: not a literal, a function, a type or a collation.
std::vector<std::string> names_between(const std::vector<std::string>& words, size_t begin,
                                       size_t end) {
  std::vector<std::string> names;
  for (size_t i = begin; i < end; ++i) {
    const char first = words[i].front();
    const bool quoted = first == '"' || first == '`' || first == '[';
    const bool called = i + 1 < words.size() && words[i + 1] == "(";
    const bool qualifies =
        one_of(words[i], {"COLLATE", "AS"}) || (i > 0 && one_of(words[i - 1], {"COLLATE", "AS"}));
    if (quoted || (in_word(first) && !called && !qualifies)) names.push_back(unquoted(words[i]));
  }
  return names;
}

}  // namespace

std::string indexed_table(const std::vector<std::string>& all) {
  Words words(all);
  if (!words.take({"CREATE", "UNIQUE", "INDEX"}) && !words.take({"CREATE", "INDEX"})) return {};
  words.take({"IF", "NOT", "EXISTS"});
  words.name();
  return words.take("ON") ? words.name() : std::string();
}

std::vector<std::string> names_in_index(const std::vector<std::string>& words) {
  const auto bracket = std::find(words.begin(), words.end(), "(");
  return names_between(words, static_cast<size_t>(bracket - words.begin()), words.size());
}

GeneratedColumns generated_columns(const std::vector<std::string>& words) {
  GeneratedColumns out;
  size_t at = static_cast<size_t>(std::find(words.begin(), words.end(), "(") - words.begin()) + 1;
  std::string column;
  for (bool begins = true; at < words.size(); ++at) {
    if (std::exchange(begins, words[at] == ",")) column = lower(unquoted(words[at]));
    if (words[at] != "(") continue;
    const size_t end = end_of_bracket(words, at);
    if (words[at - 1] == "AS") out[column] = names_between(words, at, end);
    at = end;
  }
  return out;
}

std::optional<CopyStatement> copy_statement_of(const std::vector<std::string>& all) {
  Words words(all);
  CopyStatement out;
  if (words.take("INSERT")) {
    if (words.take("OR")) words.name();
  } else if (!words.take("REPLACE")) {
    return std::nullopt;
  }
  if (!words.take("INTO")) return std::nullopt;
  out.into = words.name();
  if (words.take("AS")) words.name();
  words.skip_brackets();
  if (!words.take("SELECT")) return std::nullopt;
  while (!words.done() && words.next() != "FROM") {
    if (!words.skip_brackets()) words.skip();
  }
  if (!words.take("FROM") || words.next() == "(") return std::nullopt;
  out.from = words.name();
  return out;
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

bool is_reserved(std::string_view name) { return lower(name).starts_with("_entente_"); }

std::optional<std::string> reserved_name_in(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    const std::string name = unquoted(word);
    if (is_reserved(name)) return name;
  }
  return std::nullopt;
}

std::optional<std::string> changing_check_in(const std::vector<std::string>& words) {
  const auto at = [&](size_t i) { return i < words.size() ? std::string_view(words[i]) : ""; };
  const auto changes = [&](size_t i) {
    if (one_of(at(i), {"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"})) return true;
    if (at(i + 1) != "(") return false;
    const std::string name = lower(unquoted(at(i)));
    return one_of(name,
                  {"random", "randomblob", "changes", "total_changes", "last_insert_rowid"}) ||
           name.starts_with("sqlite_") || name.starts_with("entente_");
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (at(i) != "CHECK" || at(i + 1) != "(") continue;
    int depth = 0;
    do {
      ++i;
      depth += (at(i) == "(") - (at(i) == ")");
      if (changes(i)) return words[i];
    } while (depth > 0 && i < words.size());
  }
  return std::nullopt;
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
