#include "gateway/server/schema_file.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <utility>

namespace entente {
namespace {

enum class Kind { kSpace, kComment, kWord, kSemicolon, kOther };

struct Token {
  Kind kind;
  std::string_view text;
};

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}

// The length of what begins with this quote; a doubled quote inside is part of it, except in [ ].
size_t quoted(std::string_view s) {
  const char close = s[0] == '[' ? ']' : s[0];
  for (size_t i = 1; i < s.size(); ++i) {
    if (s[i] != close) continue;
    if (close == ']' || i + 1 >= s.size() || s[i + 1] != close) return i + 1;
    ++i;
  }
  return s.size();
}

size_t up_to(std::string_view s, std::string_view end, size_t from) {
  const size_t at = s.find(end, from);
  return at == std::string_view::npos ? s.size() : at + end.size();
}

template <class Predicate>
size_t while_true(std::string_view s, Predicate predicate) {
  return static_cast<size_t>(std::find_if_not(s.begin(), s.end(), predicate) - s.begin());
}

// REQUIRES: s is not empty.
Token next_token(std::string_view s) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  if (space(s[0])) return {Kind::kSpace, s.substr(0, while_true(s, space))};
  if (s.starts_with("--")) return {Kind::kComment, s.substr(0, up_to(s, "\n", 2))};
  if (s.starts_with("/*")) return {Kind::kComment, s.substr(0, up_to(s, "*/", 2))};
  if (s[0] == ';') return {Kind::kSemicolon, s.substr(0, 1)};
  if (is_word(s[0])) return {Kind::kWord, s.substr(0, while_true(s, is_word))};
  const bool quote = std::string_view("'\"`[").find(s[0]) != std::string_view::npos;
  return {Kind::kOther, s.substr(0, quote ? quoted(s) : 1)};
}

std::string upper(std::string_view s) {
  std::string out(s);
  for (auto& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

// Tells where a statement ends: at a semicolon, but in a trigger only at the one after `; END`.
class StatementScanner {
 public:
  bool empty() const { return words_ == 0; }

  // Returns true if the token ends the statement.
  bool take(const Token& token) {
    if (token.kind == Kind::kSemicolon) {
      const bool ends = !trigger_ || after_end_;
      after_end_ = false;
      after_semicolon_ = true;
      return ends;
    }
    const std::string word = token.kind == Kind::kWord ? upper(token.text) : "";
    after_end_ = after_semicolon_ && word == "END";
    after_semicolon_ = false;
    note_opening(word);
    return false;
  }

 private:
  // CREATE [TEMP | TEMPORARY] TRIGGER
  void note_opening(const std::string& word) {
    if (words_ == 0)
      create_ = word == "CREATE";
    else if (words_ == 1)
      temporary_ = word == "TEMP" || word == "TEMPORARY";
    if (create_ && word == "TRIGGER" && (words_ == 1 || (words_ == 2 && temporary_))) {
      trigger_ = true;
    }
    ++words_;
  }

  size_t words_ = 0;
  bool create_ = false, temporary_ = false, trigger_ = false;
  bool after_semicolon_ = false, after_end_ = false;
};

std::string trimmed(std::string_view s) {
  const auto begin = s.find_first_not_of(" \t\r\n\f\v");
  if (begin == std::string_view::npos) return "";
  return std::string(s.substr(begin, s.find_last_not_of(" \t\r\n\f\v") - begin + 1));
}

}  // namespace

Result<std::vector<std::string>> read_schema(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string script{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof()) return fail(Code::kNotFound, "cannot read " + path.string());
  return split_statements(script);
}

ClientTransaction run_statements(std::vector<std::string> statements) {
  return [statements = std::move(statements)](WriteSession& session) -> Result<void> {
    for (const auto& sql : statements) {
      Statement statement;
      statement.sql = sql;
      statement.want_rows = false;
      if (auto done = session.execute(statement); !done) return tl::unexpected(done.error());
    }
    return {};
  };
}

std::vector<std::string> split_statements(std::string_view script) {
  std::vector<std::string> out;
  std::string text;
  StatementScanner statement;
  const auto finish = [&] {
    if (!statement.empty()) out.push_back(trimmed(text));
    text.clear();
    statement = {};
  };
  while (!script.empty()) {
    const Token token = next_token(script);
    script.remove_prefix(token.text.size());
    const bool silent = token.kind == Kind::kSpace || token.kind == Kind::kComment;
    if (silent && statement.empty()) continue;
    if (!silent && statement.take(token)) {
      finish();
      continue;
    }
    text += token.text;
  }
  finish();
  return out;
}

}  // namespace entente
