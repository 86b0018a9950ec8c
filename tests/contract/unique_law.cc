// UNIQUE keys made of anything, in random tables: whatever is written where, and heard of in which
// order, every database shows what a list on paper does.

#include <algorithm>
#include <random>
#include <set>

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

std::string folded(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}

// What a key's part, or its condition, makes of a row; absent: NULL, or not true.
using Made = std::optional<std::string>;
struct Part {
  std::string sql;
  std::set<std::string> of;  // columns
  std::function<Made(const Row&)> make;
  bool computed = true;  // no column's own name
};

Made text_in(const Row& row, const std::string& column) {
  const Value& v = row.at(column);
  if (std::holds_alternative<Null>(v)) return std::nullopt;
  return std::get<std::string>(v);
}
std::optional<int64_t> number_in(const Row& row) {
  const Value& v = row.at("n");
  if (std::holds_alternative<Null>(v)) return std::nullopt;
  return std::get<int64_t>(v);
}
Made as_text(std::optional<int64_t> n) { return n ? Made(std::to_string(*n)) : std::nullopt; }
Made alike(const Made& s) { return s ? Made(folded(*s)) : std::nullopt; }

// Column a is NOCASE; g is virtual, s is stored.
constexpr const char* kColumns =
    "id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b TEXT, n INT, note TEXT, "
    "g TEXT AS (lower(a) || ':' || n), s INT AS (n / 2) STORED";

std::vector<Part> parts() {
  const auto a = [](const Row& r) { return text_in(r, "a"); };
  const auto b = [](const Row& r) { return text_in(r, "b"); };
  const auto a_alike = [=](const Row& r) { return alike(a(r)); };
  return {
      {"a", {"a"}, a_alike, false},
      {"b", {"b"}, b, false},
      {"n", {"n"}, [](const Row& r) { return as_text(number_in(r)); }, false},
      {"a COLLATE BINARY", {"a"}, a},
      {"b COLLATE NOCASE", {"b"}, [=](const Row& r) { return alike(b(r)); }},
      {"lower(b)", {"b"}, [=](const Row& r) { return alike(b(r)); }},
      {"coalesce(b, '')", {"b"}, [=](const Row& r) { return Made(b(r).value_or("")); }},
      {"n % 3",
       {"n"},
       [](const Row& r) {
         const auto n = number_in(r);
         return n ? as_text(*n % 3) : std::nullopt;
       }},
      {"g",
       {"a", "n"},
       [=](const Row& r) {
         const auto n = as_text(number_in(r));
         return n && a(r) ? Made(folded(*a(r)) + ":" + *n) : std::nullopt;
       }},
      {"s",
       {"n"},
       [](const Row& r) {
         const auto n = number_in(r);
         return n ? as_text(*n / 2) : std::nullopt;
       }},
  };
}

std::vector<Part> conditions() {
  const auto when = [](bool holds) { return holds ? Made("") : std::nullopt; };
  return {
      {"n > 0", {"n"}, [=](const Row& r) { return when(number_in(r).value_or(0) > 0); }},
      {"b IS NOT NULL", {"b"}, [=](const Row& r) { return when(text_in(r, "b").has_value()); }},
      {"a <> 'X'",
       {"a"},
       [=](const Row& r) {
         const auto a = alike(text_in(r, "a"));
         return when(a && *a != "x");
       }},
  };
}

struct Key {
  std::vector<Part> parts;
  Made of(const Row& row) const {
    std::string out;
    for (const auto& part : parts) {
      const Made made = part.make(row);
      if (!made) return std::nullopt;
      out += *made + "|";
    }
    return out;
  }
};

class UniqueLaw : public DatabaseContract {
 protected:
  struct Line {
    Row row;
    Version taken;  // when a column of its keys was last set
    Dot last;       // the last write
    bool live = false;
  };

  void run(uint32_t seed);
  std::string declare(std::string& indexes);
  void write(int64_t key);
  void act(Site& site, int64_t key, Line& line);
  void exchange();
  void check();
  std::set<int64_t> expected() const;

  size_t number(size_t below) { return random_() % below; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[number(all.size())];
  }
  Value any(const std::string& column) {
    if (number(4) == 0) return Null{};
    if (column == "a") return one_of<std::string>({"x", "X", "y", "Y"});
    if (column == "b") return one_of<std::string>({"p", "P", "q"});
    if (column == "n") return static_cast<int64_t>(number(6)) - 1;
    return std::to_string(number(1000));
  }

  std::mt19937 random_;
  std::vector<Site> sites_;
  std::vector<Key> keys_;
  std::set<std::string> key_columns_;
  UniqueWins wins_ = UniqueWins::kFirst;
  bool late_ = false;  // the keys come when rows are there, which never said who set them
  std::map<int64_t, Line> lines_;
};

VersionVector applied(const Site& site) {
  VersionVector all;
  for (const auto& [origin, stream] : site.db->state().streams) all.advance(origin, stream.seq);
  return all;
}

// The table, with up to three keys; those that are not declared in it, apart.
std::string UniqueLaw::declare(std::string& indexes) {
  std::string columns = kColumns;
  keys_.clear(), key_columns_.clear();
  for (size_t k = 0, n = 1 + number(3); k < n; ++k) {
    Key key;
    std::string list, condition;
    bool plain = true;
    for (size_t i = 0, parts_n = 1 + number(2); i < parts_n; ++i) {
      key.parts.push_back(one_of(parts()));
      list += (i > 0 ? ", " : "") + key.parts.back().sql;
      plain = plain && !key.parts.back().computed;
    }
    if (number(3) == 0) {
      key.parts.push_back(one_of(conditions()));
      condition = " WHERE " + key.parts.back().sql;
    }
    for (const auto& part : key.parts) key_columns_.insert(part.of.begin(), part.of.end());
    if (plain && condition.empty() && number(2) == 0) {
      columns += ", UNIQUE (" + list + ") ON CONFLICT " +
                 one_of<std::string>({"REPLACE", "IGNORE", "FAIL", "ABORT"});
    } else {
      indexes +=
          "CREATE UNIQUE INDEX k" + std::to_string(k) + " ON t (" + list + ")" + condition + ";";
    }
    keys_.push_back(std::move(key));
  }
  return "CREATE TABLE t (" + columns + ")";
}

// What its own writes make of a row, where they come one after the other.
void UniqueLaw::write(int64_t key) {
  Line& line = lines_[key];
  std::vector<Site*> know;
  for (auto& site : sites_) {
    if (applied(site).covers(line.last)) know.push_back(&site);
  }
  act(*one_of(know), key, line);
}

void UniqueLaw::act(Site& site, int64_t key, Line& line) {
  const auto rows = table(site, "t");
  const bool shown = std::any_of(
      rows.begin(), rows.end(), [&](const auto& row) { return row.second.at("id") == Value(key); });
  if (line.live && !shown) return;
  Row after = line.row;
  Statement s;
  std::string marks, sets;
  const bool erases = line.live && number(6) == 0;
  for (const std::string column : {"a", "b", "n", "note"}) {
    if (!line.live || number(column == "note" ? 1 : 3) == 0) after[column] = any(column);
  }
  if (erases) {
    s = sql("DELETE FROM t WHERE id = ?", {key});
  } else if (!line.live) {
    s = sql("INSERT OR ABORT INTO t (id, a, b, n, note) VALUES (?, ?, ?, ?, ?)",
            {key, after["a"], after["b"], after["n"], after["note"]});
  } else {
    s = sql("UPDATE OR ABORT t SET a = ?, b = ?, n = ?, note = ? WHERE id = ?",
            {after["a"], after["b"], after["n"], after["note"], key});
  }
  site.now += number(300);
  ClientTransaction work = contract::run({std::move(s)});
  if (line.live && !erases && number(3) == 0) {
    work = [&](WriteSession& session) -> Result<void> {
      RowRequest request;
      request.table = "t";
      request.key = {key};
      request.columns = after;
      auto done = session.write(request);
      if (!done) return tl::unexpected(done.error());
      return {};
    };
  }
  const auto done = try_commit(site, work);
  if (!done || !done->dot) return;
  const bool sets_keys =
      !line.live || std::any_of(key_columns_.begin(), key_columns_.end(), [&](const auto& column) {
        return !identical(line.row[column], after[column]);
      });
  if (sets_keys) line.taken = {done->hlc, *done->dot};
  line.last = *done->dot;
  line.row = std::move(after);
  line.live = !erases;
}

void UniqueLaw::exchange() { settle({&sites_[0], &sites_[1], &sites_[2]}); }

std::set<int64_t> UniqueLaw::expected() const {
  std::vector<std::pair<Version, int64_t>> order;
  for (const auto& [key, line] : lines_) {
    if (line.live) order.emplace_back(line.taken, key);
  }
  std::sort(order.begin(), order.end());
  if (wins_ == UniqueWins::kLast) std::reverse(order.begin(), order.end());
  std::set<std::pair<size_t, std::string>> held;
  std::set<int64_t> shown;
  for (const auto& [taken, id] : order) {
    std::set<std::pair<size_t, std::string>> mine;
    for (size_t k = 0; k < keys_.size(); ++k) {
      if (const Made made = keys_[k].of(lines_.at(id).row)) mine.emplace(k, *made);
    }
    const bool free = std::none_of(mine.begin(), mine.end(),
                                   [&](const auto& claim) { return held.contains(claim); });
    if (!free) continue;
    held.insert(mine.begin(), mine.end());
    shown.insert(id);
  }
  return shown;
}

void UniqueLaw::check() {
  std::set<int64_t> want = expected();
  if (late_) {
    want.clear();
    for (const auto& [key, row] : table(sites_[0], "t"))
      want.insert(std::get<int64_t>(row.at("id")));
  }
  for (auto& site : sites_) {
    std::set<int64_t> shown, listed, hidden;
    for (const auto& [key, row] : table(site, "t")) {
      const auto id = std::get<int64_t>(row.at("id"));
      shown.insert(id);
      for (const auto& [name, value] : lines_[id].row) {
        EXPECT_TRUE(identical(row.at(name), value))
            << id << " " << name << " at " << site.options.dc;
      }
    }
    const auto open = site.reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 1000});
    ASSERT_TRUE(open);
    for (const auto& e : *open) {
      EXPECT_EQ(e.kind, "unique");
      const auto id = std::get<int64_t>(key_parts(e.key)->front());
      listed.insert(id);
      for (const auto& [name, value] : lines_[id].row) {
        EXPECT_TRUE(e.winner.row && identical(e.winner.row->at(name), value)) << id << " " << name;
      }
    }
    for (const auto& [key, line] : lines_) {
      if (line.live && !want.contains(key)) hidden.insert(key);
    }
    EXPECT_EQ(shown, want) << site.options.dc;
    EXPECT_EQ(listed, hidden) << site.options.dc;
  }
}

void UniqueLaw::run(uint32_t seed) {
  random_.seed(seed);
  place_ = GetParam().make_place();
  sites_.clear(), lines_.clear();
  ConflictRules rules;
  wins_ = rules.defaults.unique = one_of<UniqueWins>({UniqueWins::kFirst, UniqueWins::kLast});
  rules.defaults.granularity = one_of<Granularity>({Granularity::kRow, Granularity::kColumn});
  if (number(3) == 0) rules.defaults.columns["note"].kind = PolicyKind::kPriority;
  for (int n = 1; n <= 3; ++n) sites_.push_back(open(n, rules));
  std::string indexes;
  const std::string made = declare(indexes);
  SCOPED_TRACE(made + ";" + indexes);
  commit(sites_[0], contract::run({sql(made)}));
  late_ = number(4) == 0;
  const auto index = [&] {
    for (size_t at = 0, end; (end = indexes.find(';', at)) != std::string::npos; at = end + 1) {
      if (!try_commit(sites_[0], contract::run({sql(indexes.substr(at, end - at))}))) return false;
    }
    return true;
  };
  if (!late_) index();
  exchange();
  for (int step = 0; step < 60; ++step) {
    write(static_cast<int64_t>(number(7)));
    if (number(3) == 0) ship(sites_[number(3)], sites_[number(3)]);
    if (late_ && step == 8 && !index()) return;  // they collide where it is made
    if (number(20) == 0) {
      exchange();
      if (!late_ || step > 8) check();
      for (auto& site : sites_) {
        if (number(2) == 0) site.db->collect(applied(site), 1000);
      }
      const size_t n = number(3);
      reopen(sites_[n], static_cast<int>(n + 1));
    }
    if (HasFailure()) return;
  }
  exchange();
  check();
}

TEST_P(UniqueLaw, P1EveryDatabaseShowsWhatThePaperSays) {
  for (uint32_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run(seed);
  }
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, UniqueLaw, testing::ValuesIn(sql_adapters()), kName);

}  // namespace
}  // namespace entente::contract
