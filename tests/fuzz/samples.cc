#include "tests/fuzz/samples.h"

#include <array>
#include <limits>

namespace entente::fuzz {

Origin origin_of(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

namespace {

const std::vector<Value>& values() {
  static const std::vector<Value> all = {
      Null{},
      int64_t{0},
      int64_t{1},
      int64_t{-1},
      int64_t{239},
      int64_t{240},
      int64_t{1} << 53,
      std::numeric_limits<int64_t>::max(),
      std::numeric_limits<int64_t>::min(),
      0.0,
      -0.0,
      1.0,
      0.1,
      1e300,
      -9223372036854775808.0,
      std::numeric_limits<double>::infinity(),
      std::string(),
      std::string("a"),
      std::string("A "),
      std::string("1"),
      std::string("1e2"),
      std::string(" 7 "),
      std::string("z\0y", 3),
      std::string("\xff\xfe"),
      std::string("[1,2]"),
      std::string("[2, 1, 1.0,1]"),
      std::string("{\"a\":1}"),
      std::string("one\ntwo\n"),
      std::string(300, 'x'),
      Blob{},
      Blob{std::string("\0\1", 2)},
  };
  return all;
}

}  // namespace

Value value_at(size_t n) { return values()[n % values().size()]; }
size_t value_count() { return values().size(); }

TableDef old_table() {
  TableDef t{"things", {}};
  const auto add = [&](std::string name, std::string type, Affinity affinity, Collation collation,
                       uint16_t part) {
    ColumnDef c{std::move(name), std::move(type), affinity, collation, part > 0, part};
    c.id = t.columns_ever++;
    t.columns.push_back(std::move(c));
  };
  add("k", "TEXT", Affinity::kText, Collation::kNocase, 1);
  add("n", "NUMERIC", Affinity::kNumeric, Collation::kRtrim, 2);
  add("i", "INTEGER", Affinity::kInteger, Collation::kBinary, 0);
  add("r", "REAL", Affinity::kReal, Collation::kBinary, 0);
  add("b", "", Affinity::kBlob, Collation::kBinary, 0);
  t.since = 1, t.changed = 3;
  t.former = {{"stuff", 2}};
  t.columns.back().since = 3;
  t.columns.back().former = {{"bytes", 3}};
  t.columns.back().fill = Blob{"x"};
  return t;
}

VersionVector sample_vector() {
  VersionVector vv;
  vv.set(origin_of(1), 4);
  vv.set(origin_of(2), 300);
  return vv;
}

std::vector<Change> sample_changes() {
  RowChange plain{"t", std::string("\x11", 1), false, true, {{"a", std::string("x")}}, {}, {}, {}};
  RowChange full{"t",
                 std::string("\x11", 1),
                 false,
                 false,
                 {{"a", std::string("x")}, {"b", int64_t{-5}}, {"c", 0.5}},
                 {{"b", int64_t{7}}},
                 sample_vector(),
                 {{"a", {origin_of(1), 2}}},
                 {{"b", origin_of(2), 3, -4}},
                 Decider::kOperator,
                 "ada",
                 {{"a", std::string("y")}}};
  RowChange erase{"t", std::string("\x11", 1), true, false, {}, {}, {}, {}};
  RowChange recalled = erase;
  recalled.old = {{"a", std::string("x")}, {"b", Null{}}};
  SchemaChange schema{4, {"ALTER TABLE things ADD COLUMN b"}, {old_table()}, {"gone"}};
  return {plain, full, erase, recalled, schema};
}

}  // namespace entente::fuzz
