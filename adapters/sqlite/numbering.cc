#include "adapters/sqlite/numbering.h"

#include <algorithm>

#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

constexpr std::string_view kCall = "entente_id()";

struct Edit {
  size_t begin = 0, end = 0;  // what is replaced
  std::string text;
};

// One INSERT, read as far as needed.
class Insert {
 public:
  Insert(std::string_view sql, const World& world)
      : sql_(sql), words_(placed_words_of(sql)), world_(world) {}

  std::string numbered() {
    if (read_head() && table_->numbers_key) {
      read_columns();
      rewrite();
    }
    std::string out;
    size_t at = 0;
    for (const auto& edit : edits_) {
      out += sql_.substr(at, edit.begin - at);
      out += edit.text;
      at = edit.end;
    }
    return out += sql_.substr(at);
  }

 private:
  std::string_view word(size_t i) const {
    return i < words_.size() ? std::string_view(words_[i].text) : std::string_view();
  }
  bool take(std::string_view text) { return word(at_) == text && ++at_ > 0; }

  // To the word after the table's name. False for what is no INSERT into a table that we know.
  bool read_head() {
    while (take(";")) {
    }
    if (word(at_) == "WITH") skip_to_insert();
    if (take("INSERT")) {
      if (take("OR")) ++at_;
    } else if (!take("REPLACE")) {
      return false;
    }
    if (!take("INTO") || at_ >= words_.size()) return false;
    if (word(at_ + 1) == ".") at_ += 2;
    table_ = world_.find(unquoted(word(at_++)));
    if (take("AS")) ++at_;
    return table_ != nullptr;
  }

  void skip_to_insert() {
    int depth = 0;
    for (; at_ < words_.size(); ++at_) {
      depth += (word(at_) == "(") - (word(at_) == ")");
      const auto next = word(at_ + 1);
      const bool verb = (word(at_) == "INSERT" && (next == "INTO" || next == "OR")) ||
                        (word(at_) == "REPLACE" && next == "INTO");
      if (depth == 0 && verb) return;
    }
  }

  // The columns that get values, and which of them is the key.
  void read_columns() {
    const auto& key = table_->columns[table_->key.front()].name;
    if (word(at_) == "(") {
      after_list_bracket_ = words_[at_].end;
      for (++at_; at_ < words_.size() && !take(")"); ++at_) {
        if (word(at_) != ",") columns_.push_back(lower(unquoted(word(at_))));
      }
    } else {
      for (const auto& c : table_->columns) columns_.push_back(lower(c.name));
    }
    const auto is_key = [&](const std::string& name) {
      const bool alias = table_->rowid_key && table_->find(name) == nullptr &&
                         (name == "rowid" || name == "oid" || name == "_rowid_");
      return alias || name == lower(key);
    };
    key_at_ = static_cast<size_t>(std::find_if(columns_.begin(), columns_.end(), is_key) -
                                  columns_.begin());
    key_name_ = quote_name(key);
  }
  bool names_key() const { return key_at_ < columns_.size(); }

  void rewrite() {
    if (word(at_) == "DEFAULT" && word(at_ + 1) == "VALUES") {
      edits_.push_back({words_[at_].begin, words_[at_ + 1].end,
                        "(" + key_name_ + ") VALUES (" + std::string(kCall) + ")"});
      return;
    }
    if (!names_key()) add(after_list_bracket_, key_name_ + ", ");
    const size_t before = edits_.size();
    if (word(at_) == "VALUES" && rewrite_rows()) return;
    edits_.resize(before);
    rewrite_select();
  }

  void add(size_t at, std::string text) { edits_.push_back({at, at, std::move(text)}); }

  // `VALUES (…), (…)`. False if it is part of something larger.
  bool rewrite_rows() {
    size_t i = at_ + 1;
    while (word(i) == "(") {
      i = rewrite_row(i);
      if (word(i) != ",") break;
      ++i;
    }
    const auto next = word(i);
    return next.empty() || next == ";" || next == "ON" || next == "RETURNING";
  }

  // From its opening bracket; gives the place after its closing one.
  size_t rewrite_row(size_t open) {
    if (!names_key()) add(words_[open].end, std::string(kCall) + ", ");
    size_t part = 0, i = open + 1, begin = i;
    for (int depth = 1; i < words_.size(); ++i) {
      depth += (word(i) == "(") - (word(i) == ")");
      if (depth > 1 || (depth == 1 && word(i) != ",")) continue;
      if (names_key() && part == key_at_ && i > begin) {
        add(words_[begin].begin, "coalesce(");
        add(words_[i - 1].end, ", " + std::string(kCall) + ")");
      }
      if (depth == 0) return i + 1;
      ++part;
      begin = i + 1;
    }
    return i;
  }

  void rewrite_select() {
    size_t end = at_;
    for (int depth = 0; end < words_.size(); ++end) {
      depth += (word(end) == "(") - (word(end) == ")");
      const bool upsert = word(end) == "ON" && word(end + 1) == "CONFLICT";
      if (depth == 0 && (word(end) == ";" || word(end) == "RETURNING" || upsert)) break;
    }
    if (end == at_) return;
    const size_t from = words_[at_].begin, to = words_[end - 1].end;
    if (!names_key()) {
      add(from, "SELECT " + std::string(kCall) + ", * FROM (");
      return add(to, ") WHERE true");  // or ON CONFLICT would be read as a join's
    }
    std::string names, values;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string name = "c" + std::to_string(i);
      if (i > 0) names += ", ", values += ", ";
      names += name;
      if (i != key_at_) {
        values += name;
        continue;
      }
      values += "coalesce(";
      values += name;
      values += ", ";
      values += kCall;
      values += ")";
    }
    add(from, "WITH _entente_rows(" + names + ") AS (");
    add(to, ") SELECT " + values + " FROM _entente_rows WHERE true");
  }

  const std::string_view sql_;
  const std::vector<SqlWord> words_;
  const World& world_;
  size_t at_ = 0;
  const Table* table_ = nullptr;
  size_t after_list_bracket_ = 0;
  std::vector<std::string> columns_;  // in lower case
  size_t key_at_ = 0;                 // in columns_; their number: not among them
  std::string key_name_;
  std::vector<Edit> edits_;  // in the order of their places
};

}  // namespace

std::string with_numbered_keys(std::string_view sql, const World& world) {
  return Insert(sql, world).numbered();
}

std::string with_numbered_keys_inside(std::string_view trigger, const World& world) {
  const auto words = placed_words_of(trigger);
  std::string out;
  size_t copied = 0, from = 0;  // `from`: where the statement at hand begins; 0: outside
  for (const auto& word : words) {
    if (from == 0) {
      if (word.text == "BEGIN") from = word.end;
    } else if (word.text == ";") {
      out += trigger.substr(copied, from - copied);
      out += with_numbered_keys(trigger.substr(from, word.begin - from), world);
      copied = word.begin;
      from = word.end;
    }
  }
  return out += trigger.substr(copied);
}

IdFunction::IdFunction(Connection& db, FileState& state, uint8_t slot)
    : state_(&state), slot_(slot) {
  install(db);
}

IdFunction::IdFunction(Connection& db, std::optional<int64_t> instead) : instead_(instead) {
  install(db);
}

void IdFunction::install(Connection& db) {
  sqlite3_create_function_v2(db.get(), "entente_id", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, this,
                             &IdFunction::call, nullptr, nullptr, nullptr);
}

void IdFunction::call(sqlite3_context* context, int, sqlite3_value**) {
  auto* self = static_cast<IdFunction*>(sqlite3_user_data(context));
  if (self->instead_) return sqlite3_result_int64(context, *self->instead_);
  if (self->state_ == nullptr) {
    return sqlite3_result_error(context, "entente_id() makes keys: use it in what writes", -1);
  }
  const auto key = self->state_->keys.next(self->wall_ms_, self->slot_);
  if (key) return sqlite3_result_int64(context, *key);
  constexpr const char* kNone =
      "entente_id() has no keys left in this datacenter, because its clock was decades ahead: give "
      "the rows keys of your own";
  sqlite3_result_error(context, kNone, -1);
}

}  // namespace entente::sqlite
