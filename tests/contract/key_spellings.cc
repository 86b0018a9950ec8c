// A key has one canonical form and may have several spellings ('ABC' and 'abc' under NOCASE). Every
// replica shows the one that was written last.

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

// A key column, and values that it holds for the same.
struct Spellings {
  std::string column;
  std::vector<std::string> same;  // as SQL writes them
};

const std::vector<Spellings> kSpellings = {
    {"TEXT COLLATE NOCASE", {"'abc'", "'ABC'", "'aBc'"}},
    {"TEXT COLLATE RTRIM", {"'abc'", "'abc '", "'abc   '"}},
    {"", {"1", "1.0"}},
    {"COLLATE NOCASE", {"'x'", "'X'"}},
    {"REAL", {"1", "1.0", "'1'"}},
    {"INTEGER", {"1", "1.0", "'1'"}},
    {"NUMERIC", {"2", "2.0", "'2.0'"}},
    {"TEXT", {"'1'", "1"}},
};

// How a row that is spelled `?` is written again.
const std::vector<std::string> kWays = {
    "UPDATE @ SET k = ?",
    "UPDATE @ SET k = ?, v = 'again'",
    "INSERT OR REPLACE INTO @ (k, j, v) VALUES (?, 'p', 'again')",
    "REPLACE INTO @ (k, j, v, w) VALUES (?, 'p', 'first', 'first')",
};

class KeySpellings : public DatabaseContract {
 protected:
  void run(Site& site, const std::string& text) { commit(site, contract::run({sql(text)})); }

  static std::string filled(std::string text, const std::string& table, const std::string& key) {
    text.replace(text.find('@'), 1, table);
    if (const size_t at = text.find('?'); at != std::string::npos) text.replace(at, 1, key);
    return text;
  }

  static std::string rows(const std::map<Key, Row>& table) {
    std::string out;
    for (const auto& [key, row] : table) {
      for (const auto& [name, value] : row) out += name + "=" + describe(value) + " ";
    }
    return out;
  }

  // A row of each spelling, written again in another at b.
  void check(const std::string& t, const std::vector<std::string>& same, Site& a, Site& b,
             Site& c) {
    for (size_t i = 0; i < same.size(); ++i) {
      const std::string &before = same[i], &after = same[(i + 1) % same.size()];
      for (const auto& way : kWays) {
        SCOPED_TRACE(before + ", then " + filled(way, t, after));
        run(a, "INSERT INTO " + t + " VALUES (" + before + ", 'p', 'first', 'first')");
        ship(a, b), ship(a, c);
        run(b, filled(way, t, after));
        ship(b, c), ship(c, a);
        expect_alike(t, {&b, &a, &c});
        run(a, "DELETE FROM " + t);
        if (HasFailure()) return;
      }
    }
  }

  void expect_alike(const std::string& name, const std::vector<Site*>& sites) {
    const std::string first = rows(table(*sites[0], name));
    for (Site* site : sites) EXPECT_EQ(rows(table(*site, name)), first) << site->options.dc;
  }
};

TEST_P(KeySpellings, P1TheLastSpellingIsShownEverywhere) {
  ConflictRules by_row;
  by_row.defaults.granularity = Granularity::kRow;
  for (const auto& spellings : kSpellings) {
    for (const auto& rules : {ConflictRules{}, by_row}) {
      place_ = GetParam().make_place();
      Site a = open(1, rules), b = open(2, rules), c = open(3, rules);
      int n = 0;
      for (const char* const key : {"k", "j, k"}) {
        for (const char* const without : {"", " WITHOUT ROWID"}) {
          const std::string t = "t" + std::to_string(++n);
          run(a, "CREATE TABLE " + t + " (k " + spellings.column +
                     " NOT NULL, j TEXT NOT NULL, v, w, PRIMARY KEY (" + key + "))" + without);
          check(t, spellings.same, a, b, c);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// … also where two write it apart, and the row is more than its newest value.
TEST_P(KeySpellings, P1SpellingsThatWereWrittenApartConverge) {
  ConflictRules by_row, siblings;
  by_row.defaults.granularity = Granularity::kRow;
  siblings.defaults.policy.kind = PolicyKind::kSiblings;
  for (const auto& rules : {ConflictRules{}, by_row, siblings}) {
    place_ = GetParam().make_place();
    Site a = open(1, rules), b = open(2, rules), c = open(3, rules);
    run(a, "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, j, v, w)");
    settle({&a, &b, &c});
    for (const auto& one : kWays) {
      for (const auto& other : kWays) {
        for (const auto& [left, right] : {std::pair("'x'", "'X'"), std::pair("'X'", "'x'")}) {
          SCOPED_TRACE(filled(one, "t", left) + " beside " + filled(other, "t", right));
          run(a, "INSERT INTO t VALUES ('X', 'p', 'first', 'first')");
          settle({&a, &b, &c});
          run(a, filled(one, "t", left));
          b.now = a.now + 1;
          run(b, filled(other, "t", right));
          ship(b, c), ship(a, c), ship(a, b), ship(b, a);
          expect_alike("t", {&a, &b, &c});
          run(a, "DELETE FROM t");
          settle({&a, &b, &c});
          if (HasFailure()) return;
        }
      }
    }
  }
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, KeySpellings, testing::ValuesIn(sql_adapters()), kName);

}  // namespace
}  // namespace entente::contract
