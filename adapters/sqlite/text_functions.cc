#include "adapters/sqlite/text_functions.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace entente::sqlite {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

bool is_null(sqlite3_value* v) { return sqlite3_value_type(v) == SQLITE_NULL; }
bool is_blob(sqlite3_value* v) { return sqlite3_value_type(v) == SQLITE_BLOB; }

std::string_view text_of(sqlite3_value* v) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(v));
  return {text != nullptr ? text : "", static_cast<size_t>(sqlite3_value_bytes(v))};
}

std::string_view blob_of(sqlite3_value* v) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(v));
  return {bytes != nullptr ? bytes : "", static_cast<size_t>(sqlite3_value_bytes(v))};
}

size_t position_of(std::string_view in, std::string_view what, size_t from) {
  const void* at = memmem(in.data() + from, in.size() - from, what.data(), what.size());
  return at == nullptr ? kNowhere : static_cast<size_t>(static_cast<const char*>(at) - in.data());
}

// In characters from 1, or in bytes for two blobs; 0: it is not there.
void find_in(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (is_null(arguments[0]) || is_null(arguments[1])) return;
  const bool blobs = is_blob(arguments[0]) && is_blob(arguments[1]);
  const auto in = blobs ? blob_of(arguments[0]) : text_of(arguments[0]);
  const auto what = blobs ? blob_of(arguments[1]) : text_of(arguments[1]);
  if (what.empty()) return sqlite3_result_int(context, 1);
  // A character begins there, or it is the first byte.
  const bool anywhere = blobs || !continues(what.front());
  const size_t at = anywhere ? position_of(in, what, 0) : (in.starts_with(what) ? 0 : kNowhere);
  if (at == kNowhere) return sqlite3_result_int(context, 0);
  if (blobs) return sqlite3_result_int64(context, static_cast<int64_t>(at) + 1);
  const auto before = at == 0 ? std::string_view() : in.substr(1, at);
  const auto characters =
      std::count_if(before.begin(), before.end(), [](char c) { return !continues(c); });
  sqlite3_result_int64(context, characters + 1);
}

void replace_all(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (std::any_of(arguments, arguments + 3, is_null)) return;
  const auto in = text_of(arguments[0]), what = text_of(arguments[1]), by = text_of(arguments[2]);
  if (what.empty() || what.front() == '\0') return sqlite3_result_value(context, arguments[0]);
  const auto most = static_cast<size_t>(
      sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1));
  std::string out;
  size_t done = 0;
  for (size_t at = position_of(in, what, 0); at != kNowhere; at = position_of(in, what, done)) {
    out.append(in, done, at - done).append(by);
    done = at + what.size();
    if (out.size() > most) return sqlite3_result_error_toobig(context);
  }
  out.append(in, done);
  sqlite3_result_text64(context, out.data(), out.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

// Characters to cut off, by length; the first of those that fit is cut, as SQLite does.
class Cut {
 public:
  explicit Cut(std::string_view characters) {
    for (size_t at = 0, order = 0; at < characters.size(); ++order) {
      size_t end = at + 1;
      if (static_cast<unsigned char>(characters[at]) >= 0xc0) {
        while (end < characters.size() && continues(characters[end])) ++end;
      }
      const size_t length = end - at;
      if (length <= kLongest) by_length_[length].emplace(characters.substr(at, length), order);
      at = end;
    }
  }

  // The length of the one that `text` begins, or ends, with; 0 for none.
  size_t at(std::string_view text, bool front) const {
    size_t length = 0, order = SIZE_MAX;
    for (const auto& [n, characters] : by_length_) {
      if (n > text.size()) break;
      const auto found = characters.find(front ? text.substr(0, n) : text.substr(text.size() - n));
      if (found != characters.end() && found->second < order) length = n, order = found->second;
    }
    return length;
  }

 private:
  static constexpr size_t kLongest = 6;  // bytes that any encoding takes for one character
  std::map<size_t, std::map<std::string_view, size_t>> by_length_;
};

enum class Side { kBoth, kLeft, kRight };

template <Side kSide>
void trim(sqlite3_context* context, int count, sqlite3_value** arguments) {
  if (std::any_of(arguments, arguments + count, is_null)) return;
  auto text = text_of(arguments[0]);
  const Cut cut(count > 1 ? text_of(arguments[1]) : " ");
  if (kSide != Side::kRight) {
    for (size_t n = 0; (n = cut.at(text, true)) > 0;) text.remove_prefix(n);
  }
  if (kSide != Side::kLeft) {
    for (size_t n = 0; (n = cut.at(text, false)) > 0;) text.remove_suffix(n);
  }
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace

void install_text_functions(Connection& db) {
  const auto add = [&](const char* name, int arguments, auto* function) {
    sqlite3_create_function_v2(db.get(), name, arguments,
                               SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                               function, nullptr, nullptr, nullptr);
  };
  add("instr", 2, &find_in);
  add("replace", 3, &replace_all);
  for (const int arguments : {1, 2}) {
    add("trim", arguments, &trim<Side::kBoth>);
    add("ltrim", arguments, &trim<Side::kLeft>);
    add("rtrim", arguments, &trim<Side::kRight>);
  }
}

}  // namespace entente::sqlite
