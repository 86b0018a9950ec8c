#pragma once

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "conflict/transaction.h"
#include "conflict/value.h"

// What the tests of conflict/ share: origins by number, values that have broken somebody, and
// random ones from a seed.
namespace entente::test {

inline Origin origin(uint8_t n) {
  Origin o;
  o.id[0] = n;
  return o;
}

inline Dot dot(uint8_t n, uint64_t seq) { return {origin(n), seq}; }

inline VersionVector vector_of(std::initializer_list<Dot> dots) {
  VersionVector vv;
  for (const auto& d : dots) vv.advance(d.origin, d.seq);
  return vv;
}

inline std::vector<Value> nasty_values() {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kExact = int64_t{1} << 53;
  constexpr double kInf = std::numeric_limits<double>::infinity();
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  using namespace std::string_literals;
  return {Null{},
          kMin,
          kMin + 1,
          -kExact - 1,
          -kExact,
          -kExact + 1,
          int64_t{-240},
          int64_t{-1},
          int64_t{0},
          int64_t{1},
          int64_t{12},
          int64_t{100},
          int64_t{239},
          int64_t{240},
          kExact - 1,
          kExact,
          kExact + 1,
          kMax - 1,
          kMax,
          -kInf,
          -1e300,
          -9223372036854775808.0,
          -9007199254740992.0,
          -1.5,
          -1.0,
          -kTiny,
          -0.0,
          0.0,
          kTiny,
          std::numeric_limits<double>::min(),
          0.1,
          0.5,
          1.0,
          1.5,
          12.0,
          100.0,
          1e15,
          9007199254740992.0,
          9007199254740994.0,
          9223372036854774784.0,
          9223372036854775808.0,
          1e19,
          1e100,
          std::numeric_limits<double>::max(),
          kInf,
          ""s,
          " "s,
          "\0"s,
          "a"s,
          "A"s,
          "a "s,
          "a\t"s,
          "a\0"s,
          "a\0b"s,
          "A\0c"s,
          "a\0bc"s,
          "ä"s,
          "Ä"s,
          "日本"s,
          "1"s,
          "1.0"s,
          "12"s,
          " 12 "s,
          "\t12\n"s,
          "+12"s,
          "1e2"s,
          "0x10"s,
          Blob{""},
          Blob{"\0"s},
          Blob{"a"},
          Blob{"A"},
          Blob{"a "},
          Blob{"1"},
          Blob{"12"}};
}

class Random {
 public:
  explicit Random(uint64_t seed) : bits_(seed) {}
  uint64_t next() { return bits_(); }
  size_t below(size_t n) { return static_cast<size_t>(bits_() % n); }
  bool one_in(size_t n) { return below(n) == 0; }

  std::string text(size_t longest = 12) {
    std::string s(below(longest + 1), '\0');
    for (char& c : s) c = static_cast<char>(one_in(8) ? below(256) : 'a' + below(26));
    return s;
  }

  uint64_t wide() { return next() >> below(64); }

  Value value() {
    static const std::vector<Value> kNasty = nasty_values();
    switch (below(6)) {
      case 0:
        return kNasty[below(kNasty.size())];
      case 1:
        return static_cast<int64_t>(wide()) * (one_in(2) ? 1 : -1);
      case 2:
        return static_cast<double>(wide()) / static_cast<double>(1 + wide());
      case 3:
        return text();
      case 4:
        return Blob{text()};
      default:
        return Null{};
    }
  }

  Row row(size_t most = 5) {
    Row r;
    for (size_t n = below(most + 1); n > 0; --n) r.emplace(text(), value());
    return r;
  }

  VersionVector vector(size_t most = 4) {
    VersionVector vv;
    for (size_t n = below(most + 1); n > 0; --n) {
      vv.advance(origin(static_cast<uint8_t>(1 + below(9))), 1 + wide() / 2);
    }
    return vv;
  }

  TableDef table() {
    TableDef t{"t" + text(), {}};
    const size_t n = 1 + below(5);
    const size_t keys = 1 + below(n);
    for (size_t i = 0; i < n; ++i) {
      ColumnDef c{std::to_string(i) + text(),
                  text(),
                  static_cast<Affinity>(below(5)),
                  static_cast<Collation>(below(3)),
                  one_in(2),
                  static_cast<uint16_t>(i < keys ? keys - i : 0)};
      c.id = t.columns_ever++;
      c.since = one_in(2) ? wide() : 0;
      if (one_in(3)) c.former.push_back({text(), wide()});
      if (one_in(3)) c.fill = value();
      t.columns.push_back(std::move(c));
    }
    t.since = wide();
    t.changed = wide();
    if (one_in(3)) t.former.push_back({text(), wide()});
    return t;
  }

  RowChange row_change() {
    RowChange c;
    c.table = "t" + text();
    c.key = text();
    c.erase = one_in(3);
    c.inserted = !c.erase && one_in(2);
    if (!c.erase) c.columns = row();
    if (one_in(3)) c.base = row();
    if (one_in(3)) c.context = vector();
    for (size_t n = one_in(4) ? below(3) : 0; n > 0; --n) {
      c.floors.push_back({text(), origin(5), wide(),
                          static_cast<Int128>(next()) * -static_cast<Int128>(wide() >> 28)});
    }
    if (one_in(4)) c.decider = one_in(2) ? Decider::kOperator : Decider::kHandler;
    if (c.decider == Decider::kOperator && one_in(2)) c.decided_by = "u" + text();
    for (size_t n = one_in(3) ? below(3) : 0; n > 0; --n)
      c.kept.push_back({text(), dot(3, wide())});
    if (c.erase && one_in(2)) c.old = row();
    for (const auto& [name, value] : c.columns) {
      if (!c.inserted && one_in(2)) c.old.emplace(name, this->value());
    }
    for (const auto& [group, value] : !c.erase && one_in(4) ? row(2) : Row{}) {
      c.keys_set.push_back({group, {Hlc{next()}, dot(4, wide())}});
    }
    return c;
  }

  Change change() {
    if (!one_in(5)) return row_change();
    SchemaChange s{wide(), {text()}, {}, {}};
    for (size_t n = below(3); n > 0; --n) s.sql.push_back(text());
    for (size_t n = below(3); n > 0; --n) s.tables.push_back(table());
    for (size_t n = below(3); n > 0; --n) s.dropped.push_back(text());
    return s;
  }

 private:
  std::mt19937_64 bits_;
};

}  // namespace entente::test
