// What UNIQUE, CHECK and foreign keys make of rows that were written apart, in every order of
// arrival, direct and relayed.

#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>
#include <random>
#include <set>

#include "conflict/row_changes.h"
#include "conflict/row_state.h"
#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

// One transaction of one datacenter: `at` orders the clocks of all.
struct Step {
  int at = 0;
  int site = 0;
  std::vector<Statement> statements;
};

std::string text(const std::map<Key, Row>& rows) {
  std::string out;
  for (const auto& [key, row] : rows) {
    for (const auto& [name, value] : row) out += name + "=" + describe(value) + " ";
    out += "\n";
  }
  return out;
}

// Three datacenters that write apart, and others that hear of it in every order of the three.
class ConstraintCells : public DatabaseContract {
 protected:
  void open_all(const ConflictRules& rules);
  void define_sql(const std::string& statement);
  // Runs the steps, in the order of their clocks; nobody hears of the others meanwhile.
  void apart(std::vector<Step> steps);
  // Everybody hears of everything, each in its own order.
  void spread();
  void every_site(const std::function<void(Site&, const std::string&)>& check);
  std::map<std::string, std::string> open_kinds(Site& site, const std::string& table);
  // Every site shows and lists the same.
  void agree(const std::string& table);

  struct Watcher {
    std::array<size_t, 3> order;  // whose changes come first
    Site direct, relayed;
  };
  std::vector<Site> writers_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  uint64_t now_ = 1'700'000'000'000;

 private:
  void follow(Site& site, std::array<size_t, 3> order);
};

void ConstraintCells::open_all(const ConflictRules& rules) {
  int n = 1;
  for (; n <= 3; ++n) writers_.push_back(open(n, rules));
  std::array<size_t, 3> order = {0, 1, 2};
  do {
    auto w = std::make_unique<Watcher>();
    w->order = order;
    w->direct = open(n++, rules);
    w->relayed = open(n++, rules);
    watchers_.push_back(std::move(w));
  } while (std::next_permutation(order.begin(), order.end()));
}

void ConstraintCells::define_sql(const std::string& statement) {
  commit(writers_[0], run({sql(statement)}));
}

void ConstraintCells::apart(std::vector<Step> steps) {
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.at < b.at; });
  for (const auto& step : steps) {
    Site& site = writers_[static_cast<size_t>(step.site)];
    site.now = std::max(site.now, now_ + static_cast<uint64_t>(step.at) * 100);
    commit(site, run(step.statements));
  }
  now_ += 100'000;
}

// Takes what may be applied of the first, then of the second, then of the third, until nothing is
// left.
void ConstraintCells::follow(Site& site, std::array<size_t, 3> order) {
  std::array<std::vector<entente::Run>, 3> left;
  for (size_t w = 0; w < 3; ++w) {
    auto chunks = writers_[w].db->read_log(0, SIZE_MAX);
    ASSERT_TRUE(chunks);
    const Origin self = writers_[w].db->state().self;
    for (auto& c : *chunks) {
      const auto& streams = site.db->state().streams;
      const auto known = streams.find(self);
      const uint64_t have = known == streams.end() ? 0 : known->second.seq;
      if (c.run.origin == self && c.run.last() > have) left[w].push_back(std::move(c.run));
    }
    std::reverse(left[w].begin(), left[w].end());
  }
  const auto one = [&] {
    for (const size_t w : order) {
      if (left[w].empty()) continue;
      if (!site.db->apply(std::span(&left[w].back(), 1), ++site.now)) continue;
      left[w].pop_back();
      return true;
    }
    return false;
  };
  while (one()) continue;
  for (const auto& rest : left) EXPECT_TRUE(rest.empty());
}

void ConstraintCells::spread() {
  for (auto& w : watchers_) {
    follow(w->direct, w->order);
    ship(w->direct, w->relayed);
  }
  follow(writers_[0], {2, 1, 0}), follow(writers_[1], {0, 2, 1}), follow(writers_[2], {0, 1, 2});
}

void ConstraintCells::every_site(const std::function<void(Site&, const std::string&)>& check) {
  for (auto& site : writers_) check(site, "writer " + site.options.dc);
  for (auto& w : watchers_) {
    std::string order;
    for (const size_t o : w->order) order += "abc"[o];
    check(w->direct, order + " direct");
    check(w->relayed, order + " relayed");
  }
}

// By key, of rows that wait for something: what for, and the row.
std::map<std::string, std::string> ConstraintCells::open_kinds(Site& site,
                                                               const std::string& table) {
  std::map<std::string, std::set<std::string>> found;
  const auto entries = site.reader->conflicts({ConflictQuery::State::kOpen, table, {}, 0, 1000});
  EXPECT_TRUE(entries) << entries.error().text;
  for (const auto& e : entries.value_or(std::vector<ConflictEntry>{})) {
    const auto parts = key_parts(e.key);
    EXPECT_TRUE(parts && e.winner.row) << "its value is listed";
    std::string what = e.kind + " " + to_string(e.winner.version.dot);
    for (const auto& [name, value] : e.winner.row.value_or(Row{})) {
      what += " " + name + "=" + describe(value);
    }
    found[describe(parts->front())].insert(what + (e.note.empty() ? "" : ": " + e.note));
  }
  std::map<std::string, std::string> out;
  for (const auto& [key, all] : found) {
    for (const auto& what : all) out[key] += (out[key].empty() ? "" : "; ") + what;
  }
  return out;
}

void ConstraintCells::agree(const std::string& name) {
  const std::string rows = text(table(writers_[0], name));
  const auto open = open_kinds(writers_[0], name);
  every_site([&](Site& site, const std::string& where) {
    EXPECT_EQ(text(table(site, name)), rows) << where;
    EXPECT_EQ(open_kinds(site, name), open) << where;
  });
}

// ---- UNIQUE ------------------------------------------------------------------------------------

// A table with two unique columns as anybody would keep it on paper: who took what when.
struct Paper {
  struct Line {
    std::optional<std::string> a, b;
    int taken = 0;
  };
  std::map<int64_t, Line> rows;
  int clock = 0;  // of what came before

  // Keys of the rows that are shown.
  std::set<int64_t> shown(UniqueWins wins) const {
    std::vector<std::pair<int, int64_t>> order;
    for (const auto& [key, line] : rows) order.emplace_back(line.taken, key);
    std::sort(order.begin(), order.end());
    if (wins == UniqueWins::kLast) std::reverse(order.begin(), order.end());
    std::set<std::string> held;
    std::set<int64_t> out;
    for (const auto& [taken, key] : order) {
      const Line& line = rows.at(key);
      const std::string a = "a" + line.a.value_or(""), b = "b" + line.b.value_or("");
      if ((line.a && held.contains(a)) || (line.b && held.contains(b))) continue;
      if (line.a) held.insert(a);
      if (line.b) held.insert(b);
      out.insert(key);
    }
    return out;
  }
};

class UniqueCells : public ConstraintCells {
 protected:
  using Name = std::optional<std::string>;

  void SetUp() override {
    ConstraintCells::SetUp();
    ConflictRules rules;
    rules.tables["f"].unique = UniqueWins::kFirst;
    rules.tables["l"].unique = UniqueWins::kLast;
    open_all(rules);
    for (const std::string t : {"f", "l"}) {
      define_sql("CREATE TABLE " + t +
                 " (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE, note TEXT)");
    }
    spread();
  }

  // Both tables get every write.
  void add(int at, int site, const std::string& statement, std::vector<Value> args) {
    Step step{at, site, {}};
    for (const std::string t : {"f", "l"}) {
      std::string s = statement;
      s.replace(s.find('@'), 1, t);
      step.statements.push_back(sql(std::move(s), args));
    }
    steps_.push_back(std::move(step));
  }
  static Value value(const Name& n) { return n ? Value(*n) : Value(); }

  void insert(int at, int site, int64_t key, Name a, Name b) {
    add(at, site, "INSERT INTO @ (id, a, b) VALUES (?, ?, ?)", {key, value(a), value(b)});
    paper_.rows[key] = {a, b, paper_.clock + at};
  }
  void rename(int at, int site, int64_t key, Name a) {
    add(at, site, "UPDATE @ SET a = ? WHERE id = ?", {value(a), key});
    paper_.rows[key].a = a;
    paper_.rows[key].taken = paper_.clock + at;
  }
  void note(int at, int site, int64_t key) {
    add(at, site, "UPDATE @ SET note = ? WHERE id = ?",
        {std::string("noted ") + std::to_string(at), key});
  }
  void erase(int at, int site, int64_t key) {
    add(at, site, "DELETE FROM @ WHERE id = ?", {key});
    paper_.rows.erase(key);
  }
  // Two rows exchange their names in one transaction.
  void swap(int at, int site, int64_t x, int64_t y) {
    const Name was = paper_.rows[x].a, other = paper_.rows[y].a;
    Step step{at, site, {}};
    for (const std::string t : {"f", "l"}) {
      const std::string set = "UPDATE " + t + " SET a = ? WHERE id = ?";
      step.statements.push_back(sql(set, {Value(), x}));
      step.statements.push_back(sql(set, {value(was), y}));
      step.statements.push_back(sql(set, {value(other), x}));
    }
    steps_.push_back(std::move(step));
    for (const auto& [key, name] : {std::pair(x, other), std::pair(y, was)}) {
      paper_.rows[key].a = name;
      paper_.rows[key].taken = paper_.clock + at;
    }
  }

  // The steps so far happen, arrive everywhere, and every site shows what the paper says.
  void settle_and_check(const std::string& what) {
    SCOPED_TRACE(what);
    apart(std::move(steps_));
    steps_.clear();
    paper_.clock += 1000;
    spread();
    for (const auto& [name, wins] :
         {std::pair("f", UniqueWins::kFirst), std::pair("l", UniqueWins::kLast)}) {
      agree(name);
      const std::set<int64_t> want = paper_.shown(wins);
      every_site([&](Site& site, const std::string& where) {
        std::set<int64_t> shown;
        for (const auto& [key, row] : table(site, name)) {
          shown.insert(std::get<int64_t>(row.at("id")));
          const auto& line = paper_.rows[std::get<int64_t>(row.at("id"))];
          EXPECT_EQ(row.at("a"), value(line.a)) << name << " at " << where;
          EXPECT_EQ(row.at("b"), value(line.b)) << name << " at " << where;
        }
        EXPECT_EQ(shown, want) << name << " at " << where;
        std::set<int64_t> listed, hidden;
        for (const auto& [key, kind] : open_kinds(site, name)) {
          listed.insert(std::stoll(key));
          EXPECT_EQ(kind.substr(0, 7), "unique ") << name << " at " << where;
        }
        for (const auto& [key, line] : paper_.rows) {
          if (!want.contains(key)) hidden.insert(key);
        }
        EXPECT_EQ(listed, hidden) << name << " at " << where;
        ++reached_[what];
      });
    }
  }

  void print() const {
    std::cout
        << "\nUNIQUE: first and last, three writers, six orders of arrival, direct and relayed\n";
    for (const auto& [what, n] : reached_) {
      std::cout << std::left << std::setw(60) << what << n << "\n";
      EXPECT_EQ(n, 2 * (3 + 6 * 2u)) << what;
    }
  }

  std::vector<Step> steps_;
  Paper paper_;
  std::map<std::string, size_t> reached_;
};

TEST_P(UniqueCells, P1RowsThatTakeOneKeyApartAreShownAlikeInEveryOrder) {
  // What was there.
  insert(1, 0, 21, "p", {}), insert(2, 0, 22, "q", {});
  insert(3, 0, 31, "x3", {}), insert(4, 0, 32, "y3", {});
  insert(5, 0, 42, "y4", {});
  settle_and_check("rows that do not conflict");

  insert(1, 0, 11, "x", {}), insert(2, 1, 12, "x", {});
  note(3, 1, 12), note(4, 0, 11);  // later writes to other columns change nothing
  rename(5, 1, 22, "z"), rename(6, 0, 21, "z");
  settle_and_check("two rows, one key: inserted, updated");

  swap(1, 2, 31, 32);
  settle_and_check("a swap inside one transaction");

  insert(1, 0, 41, "x4", {}), swap(2, 0, 41, 42), insert(3, 1, 43, "x4", {});
  settle_and_check("a swap, and a third row that takes one of the two");

  insert(1, 0, 51, "x5", {}), insert(2, 1, 52, {}, "y5"), insert(3, 2, 53, "x5", "y5");
  insert(4, 2, 63, "x6", "y6"), insert(5, 0, 61, "x6", {}), insert(6, 1, 62, {}, "y6");
  settle_and_check("a row that hits two keys of two rows");

  insert(1, 0, 71, "x7", {}), insert(2, 1, 72, "x7", "y7"), insert(3, 2, 73, {}, "y7");
  insert(4, 1, 82, "x8", "y8"), insert(5, 0, 81, "x8", {}), insert(6, 2, 83, {}, "y8");
  insert(7, 0, 91, "x9", {}), insert(8, 1, 92, "x9", {}), insert(9, 2, 93, "x9", {});
  settle_and_check("chains of three");

  // Rows that both tables show: SQL deletes what it sees.
  erase(1, 0, 71), erase(2, 1, 73);
  settle_and_check("holders and losers deleted");
  print();
}

TEST_P(UniqueCells, LoserComesBackByItselfWhenTheHolderGoes) {
  insert(1, 0, 1, "x", {}), insert(2, 1, 2, "x", {});
  insert(3, 0, 11, "y", {}), insert(4, 1, 12, "y", {});
  settle_and_check("two rows, one key");
  for (const std::string name : {"f", "l"}) {
    const int64_t holder = name == "f" ? 1 : 2;
    steps_.push_back({1, 2, {sql("DELETE FROM " + name + " WHERE id = ?", {holder})}});
    steps_.push_back(
        {2, 2, {sql("UPDATE " + name + " SET a = 'free' WHERE id = ?", {holder + 10})}});
  }
  apart(std::move(steps_));
  spread();
  for (const std::string name : {"f", "l"}) {
    const int64_t holder = name == "f" ? 1 : 2;
    agree(name);
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(table(site, name).size(), 3u) << name << " at " << where;
      EXPECT_FALSE(read(site, name, holder).row) << name << " at " << where;
      EXPECT_TRUE(open_kinds(site, name).empty()) << name << " at " << where;
    });
  }
}

// ---- UNIQUE keys of every make -----------------------------------------------------------------

std::string folded(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}

// How a key is declared, and by hand what it makes of a row (id, a, gone, note): "" is no key.
struct Make {
  std::string name, columns, index;
  std::function<std::string(const std::string& a, bool gone)> key;
};

const std::vector<Make>& makes() {
  const auto same = [](const std::string& a, bool) { return a; };
  const auto alike = [](const std::string& a, bool) { return folded(a); };
  const auto while_here = [](const std::string& a, bool gone) { return gone ? "" : folded(a); };
  static const std::vector<Make> kMakes = {
      {"column", "a TEXT UNIQUE", "", same},
      {"nocase column", "a TEXT COLLATE NOCASE UNIQUE", "", alike},
      {"nocase index", "a TEXT", "(a COLLATE NOCASE)", alike},
      {"binary index over a nocase column", "a TEXT COLLATE NOCASE", "(a COLLATE BINARY)", same},
      {"expression", "a TEXT", "(lower(a) DESC)", alike},
      {"part of the rows", "a TEXT COLLATE NOCASE", "(a) WHERE gone = 0", while_here},
      {"expression over part", "a TEXT", "(lower(\"a\")) WHERE NOT gone AND a <> 'lower'",
       while_here},
      {"virtual column", "a TEXT, low TEXT AS (lower(a)) UNIQUE", "", alike},
      {"stored column", "a TEXT, low TEXT GENERATED ALWAYS AS (lower(a)) STORED", "(low)", alike},
      {"computed twice", "a TEXT, l TEXT AS (lower(a)), k TEXT AS (CASE gone WHEN 0 THEN l END)",
       "(k)", while_here},
      {"replace", "a TEXT UNIQUE ON CONFLICT REPLACE", "", same},
      {"ignore", "a TEXT UNIQUE ON CONFLICT IGNORE", "", same},
      {"fail", "a TEXT UNIQUE ON CONFLICT FAIL", "", same},
      {"abort", "a TEXT, UNIQUE (a) ON CONFLICT ABORT", "", same},
  };
  return kMakes;
}

// A table for each of them, and on paper what it holds.
class UniqueMakes : public ConstraintCells {
 protected:
  struct Line {
    std::optional<std::string> a;
    bool gone = false;
    int taken = 0;
  };
  struct Book {
    const Make* make = nullptr;
    std::string table;
    std::map<int64_t, Line> rows;
  };

  void open_books(UniqueWins wins, Granularity granularity) {
    wins_ = wins;
    ConflictRules rules;
    rules.defaults.unique = wins;
    rules.defaults.granularity = granularity;
    open_all(rules);
    books_.clear();
    for (const auto& make : makes()) {
      books_.push_back({&make, "t" + std::to_string(books_.size()), {}});
      const std::string& table = books_.back().table;
      define_sql("CREATE TABLE " + table + " (id INTEGER PRIMARY KEY, gone INT, note TEXT, " +
                 make.columns + ")");
      if (make.index.empty()) continue;
      define_sql("CREATE UNIQUE INDEX " + table + "_key ON " + table + " " + make.index);
    }
    spread();
  }

  std::set<int64_t> shown(const Book& book) const {
    std::vector<std::pair<int, int64_t>> order;
    for (const auto& [key, line] : book.rows) order.emplace_back(line.taken, key);
    std::sort(order.begin(), order.end());
    if (wins_ == UniqueWins::kLast) std::reverse(order.begin(), order.end());
    std::set<std::string> held;
    std::set<int64_t> out;
    for (const auto& [taken, key] : order) {
      const Line& line = book.rows.at(key);
      const std::string mine = line.a ? book.make->key(*line.a, line.gone) : "";
      if (mine.empty() || held.insert(mine).second) out.insert(key);
    }
    return out;
  }
  // The row that is shown of those; 0 for none.
  int64_t one_of(const Book& book, std::set<int64_t> keys) const {
    for (const int64_t key : shown(book)) {
      if (keys.contains(key)) return key;
    }
    return 0;
  }

  void step(const Book& book, int at, int site, std::string statement, std::vector<Value> args) {
    statement.replace(statement.find('@'), 1, book.table);
    steps_.push_back({at, site, {sql(std::move(statement), std::move(args))}});
  }
  void insert(Book& book, int at, int site, int64_t key, std::optional<std::string> a,
              bool gone = false) {
    step(book, at, site, "INSERT INTO @ (id, a, gone) VALUES (?, ?, ?)",
         {key, a ? Value(*a) : Value(), int64_t{gone}});
    book.rows[key] = {std::move(a), gone, clock_ + at};
  }
  void rename(Book& book, int at, int site, int64_t key, const std::string& a) {
    step(book, at, site, "UPDATE @ SET a = ? WHERE id = ?", {a, key});
    Line& line = book.rows.at(key);
    if (line.a != a) line.taken = clock_ + at;
    line.a = a;
  }
  void erase(Book& book, int at, int site, int64_t key) {
    step(book, at, site, "DELETE FROM @ WHERE id = ?", {key});
    book.rows.erase(key);
  }

  void happen(const std::string& what) {
    SCOPED_TRACE(what);
    // A step of every table at once: the sites' clocks are what matters.
    apart(std::move(steps_));
    steps_.clear();
    clock_ += 1000;
    spread();
    for (const auto& book : books_) {
      SCOPED_TRACE(book.make->name);
      agree(book.table);
      const std::set<int64_t> want = shown(book);
      every_site([&](Site& site, const std::string& where) {
        std::set<int64_t> there, listed, hidden;
        for (const auto& [key, row] : table(site, book.table)) {
          there.insert(std::get<int64_t>(row.at("id")));
        }
        for (const auto& [key, kind] : open_kinds(site, book.table)) {
          listed.insert(std::stoll(key));
          EXPECT_EQ(kind.substr(0, 7), "unique ") << where;
        }
        for (const auto& [key, line] : book.rows) {
          if (!want.contains(key)) hidden.insert(key);
        }
        EXPECT_EQ(there, want) << where;
        EXPECT_EQ(listed, hidden) << where;
      });
    }
  }

  void run_all(UniqueWins wins, Granularity granularity);

  UniqueWins wins_ = UniqueWins::kFirst;
  std::vector<Book> books_;
  std::vector<Step> steps_;
  int clock_ = 0;
};

void UniqueMakes::run_all(UniqueWins wins, Granularity granularity) {
  open_books(wins, granularity);
  for (auto& book : books_) {
    insert(book, 1, 0, 1, "Ann"), insert(book, 2, 1, 2, "ann"), insert(book, 3, 2, 3, "Ann", true);
    insert(book, 4, 0, 4, {}), insert(book, 5, 1, 5, {}), insert(book, 6, 2, 6, "Bea");
    // Later writes to other columns, and one that changes nothing, do not count.
    step(book, 7, 1, "UPDATE @ SET note = 'later' WHERE id = ?", {int64_t{2}});
    step(book, 8, 0, "UPDATE @ SET note = 'later', a = a WHERE id = ?", {int64_t{1}});
  }
  happen("rows with one key, NULLs, one beside it");

  for (auto& book : books_) {
    for (const int64_t key : shown(book)) {
      step(book, static_cast<int>(10 - key), 2, "UPDATE @ SET note = 'noted' WHERE id = ?", {key});
    }
  }
  happen("other columns updated elsewhere");

  for (auto& book : books_) {
    for (const int64_t key : shown(book)) {
      const Line& line = book.rows.at(key);
      put(writers_[1], book.table, key,
          {{"a", line.a ? Value(*line.a) : Value()},
           {"gone", int64_t{line.gone}},
           {"note", std::string("put")}});
    }
  }
  happen("put as they are");

  for (auto& book : books_) {
    // The other one takes the key last; that it had it before does not count.
    insert(book, 1, 1, 22, "Kim"), insert(book, 2, 0, 21, "Kim");
    rename(book, 3, 1, 22, "away"), rename(book, 4, 1, 22, "Kim"), rename(book, 5, 0, 21, "Kim");
  }
  happen("taken, given up and taken again");

  for (auto& book : books_) {
    if (const int64_t key = one_of(book, {1, 2, 3})) erase(book, 1, 2, key);
    if (const int64_t key = one_of(book, {21, 22})) rename(book, 2, 0, key, "free");
  }
  happen("holders deleted, or renamed");

  for (auto& book : books_) {
    const int64_t key = one_of(book, {1, 2, 3});
    step(book, 1, 0, "UPDATE @ SET gone = 1 - gone WHERE id = ?", {key});
    Line& line = book.rows.at(key);
    line.gone = !line.gone;
    const std::string was = book.make->key(*line.a, !line.gone);
    if (was != book.make->key(*line.a, line.gone)) line.taken = clock_ + 1;
    insert(book, 2, 1, 31, "Zoe"), insert(book, 3, 2, 32, "zoe"), insert(book, 4, 0, 33, "ZOE");
  }
  happen("rows that come under a key, or leave it");
}

TEST_P(UniqueMakes, P1FirstIsShownWhateverTheKeyIsMadeOf) {
  run_all(UniqueWins::kFirst, Granularity::kColumn);
}
TEST_P(UniqueMakes, P1LastIsShownWhateverTheKeyIsMadeOf) {
  run_all(UniqueWins::kLast, Granularity::kColumn);
}
TEST_P(UniqueMakes, P1FirstIsShownOfRowsThatConflictWhole) {
  run_all(UniqueWins::kFirst, Granularity::kRow);
}
TEST_P(UniqueMakes, P1LastIsShownOfRowsThatConflictWhole) {
  run_all(UniqueWins::kLast, Granularity::kRow);
}

// The rows that an index refuses are taken out where it comes later than they do.
TEST_P(UniqueMakes, P1IndexThatMeetsRowsWithOneKeyIsMadeEverywhere) {
  open_all({});
  const std::vector<std::string> indexes = {
      "(a COLLATE NOCASE)", "(lower(a))", "(a) WHERE gone = 0", "(low)", "(a, coalesce(day, ''))"};
  for (size_t i = 0; i < indexes.size(); ++i) {
    define_sql("CREATE TABLE t" + std::to_string(i) +
               " (id INTEGER PRIMARY KEY, a TEXT, gone INT, day TEXT, low TEXT AS (lower(a)))");
  }
  spread();
  std::vector<Step> steps;
  for (size_t i = 0; i < indexes.size(); ++i) {
    const std::string t = "t" + std::to_string(i);
    const std::string insert = "INSERT INTO " + t + " (id, a, gone, day) VALUES ";
    steps.push_back({1, 1, {sql(insert + "(1, 'ann', 0, '2026-01-01'), (2, 'x', 0, NULL)")}});
    steps.push_back(
        {2,
         1,
         {sql(insert + "(3, 'ann', 0, '2026-01-01'), (4, NULL, 0, NULL), (5, 'ann', 1, NULL)")}});
    steps.push_back({3, 0, {sql("CREATE UNIQUE INDEX i" + t + " ON " + t + " " + indexes[i])}});
    steps.push_back({4, 2, {sql(insert + "(6, 'ann', 0, '2026-01-01'), (7, NULL, 0, NULL)")}});
  }
  apart(std::move(steps));
  spread();
  const std::vector<std::set<int64_t>> want = {
      {1, 2, 4, 7}, {1, 2, 4, 7}, {1, 2, 4, 5, 7}, {1, 2, 4, 7}, {1, 2, 4, 5, 7}};
  for (size_t i = 0; i < indexes.size(); ++i) {
    SCOPED_TRACE(indexes[i]);
    const std::string t = "t" + std::to_string(i);
    agree(t);
    every_site([&](Site& site, const std::string& where) {
      std::set<int64_t> there;
      for (const auto& [key, row] : table(site, t)) there.insert(std::get<int64_t>(row.at("id")));
      EXPECT_EQ(there, want[i]) << where;
      const auto open = open_kinds(site, t);
      EXPECT_EQ(open.size() + there.size(), 7u) << where;
    });
  }
  // Whatever is waiting comes back with the index gone.
  for (size_t i = 0; i < indexes.size(); ++i) define_sql("DROP INDEX it" + std::to_string(i));
  spread();
  for (size_t i = 0; i < indexes.size(); ++i) {
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(table(site, "t" + std::to_string(i)).size(), 7u) << where;
      EXPECT_TRUE(open_kinds(site, "t" + std::to_string(i)).empty()) << where;
    });
  }
}

// ---- CHECK and foreign keys --------------------------------------------------------------------

TEST_P(ConstraintCells, P11RowThatACheckRefusesWaitsAndTheStreamGoesOn) {
  ConflictRules rules;
  rules.tables["n"].policy.kind = PolicyKind::kCounter;
  open_all(rules);
  define_sql("CREATE TABLE r (id INTEGER PRIMARY KEY, lo INT, hi INT, CHECK (lo <= hi))");
  define_sql("CREATE TABLE n (id INTEGER PRIMARY KEY, left INTEGER CHECK (left >= 0))");
  commit(writers_[0], run({sql("INSERT INTO r VALUES (1, 0, 10), (2, 0, 10)"),
                           sql("INSERT INTO n VALUES (1, 10)")}));
  spread();
  // Each is right where it is made; together they are not. Row 2 is in the same transaction.
  apart({{1,
          0,
          {sql("UPDATE r SET lo = 8 WHERE id = 1"), sql("UPDATE r SET lo = 1 WHERE id = 2"),
           sql("UPDATE n SET left = left - 7")}},
         {2, 1, {sql("UPDATE r SET hi = 5 WHERE id = 1"), sql("UPDATE n SET left = left - 6")}},
         {3, 1, {sql("INSERT INTO r VALUES (3, 1, 1)")}}});
  spread();
  agree("r"), agree("n");
  every_site([&](Site& site, const std::string& where) {
    EXPECT_EQ(table(site, "r").size(), 2u) << where;
    EXPECT_TRUE(table(site, "n").empty()) << where;
    EXPECT_EQ(read(site, "r", int64_t{2}).row->at("lo"), Value(int64_t{1})) << where;
    EXPECT_EQ(read(site, "r", int64_t{1}).conflict, RowConflict::kOpen) << where;
    const auto open = open_kinds(site, "r");
    ASSERT_EQ(open.size(), 1u) << where;
    EXPECT_EQ(open.at("1").substr(0, 11), "constraint ") << where;
    EXPECT_NE(open.at("1").find("hi=5 lo=8"), std::string::npos) << open.at("1");
  });
  put(writers_[2], "r", int64_t{1}, {{"lo", int64_t{2}}, {"hi", int64_t{3}}});
  spread();
  agree("r");
  every_site([&](Site& site, const std::string& where) {
    EXPECT_EQ(table(site, "r").size(), 3u) << where;
    EXPECT_TRUE(open_kinds(site, "r").empty()) << where;
  });
}

// What two datacenters made of a row, each in its right, makes an expression raise.
TEST_P(ConstraintCells, P11RowThatMakesAnExpressionRaiseWaitsAlone) {
  open_all({});
  const std::string columns = " (id INTEGER PRIMARY KEY, n INT, which INT, note TEXT";
  const std::string raises = "abs(iif(which, n, 0))";
  define_sql("CREATE TABLE i" + columns + ")");
  define_sql("CREATE INDEX i_n ON i (" + raises + ")");
  define_sql("CREATE TABLE p" + columns + ")");
  define_sql("CREATE INDEX p_n ON p (note) WHERE " + raises + " > 0");
  define_sql("CREATE TABLE g" + columns + ", made INT AS (" + raises + ") STORED)");
  define_sql("CREATE TABLE v" + columns + ", made INT NOT NULL AS (" + raises + ") VIRTUAL)");
  define_sql("CREATE TABLE c" + columns + ", CHECK (" + raises + " >= 0))");
  const std::vector<std::string> all = {"i", "p", "g", "v", "c"};
  const auto each = [&](int at, int site, const std::string& statement) {
    Step step{at, site, {}};
    for (const auto& t : all) {
      std::string s = statement;
      s.replace(s.find('@'), 1, t);
      step.statements.push_back(sql(std::move(s)));
    }
    return step;
  };
  const std::string rows = " (1, 0, 0, ''), (2, 0, 0, ''), (3, 0, 1, '')";
  apart({each(1, 0, "INSERT INTO @ (id, n, which, note) VALUES" + rows)});
  spread();
  apart({each(1, 0, "UPDATE @ SET which = 1 WHERE id = 1"),
         each(2, 1, "UPDATE @ SET n = -9223372036854775807 - 1 WHERE id < 3"),
         each(3, 1, "INSERT INTO @ (id, n, which, note) VALUES (4, 4, 1, '')"),
         each(4, 2, "UPDATE @ SET note = 'later'")});
  spread();
  for (const auto& t : all) {
    SCOPED_TRACE(t);
    agree(t);
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(table(site, t).size(), 3u) << where;
      const auto open = open_kinds(site, t);
      ASSERT_EQ(open.size(), 1u) << where;
      EXPECT_EQ(open.at("1").substr(0, 11), "constraint ") << where;
      const auto entries = site.reader->conflicts({ConflictQuery::State::kOpen, t, {}, 0, 9});
      ASSERT_TRUE(entries && entries->size() == 1) << where;
      EXPECT_EQ(entries->front().note, "integer overflow") << where;
    });
    put(writers_[2], t, int64_t{1}, {{"n", int64_t{5}}});
  }
  spread();
  for (const auto& t : all) {
    agree(t);
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(table(site, t).size(), 4u) << where;
      EXPECT_TRUE(open_kinds(site, t).empty()) << where;
    });
  }
}

// A schema change meets rows that it would not have let in, and cannot be left out for them.
TEST_P(ConstraintCells, P11RowThatASchemaChangeCannotTakeWaitsAndTheChangeIsMade) {
  struct Case {
    std::string change, row, note, back;
  };
  const std::vector<Case> cases = {
      {"CREATE INDEX x ON t (date(a))", "(1, 'now', '')",
       "non-deterministic use of date() in an index", "DROP INDEX x"},
      {"CREATE INDEX x ON t (abs(a))", "(1, -9223372036854775807 - 1, '')", "integer overflow",
       "DROP INDEX x"},
      {"CREATE INDEX x ON t (b) WHERE abs(a) > 1", "(1, -9223372036854775807 - 1, '')",
       "integer overflow", "DROP INDEX x"},
      {"ALTER TABLE t ADD COLUMN c INT DEFAULT 0 CHECK (c <= a)", "(1, -5, '')",
       "CHECK constraint failed: c <= a", "ALTER TABLE t DROP COLUMN c"},
      {"ALTER TABLE t ADD COLUMN g INT NOT NULL AS (abs(a))", "(1, -9223372036854775807 - 1, '')",
       "integer overflow", "ALTER TABLE t DROP COLUMN g"},
  };
  for (const auto& [change, row, note, back] : cases) {
    SCOPED_TRACE(change);
    place_ = GetParam().make_place();
    writers_.clear(), watchers_.clear();
    open_all({});
    define_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT)");
    define_sql("CREATE INDEX other ON t (b)");
    define_sql("CREATE TABLE child (id INTEGER PRIMARY KEY, up INT REFERENCES t (id))");
    commit(writers_[0],
           run({sql("INSERT INTO t VALUES (7, 7, '{}')"), sql("INSERT INTO child VALUES (7, 7)")}));
    spread();
    apart({{1, 1, {sql("INSERT INTO t (id, a, b) VALUES " + row)}},
           {2, 2, {sql("INSERT INTO t (id, a, b) VALUES (2, 2, '{}')")}},
           {3, 0, {sql(change)}},
           {4, 2, {sql("UPDATE t SET b = '{\"n\": 1}' WHERE id = 2")}}});
    spread();
    agree("t"), agree("child");
    const auto schema = [&](Site& site) {
      std::string out;
      const auto found = site.reader->execute(
          sql("SELECT sql FROM sqlite_master WHERE tbl_name = 't' AND sql IS NOT NULL"));
      EXPECT_TRUE(found);
      for (const auto& r : found->rows) out += describe(r[0]) + "\n";
      return out;
    };
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(schema(site), schema(writers_[0])) << where;
      EXPECT_EQ(table(site, "t").size(), 2u) << where;
      EXPECT_EQ(table(site, "child").size(), 1u) << where;
      const auto entries = site.reader->conflicts({ConflictQuery::State::kOpen, "t", {}, 0, 9});
      ASSERT_TRUE(entries && entries->size() == 1) << where;
      EXPECT_EQ(entries->front().kind, "constraint") << where;
      EXPECT_EQ(entries->front().note, note) << where;
    });
    apart({{1, 0, {sql(back)}}});
    spread();
    agree("t");
    every_site([&](Site& site, const std::string& where) {
      EXPECT_EQ(table(site, "t").size(), 3u) << where;
      EXPECT_TRUE(open_kinds(site, "t").empty()) << where;
    });
    if (HasFailure()) return;
  }
}

TEST_P(ConstraintCells, P11NullThatAColumnRefusesWaitsUntilItIsMendedAfar) {
  open_all({});
  define_sql(
      "CREATE TABLE r (id INTEGER PRIMARY KEY, a INT, b INT, CHECK (a IS NOT NULL OR b IS NOT "
      "NULL))");
  commit(writers_[0], run({sql("INSERT INTO r VALUES (1, 1, 1)")}));
  spread();
  apart({{1, 0, {sql("UPDATE r SET a = NULL")}}, {2, 1, {sql("UPDATE r SET b = NULL")}}});
  // The third has heard of the first alone, and mends what it does not know to be broken.
  ship(writers_[0], writers_[2]);
  apart({{1, 2, {sql("UPDATE r SET a = 5")}}});
  for (auto& w : watchers_) ship(writers_[1], w->direct);
  spread();
  agree("r");
  every_site([&](Site& site, const std::string& where) {
    EXPECT_EQ(table(site, "r").size(), 1u) << where;
    EXPECT_TRUE(open_kinds(site, "r").empty()) << where;
  });
}

// Children of a parent that was deleted where nobody knew of them: `k` keeps them, `h` hides them.
class OrphanCells : public ConstraintCells {
 protected:
  void SetUp() override {
    ConstraintCells::SetUp();
    ConflictRules rules;
    rules.tables["k"].orphans = Orphans::kKeep;
    rules.tables["h"].orphans = Orphans::kHide;
    open_all(rules);
    define_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT)");
    for (const std::string t : {"k", "h"}) {
      define_sql("CREATE TABLE " + t +
                 " (id INTEGER PRIMARY KEY, note TEXT, "
                 "parent INTEGER REFERENCES parent (id) ON DELETE CASCADE)");
    }
    commit(writers_[0], run({sql("INSERT INTO parent VALUES (1, 'p'), (2, 'q')"),
                             sql("INSERT INTO k VALUES (11, '', 1), (21, '', 2)"),
                             sql("INSERT INTO h VALUES (11, '', 1), (21, '', 2)")}));
    spread();
  }

  static Step both(int at, int site, const std::string& statement) {
    Step step{at, site, {}};
    for (const std::string t : {"k", "h"}) {
      std::string s = statement;
      s.replace(s.find('@'), 1, t);
      step.statements.push_back(sql(std::move(s)));
    }
    return step;
  }

  // These children exist; those have no parent.
  void expect(const std::string& what, const std::set<int64_t>& children,
              const std::set<int64_t>& orphans) {
    SCOPED_TRACE(what);
    spread();
    agree("parent"), agree("k"), agree("h");
    every_site([&](Site& site, const std::string& where) {
      for (const std::string t : {"k", "h"}) {
        std::set<int64_t> want = children, shown, listed;
        if (t == "h") std::erase_if(want, [&](int64_t key) { return orphans.contains(key); });
        for (const auto& [key, row] : table(site, t)) {
          shown.insert(std::get<int64_t>(row.at("id")));
        }
        for (const auto& [key, kind] : open_kinds(site, t)) {
          listed.insert(std::stoll(key));
          EXPECT_EQ(kind.substr(0, 12), "foreign-key ") << t << " at " << where;
        }
        EXPECT_EQ(shown, want) << t << " at " << where;
        EXPECT_EQ(listed, orphans) << t << " at " << where;
      }
      ++reached_[what];
    });
  }

  std::map<std::string, size_t> reached_;
};

TEST_P(OrphanCells, P1ChildrenOfADeletedParentAreListedAlikeInEveryOrder) {
  apart({{1, 0, {sql("DELETE FROM parent WHERE id = 1")}},
         both(2, 1, "INSERT INTO @ VALUES (12, '', 1)"),
         both(3, 2, "UPDATE @ SET parent = 1 WHERE id = 21")});
  expect("parent deleted, child inserted; child moved to it", {12, 21}, {12, 21});

  apart({{1, 2, {sql("INSERT INTO parent VALUES (1, 'again')")}}});
  expect("parent inserted again", {12, 21}, {});

  apart({{1, 0, {sql("DELETE FROM parent WHERE id = 1")}},
         both(2, 1, "UPDATE @ SET note = 'kept' WHERE id = 12"),
         both(3, 2, "UPDATE @ SET parent = 2 WHERE id = 21")});
  expect("parent deleted with a cascade, children updated", {12, 21}, {12});

  put(writers_[1], "k", int64_t{12}, {{"note", std::string("mended")}, {"parent", int64_t{2}}});
  put(writers_[2], "h", int64_t{12}, {{"note", std::string("mended")}, {"parent", int64_t{2}}});
  expect("child mended", {12, 21}, {});

  apart({both(1, 0, "DELETE FROM @ WHERE id = 12"),
         {2, 1, {sql("DELETE FROM parent WHERE id = 2")}}});
  expect("child deleted, parent deleted with a cascade", {}, {});

  std::cout
      << "\nFOREIGN KEY: keep and hide, three writers, six orders of arrival, direct and relayed\n";
  for (const auto& [what, n] : reached_) {
    std::cout << std::left << std::setw(60) << what << n << "\n";
    EXPECT_EQ(n, 3 + 6 * 2u) << what;
  }
}

// P1 where everything meets: keys that two rows want, rows that a CHECK refuses, parents that go,
// rows that are deleted and made again, heard of in any order.
class RandomConstraints : public ConstraintCells {
 protected:
  void run_one(uint32_t seed, Granularity granularity, UniqueWins unique, Orphans orphans) {
    std::mt19937 random(seed);
    ConflictRules rules;
    rules.defaults.granularity = granularity;
    rules.defaults.unique = unique;
    rules.defaults.orphans = orphans;
    open_all(rules);
    define_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY, n INT)");
    define_sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE, lo INT, hi INT, "
        "parent INTEGER REFERENCES parent (id) ON DELETE CASCADE, CHECK (lo <= hi))");
    if (seed % 3 != 0)
      define_sql("CREATE UNIQUE INDEX t_made ON t (coalesce(b, a), hi) WHERE lo > 1");
    spread();
    for (int step = 0; step < 90; ++step) {
      Site& site = writers_[random() % 3];
      site.now += random() % 300;
      if (random() % 4 == 0) {
        ship(writers_[random() % 3], site);
      } else {
        try_commit(site,
                   run(work(random)));  // a constraint may refuse it here: then it did nothing
      }
      if (random() % 30 == 0) spread();
    }
    spread();
    agree("parent"), agree("t");
  }

  static std::vector<Statement> work(std::mt19937& random) {
    const auto number = [&](int64_t below) { return static_cast<int64_t>(random() % below); };
    const auto name = [&]() -> Value {
      if (random() % 4 == 0) return Null{};
      return std::string(1, static_cast<char>('p' + random() % 3));
    };
    const int64_t key = number(6), parent = number(2);
    switch (random() % 8) {
      case 0:
        return {sql("DELETE FROM t WHERE id = ?", {key})};
      case 1:
        return {sql("DELETE FROM parent WHERE id = ?", {parent})};
      case 2:
        return {sql("INSERT INTO parent VALUES (?, ?)", {parent, number(9)})};
      case 3:
        return {sql("UPDATE t SET a = ? WHERE id = ?", {name(), key})};
      case 4:
        return {sql("UPDATE t SET b = ?, lo = ? WHERE id = ?", {name(), number(4), key})};
      case 5:
        return {sql("UPDATE t SET hi = ?, parent = ? WHERE id = ?", {number(8), parent, key})};
      case 6:
        return {sql("UPDATE OR IGNORE t SET id = ? WHERE id = ?", {number(6), key})};
      default:
        return {sql("INSERT OR REPLACE INTO t VALUES (?, ?, ?, ?, ?, ?)",
                    {key, name(), name(), number(4), number(4) + 2,
                     random() % 2 == 0 ? Value(parent) : Value()})};
    }
  }
};

TEST_P(RandomConstraints, P1HoldsWhateverIsRefused) {
  for (uint32_t seed = 4; seed < 9; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    place_ = GetParam().make_place();
    writers_.clear(), watchers_.clear();
    run_one(seed, seed % 2 == 0 ? Granularity::kRow : Granularity::kColumn,
            seed % 4 < 2 ? UniqueWins::kFirst : UniqueWins::kLast,
            seed % 3 == 0 ? Orphans::kHide : Orphans::kKeep);
    if (HasFailure()) return;
  }
}

// Rows that refer to each other, to themselves and in circles, to keys and to other UNIQUE columns.
// What is shown and listed is what README.md of the adapter says of the rows' states, one step
// after the other, computed here without the adapter.
class RandomReferences : public ConstraintCells {
 protected:
  static constexpr int kTables = 3;
  static std::string name_of(int table) { return "t" + std::to_string(table); }

  struct Schema {
    ConflictRules rules;
    std::array<std::array<int, 2>, kTables> parents{};  // r refers to an id, s to an a
    std::array<std::string, kTables> sql;
  };

  static Schema make_schema(std::mt19937& random) {
    Schema out;
    const bool by_row = random() % 4 == 0;
    out.rules.defaults.granularity = by_row ? Granularity::kRow : Granularity::kColumn;
    const std::array<const char*, 4> acts = {"", " ON DELETE CASCADE", " ON DELETE SET NULL",
                                             " DEFERRABLE INITIALLY DEFERRED"};
    for (int t = 0; t < kTables; ++t) {
      TableRules& rules = out.rules.tables[name_of(t)];
      rules.granularity = out.rules.defaults.granularity;
      rules.orphans = random() % 3 == 0 ? Orphans::kKeep : Orphans::kHide;
      rules.unique = random() % 2 == 0 ? UniqueWins::kFirst : UniqueWins::kLast;
      for (int& parent : out.parents[t]) {
        parent = random() % 2 == 0 ? t : static_cast<int>(random() % kTables);
      }
      const bool refers = t > 0 || random() % 2 == 0;
      if (!refers) out.parents[t] = {-1, -1};
      const auto references = [&](int column, const char* to) {
        if (!refers) return std::string();
        return " REFERENCES " + name_of(out.parents[t][column]) + to + acts[random() % 4];
      };
      out.sql[t] = "CREATE TABLE " + name_of(t) +
                   " (id INTEGER PRIMARY KEY, a TEXT UNIQUE, lo INT, hi INT, r INT" +
                   references(0, " (id)") + ", s TEXT" + references(1, " (a)") +
                   ", CHECK (abs(iif(lo, hi, 0)) < 2))";
    }
    return out;
  }

  static std::vector<Statement> work(std::mt19937& random) {
    const auto number = [&](int64_t below) { return static_cast<int64_t>(random() % below); };
    const auto some = [&](Value v) {
      if (random() % 3 == 0) v = Null{};
      return v;
    };
    const auto code = [&] { return some(std::string(1, static_cast<char>('p' + random() % 3))); };
    const std::string t = name_of(static_cast<int>(random() % kTables));
    const int64_t id = number(5);
    switch (random() % 14) {
      case 0:
        return {sql("DELETE FROM " + t + " WHERE id = ?", {id})};
      case 1:
        return {sql("UPDATE " + t + " SET a = ? WHERE id = ?", {code(), id})};
      case 2:
      case 9:
        return {sql("UPDATE " + t + " SET lo = ? WHERE id = ?", {number(2), id})};
      case 3:
      case 10:
        return {sql("UPDATE " + t + " SET hi = ? WHERE id = ?",
                    {random() % 3 == 0 ? INT64_MIN : number(3), id})};
      case 4:
        return {sql("UPDATE " + t + " SET r = ? WHERE id = ?", {some(number(5)), id})};
      case 5:
        return {sql("UPDATE " + t + " SET s = ?, a = ? WHERE id = ?", {code(), code(), id})};
      case 6:
        return {sql("UPDATE " + t + " SET r = id, s = a WHERE id = ?", {id})};
      default:
        return {sql("INSERT OR REPLACE INTO " + t + " VALUES (?, ?, ?, ?, ?, ?)",
                    {id, code(), int64_t{0}, number(3), some(some(number(5))), some(code())})};
    }
  }

  // A live row.
  struct Line {
    int table = 0;
    Row row;
    Version taken;
    bool fit = true, possible = true, wins = false, shown = false;
  };
  using Lines = std::map<std::pair<int, Key>, Line>;

  Lines read_lines(Site& site, const Schema& schema) {
    Lines out;
    const auto knows_nothing = [](const Version&) { return false; };
    for (int t = 0; t < kTables; ++t) {
      const auto def = site.reader->find_table(name_of(t));
      const auto states = site.reader->states({name_of(t), knows_nothing});
      EXPECT_TRUE(def && *def && states && states->complete);
      const Layout layout(**def, schema.rules.of(name_of(t)));
      for (const auto& state : states->rows) {
        const Verdicts verdicts = judge(state, layout, Ranks());
        auto row = visible(state, layout, verdicts);
        if (!row) continue;
        row->insert_or_assign("id", key_parts(state.key)->front());
        Line line{t, std::move(*row), {}};
        for (size_t g = 0; g < layout.groups.size(); ++g) {
          if (layout.groups[g].name != layout.group_of("a").name) continue;
          const auto& siblings = state.registers.at(layout.groups[g].name).siblings;
          const auto& winner = siblings[verdicts.of[g].winner];
          line.taken = winner.keys_set.value_or(winner.version);
        }
        out.emplace(std::pair(t, state.key), std::move(line));
      }
    }
    return out;
  }

  static bool fits(const Row& row) {
    const auto number = [&](const char* column) { return std::get<int64_t>(row.at(column)); };
    return number("lo") == 0 || (number("hi") >= -1 && number("hi") < 2);
  }

  // Whether all its parents are among those of which `what` is true.
  template <class What>
  static bool has_parents(const Schema& schema, const Lines& all, const Line& line, What what) {
    const auto has = [&](const char* column, int parent, const char* to) {
      const Value& v = line.row.at(column);
      return parent < 0 || std::holds_alternative<Null>(v) ||
             std::any_of(all.begin(), all.end(), [&](const auto& named) {
               const Line& other = named.second;
               return other.table == parent && what(other) && identical(other.row.at(to), v);
             });
    };
    return has("r", schema.parents[line.table][0], "id") &&
           has("s", schema.parents[line.table][1], "a");
  }

  static void take_out(const Schema& schema, Lines& all, bool Line::*flag) {
    for (bool again = true; again;) {
      again = false;
      for (auto& [name, line] : all) {
        const bool hides = schema.rules.of(name_of(line.table)).orphans == Orphans::kHide;
        if (!(line.*flag) || !hides) continue;
        if (has_parents(schema, all, line, [&](const Line& l) { return l.*flag; })) continue;
        line.*flag = false;
        again = true;
      }
    }
  }

  static void choose(const Schema& schema, Lines& all) {
    for (int t = 0; t < kTables; ++t) {
      std::vector<Line*> order;
      for (auto& [name, line] : all) {
        if (line.table == t && line.possible) order.push_back(&line);
      }
      const bool first = schema.rules.of(name_of(t)).unique == UniqueWins::kFirst;
      std::stable_sort(order.begin(), order.end(), [&](const Line* a, const Line* b) {
        return first ? a->taken < b->taken : b->taken < a->taken;
      });
      std::set<std::string> held;
      for (Line* line : order) {
        const Value& a = line->row.at("a");
        line->wins = std::holds_alternative<Null>(a) || held.insert(describe(a)).second;
      }
    }
  }

  void check(Site& site, const Schema& schema) {
    Lines all = read_lines(site, schema);
    for (auto& [name, line] : all) line.fit = line.possible = fits(line.row);
    take_out(schema, all, &Line::possible);
    choose(schema, all);
    for (auto& [name, line] : all) line.shown = line.wins;
    take_out(schema, all, &Line::shown);
    std::set<std::string> shown, listed;
    for (const auto& [name, line] : all) {
      const std::string key = name_of(name.first) + " " + describe(line.row.at("id"));
      if (line.shown) shown.insert(key);
      if (!line.fit) listed.insert(key + " constraint");
      if (line.possible && !line.wins) listed.insert(key + " unique");
      const auto there = [&, &self = line](const Line& l) { return l.shown || &l == &self; };
      if (!has_parents(schema, all, line, there)) listed.insert(key + " foreign-key");
      const char* const why = !line.fit        ? "refused"
                              : !line.possible ? "orphan, whoever wins"
                              : !line.wins     ? "loser"
                              : !line.shown    ? "orphan of a loser"
                                               : "shown";
      ++outcomes_[why];
    }
    std::set<std::string> are_shown, are_listed;
    for (int t = 0; t < kTables; ++t) {
      for (const auto& [key, row] : table(site, name_of(t))) {
        are_shown.insert(name_of(t) + " " + describe(row.at("id")));
      }
      const auto open =
          site.reader->conflicts({ConflictQuery::State::kOpen, name_of(t), {}, 0, 1000});
      for (const auto& e : *open) {
        are_listed.insert(name_of(t) + " " + describe(key_parts(e.key)->front()) + " " + e.kind);
      }
    }
    EXPECT_EQ(are_shown, shown);
    EXPECT_EQ(are_listed, listed);
  }

  void run_one(uint32_t seed) {
    std::mt19937 random(seed);
    const Schema schema = make_schema(random);
    for (int n = 1; n <= 3; ++n) writers_.push_back(open(n, schema.rules));
    for (const auto& statement : schema.sql) define_sql(statement);
    spread();
    for (int step = 0; step < 150; ++step) {
      Site& site = writers_[random() % 3];
      site.now += random() % 300;
      if (random() % 7 == 0) {
        ship(writers_[random() % 3], site);
        check(site, schema);
      } else {
        try_commit(site, run(work(random)));  // a constraint may refuse it here
      }
      if (random() % 8 == 0) check(site, schema);
      if (random() % 30 == 0) spread();
      if (HasFailure()) return;
    }
    spread();
    for (int t = 0; t < kTables; ++t) agree(name_of(t));
    for (auto& site : writers_) check(site, schema);
  }

  std::map<std::string, size_t> outcomes_;
};

TEST_P(RandomReferences, P1WhatIsShownAndListedFollowsFromTheRowsAlone) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    place_ = GetParam().make_place();
    writers_.clear();
    run_one(seed);
    if (HasFailure()) return;
  }
  std::cout << "\nFOREIGN KEYS at random: rows by outcome\n";
  for (const auto& [outcome, n] : outcomes_) {
    std::cout << std::left << std::setw(60) << outcome << n << "\n";
  }
  for (const char* const outcome :
       {"shown", "refused", "orphan, whoever wins", "loser", "orphan of a loser"}) {
    EXPECT_GT(outcomes_[outcome], 10u) << outcome;
  }
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, ConstraintCells, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, OrphanCells, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, RandomConstraints, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, RandomReferences, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, UniqueCells, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, UniqueMakes, testing::ValuesIn(sql_adapters()), kName);

}  // namespace
}  // namespace entente::contract
