#include "adapters/sqlite/numbering.h"

#include <algorithm>
#include <array>

#include "adapters/sqlite/sql_text.h"

namespace entente::sqlite {
namespace {

// What makes a key for a row of this table. One that was there before the gateway has no epoch.
std::string call_for(const Table& t) {
  return "entente_id(" + (t.def.since > 0 ? std::to_string(t.def.since) : std::string()) + ")";
}

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
      call_ = call_for(*table_);
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
      for (const auto& c : table_->columns) {
        if (!c.rowid) columns_.push_back(lower(c.name));
      }
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
      edits_.push_back(
          {words_[at_].begin, words_[at_ + 1].end, "(" + key_name_ + ") VALUES (" + call_ + ")"});
      return;
    }
    if (after_list_bracket_ == 0 && table_->def.keyless()) {
      add(words_[at_].begin, list_of_columns());
    } else if (!names_key()) {
      add(after_list_bracket_, key_name_ + ", ");
    }
    const size_t before = edits_.size();
    if (word(at_) == "VALUES" && rewrite_rows()) return;
    edits_.resize(before);
    rewrite_select();
  }

  std::string list_of_columns() const {
    std::string list = "(" + key_name_;
    for (const auto& c : table_->columns) {
      if (!c.rowid) list += ", " + quote_name(c.name);
    }
    return list + ") ";
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
    if (!names_key()) add(words_[open].end, call_ + ", ");
    size_t part = 0, i = open + 1, begin = i;
    for (int depth = 1; i < words_.size(); ++i) {
      depth += (word(i) == "(") - (word(i) == ")");
      if (depth > 1 || (depth == 1 && word(i) != ",")) continue;
      if (names_key() && part == key_at_ && i > begin) {
        add(words_[begin].begin, "coalesce(");
        add(words_[i - 1].end, ", " + call_ + ")");
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
    if (!names_key() && copies_rows(end)) {
      return add(words_[at_].end, " CASE WHEN EXISTS (SELECT 1 FROM " +
                                      quote_name(table_->def.name) + ") THEN " + call_ + " ELSE " +
                                      source_key_ + " END,");
    }
    if (!names_key()) {
      add(from, "SELECT " + call_ + ", * FROM (");
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
      values += call_;
      values += ")";
    }
    add(from, "WITH _entente_rows(" + names + ") AS (");
    add(to, ") SELECT " + values + " FROM _entente_rows WHERE true");
  }

  // `SELECT … FROM` one table without a key, row by row, into another one. Its number is in
  // source_key_ then.
  bool copies_rows(size_t end) {
    static constexpr std::array<std::string_view, 9> kElse = {
        "UNION", "EXCEPT", "INTERSECT", "GROUP", "HAVING", "LIMIT", "WINDOW", "JOIN", ","};
    static constexpr std::array<std::string_view, 10> kOfMany = {"COUNT",
                                                                 "SUM",
                                                                 "TOTAL",
                                                                 "AVG",
                                                                 "MIN",
                                                                 "MAX",
                                                                 "GROUP_CONCAT",
                                                                 "DISTINCT",
                                                                 "JSON_GROUP_ARRAY",
                                                                 "JSON_GROUP_OBJECT"};
    const auto among = [](const auto& list, std::string_view word) {
      return std::find(list.begin(), list.end(), word) != list.end();
    };
    if (!table_->def.keyless() || word(at_) != "SELECT") return false;
    size_t i = at_ + 1;
    for (int depth = 0; i < end && (depth > 0 || word(i) != "FROM"); ++i) {
      depth += (word(i) == "(") - (word(i) == ")");
      if (among(kOfMany, word(i)) || word(i) == "OVER") return false;
    }
    if (word(i + 2) == ".") i += 2;
    const Table* of = i + 1 < end ? world_.find(unquoted(word(i + 1))) : nullptr;
    if (of == nullptr || !of->def.keyless()) return false;
    int depth = 0;
    for (i += 2; i < end; ++i) {
      depth += (word(i) == "(") - (word(i) == ")");
      if (depth == 0 && among(kElse, word(i))) return false;
    }
    source_key_ = quote_name(of->columns[of->key.front()].name);
    return true;
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
  std::string call_;
  std::string source_key_;
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

IdFunction::IdFunction(Connection& db, Guard& guard, RowStore& rows, const Capture& capture,
                       FileState& state, const DatabaseOptions& options)
    : maker_(Maker{guard, rows, capture, state, options}) {
  install(db);
}

IdFunction::IdFunction(Connection& db, std::optional<int64_t> instead) : instead_(instead) {
  install(db);
}

void IdFunction::begin_group(uint64_t wall_ms) {
  wall_ms_ = wall_ms;
  highest_version_.clear();
}

void IdFunction::install(Connection& db) {
  for (const int arguments : {0, 1}) {
    sqlite3_create_function_v2(db.get(), "entente_id", arguments, SQLITE_UTF8 | SQLITE_INNOCUOUS,
                               this, &IdFunction::call, nullptr, nullptr, nullptr);
  }
}

void IdFunction::call(sqlite3_context* context, int count, sqlite3_value** arguments) {
  auto* self = static_cast<IdFunction*>(sqlite3_user_data(context));
  if (self->instead_) return sqlite3_result_int64(context, *self->instead_);
  if (!self->maker_) {
    return sqlite3_result_error(context, "entente_id() makes keys: use it in what writes", -1);
  }
  const auto key = self->next(count, arguments);
  if (key) return sqlite3_result_int64(context, *key);
  sqlite3_result_error(context, key.error().text.c_str(), -1);
}

Result<int64_t> IdFunction::next(int count, sqlite3_value** arguments) {
  if (count == 0) return by_clock();
  const Table* t = made_in(static_cast<uint64_t>(sqlite3_value_int64(arguments[0])));
  const bool wants_small = t != nullptr && t->rules.numbering == Numbering::kInterleaved;
  return wants_small ? small(*t) : by_clock();
}

Result<int64_t> IdFunction::by_clock() {
  const auto key = maker_->state.keys.next(wall_ms_, maker_->options.key_slot);
  if (key) return *key;
  return fail(Code::kSql,
              "entente_id() has no keys left in this datacenter, because its clock was decades "
              "ahead: give the rows keys of your own");
}

const Table* IdFunction::made_in(uint64_t epoch) {
  if (world_ != maker_->state.world) {
    world_ = maker_->state.world;
    by_epoch_.clear();
  }
  const auto [it, fresh] = by_epoch_.try_emplace(epoch, nullptr);
  if (!fresh || epoch == 0) return it->second;
  for (const auto& [_, t] : world_->tables) {
    if (t->def.since == epoch) it->second = t.get();
  }
  return it->second;
}

Result<int64_t> IdFunction::small(const Table& t) {
  FileState& state = maker_->state;
  if (small_of_ != state.streams.size()) {
    small_of_ = state.streams.size();
    small_ = small_keys_of(state, maker_->options);
  }
  auto last = highest(t);
  if (!last) return last;
  const auto made = state.numbers.made.find(t.id);
  const int64_t own = made != state.numbers.made.end() ? made->second : 0;
  if (given_by_ != maker_->capture.statement_number()) {
    given_by_ = maker_->capture.statement_number();
    given_.clear();
  }
  int64_t& given = given_[t.id];
  const auto key = small_ ? small_->after(std::max({own, *last, given})) : std::nullopt;
  if (!key) return by_clock();
  return given = *key;
}

// The highest small number of a row, whoever gave it.
Result<int64_t> IdFunction::highest(const Table& t) {
  const Lowered ours(maker_->guard);
  auto shown = highest(quote_name(t.def.name), quote_name(t.columns[t.key.front()].name));
  if (!shown) return shown;
  const auto [it, fresh] = highest_version_.try_emplace(t.id, 0);
  if (fresh) {
    auto known = highest("_entente_v_" + std::to_string(t.id), t.rowid_key ? "k" : "k1");
    if (!known) return known;
    it->second = *known;
  }
  return std::max(*shown, it->second);
}

Result<int64_t> IdFunction::highest(const std::string& table, const std::string& key) {
  auto q = maker_->rows.plan("SELECT max(" + key + ") FROM " + table + " WHERE " + key + " < " +
                             std::to_string(SmallKeys::kEnd));
  if (!q) return tl::unexpected(q.error());
  Rows rows(**q);
  const auto row = rows.next();
  if (!row) return tl::unexpected(row.error());
  return *row ? (*q)->integer(0) : 0;
}

}  // namespace entente::sqlite
