#include "adapters/sql_tokens.h"

#include <algorithm>

namespace entente {
namespace {

using Kind = SqlToken::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
// SQLite takes a vertical tab for a blank inside blanks, but not as the first of them.
bool starts_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }
bool is_blank(char c) { return starts_blank(c) || c == '\v'; }
bool in_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Reads one token that begins at `at`, which is no blank.
class Scanner {
 public:
  Scanner(std::string_view sql, size_t at) : sql_(sql), begin_(at), at_(at) {}

  SqlToken token() {
    const Kind kind = scan();
    return {kind, sql_.substr(begin_, at_ - begin_), begin_, at_};
  }

 private:
  // NUL at the end of the text, as SQLite has it.
  char peek(size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  bool more() const { return at_ < sql_.size(); }
  template <class Which>
  void skip(Which which) {
    while (more() && which(sql_[at_])) ++at_;
  }

  Kind scan() {
    const char c = peek();
    if (c == '\'' || c == '"' || c == '`') return quoted(c);
    if (c == '[') return bracketed();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (c == '?') {
      ++at_;
      skip(is_digit);
      return Kind::kParameter;
    }
    if (c == '$' || c == '@' || c == ':' || c == '#') return parameter();
    if ((c == 'x' || c == 'X') && peek(1) == '\'') return blob();
    if (in_name(c)) {
      skip(in_name);
      return Kind::kWord;
    }
    return symbol();
  }

  Kind quoted(char quote) {
    for (++at_; more(); ++at_) {
      if (peek() != quote) continue;
      if (peek(1) != quote) {
        ++at_;
        return quote == '\'' ? Kind::kText : Kind::kName;
      }
      ++at_;
    }
    return Kind::kIllegal;
  }

  Kind bracketed() {
    const size_t close = sql_.find(']', at_);
    at_ = close == std::string_view::npos ? sql_.size() : close + 1;
    return close == std::string_view::npos ? Kind::kIllegal : Kind::kName;
  }

  Kind number() {
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && is_hex(peek(2))) {
      at_ += 3;
      skip(is_hex);
      return Kind::kNumber;  // whatever follows
    }
    skip(is_digit);
    if (peek() == '.') {
      ++at_;
      skip(is_digit);
    }
    const bool signed_power = (peek(1) == '+' || peek(1) == '-') && is_digit(peek(2));
    if ((peek() == 'e' || peek() == 'E') && (is_digit(peek(1)) || signed_power)) {
      at_ += 2;
      skip(is_digit);
    }
    const size_t end = at_;
    skip(in_name);
    return at_ == end ? Kind::kNumber : Kind::kIllegal;
  }

  // With Tcl's `::` and `(…)`.
  Kind parameter() {
    size_t letters = 0;
    for (++at_; more(); ++at_) {
      if (in_name(peek())) {
        ++letters;
      } else if (peek() == '(' && letters > 0) {
        do ++at_;
        while (more() && !is_blank(peek()) && peek() != ')');
        if (peek() != ')') return Kind::kIllegal;
        ++at_;
        break;
      } else if (peek() == ':' && peek(1) == ':') {
        ++at_;
      } else {
        break;
      }
    }
    return letters > 0 ? Kind::kParameter : Kind::kIllegal;
  }

  Kind blob() {
    at_ += 2;
    const size_t digits = at_;
    skip(is_hex);
    if (peek() == '\'' && (at_ - digits) % 2 == 0) {
      ++at_;
      return Kind::kBlob;
    }
    skip([](char c) { return c != '\''; });
    if (more()) ++at_;
    return Kind::kIllegal;
  }

  Kind symbol() {
    static constexpr std::string_view kLonger[] = {
        "->>", "->", "||", "==", "<=", "<>", "<<", ">=", ">>", "!="};
    static constexpr std::string_view kSingle = "-();+*/%=<>|,&~.";
    const auto rest = sql_.substr(at_);
    const auto* longer = std::find_if(std::begin(kLonger), std::end(kLonger),
                                      [&](auto symbol) { return rest.starts_with(symbol); });
    if (longer != std::end(kLonger)) {
      at_ += longer->size();
      return Kind::kSymbol;
    }
    ++at_;
    return kSingle.find(rest.front()) != std::string_view::npos ? Kind::kSymbol : Kind::kIllegal;
  }

  const std::string_view sql_;
  const size_t begin_;
  size_t at_;
};

}  // namespace

size_t skip_sql_blanks(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    const auto rest = sql.substr(at);
    if (starts_blank(rest.front())) {
      while (at < sql.size() && is_blank(sql[at])) ++at;
    } else if (rest.starts_with("\xEF\xBB\xBF")) {
      at += 3;
    } else if (rest.starts_with("--")) {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (rest.starts_with("/*") && rest.size() > 2) {
      const size_t end = sql.find("*/", at + 2);
      at = end == std::string_view::npos ? sql.size() : end + 2;
    } else {
      break;
    }
  }
  return at;
}

SqlToken next_sql_token(std::string_view sql, size_t at) {
  at = skip_sql_blanks(sql, at);
  if (at >= sql.size()) return {Kind::kEnd, {}, sql.size(), sql.size()};
  return Scanner(sql, at).token();
}

}  // namespace entente
