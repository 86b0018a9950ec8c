#include "conflict/schema.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

Result<TableDef> round_trip(const TableDef& table) {
  ByteWriter out;
  encode(out, table);
  ByteReader in(out.view());
  auto read = decode_table(in);
  if (read && !in.done()) return fail(Code::kInvalid, "bytes left");
  return read;
}

TEST(TableDef, RoundTrips) {
  test::Random random(1);
  for (int i = 0; i < 500; ++i) {
    const auto table = random.table();
    const auto read = round_trip(table);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, table);
  }
}

ColumnDef column(std::string name, uint16_t key_part) {
  return {std::move(name), "", Affinity::kBlob, Collation::kBinary, false, key_part};
}

template <class... Columns>
TableDef made(Columns... columns) {
  return first_definition({"t", {std::move(columns)...}}, 3);
}

TEST(TableDef, KeyIsInKeyOrder) {
  const TableDef table{"t", {column("a", 2), column("b", 0), column("c", 1)}};
  ASSERT_EQ(table.key().size(), 2u);
  EXPECT_EQ(table.key()[0]->name, "c");
  EXPECT_EQ(table.find("b")->name, "b");
  EXPECT_EQ(table.find("B"), nullptr);
}

TEST(TableDef, KeyPartsThatDoNotCountFromOneAreRefused) {
  EXPECT_TRUE(round_trip(made(column("a", 2), column("b", 1))));
  EXPECT_FALSE(round_trip(made(column("a", 1), column("b", 1)))) << "ambiguous order";
  EXPECT_FALSE(round_trip(made(column("a", 2), column("b", 0)))) << "a gap";
}

TEST(TableDef, TwoColumnsOfOneNameAreRefused) {
  EXPECT_FALSE(round_trip(made(column("a", 1), column("a", 0))));
}

TEST(TableDef, TwoColumnsOfOneIdAreRefused) {
  TableDef table = made(column("a", 1), column("b", 0));
  table.columns[1].id = 0;
  EXPECT_FALSE(round_trip(table));
  table.columns[1].id = 2;
  EXPECT_FALSE(round_trip(table)) << "an id that was never given";
}

TEST(TableDef, OneWithoutAKeyIsRefused) { EXPECT_FALSE(round_trip(made(column("a", 0)))); }

TEST(TableDef, IdsAndFlagsHaveOneEncodingEach) {
  ByteWriter out;
  encode(out, made(column("a", 1)));
  const std::string bytes = out.take();
  const std::string id_and_rest("\0\0\0\0\0", 5);  // id, since, former, fill, absorbed
  ASSERT_TRUE(bytes.ends_with(id_and_rest));
  std::string far = bytes;
  far.replace(far.size() - 5, 1, "\x80\x80\x80\x80\x10");  // 2^32, which is 0 in 32 bits
  std::string filled = bytes;
  filled.replace(filled.size() - 2, 1, std::string("\2\0", 2));
  for (const auto& bad : {far, filled}) {
    ByteReader in(bad);
    EXPECT_FALSE(decode_table(in));
  }
}

// In epoch 5 v becomes w; in 6 another v comes; in 7 w goes, and in 8 the table is called u.
TEST(TableDef, ANameMeansWhatItMeantUnderItsEpoch) {
  TableDef t = made(column("k", 1), column("v", 0));
  t.columns[1].name = "w";
  t = next_definition(made(column("k", 1), column("v", 0)), t, ColumnsBy::kPlace, 5);
  TableDef more = t;
  more.columns.push_back(column("v", 0));
  t = next_definition(t, more, ColumnsBy::kName, 6);
  EXPECT_EQ(t.find("v", 4)->name, "w");
  EXPECT_EQ(t.find("v", 5), nullptr);
  EXPECT_EQ(t.find("w", 4), nullptr);
  EXPECT_EQ(t.find("w", 5)->id, 1u);
  EXPECT_EQ(t.find("v", 6)->id, 2u);
  EXPECT_EQ(t.find("v", 6)->fill, Value(Null{}));
  TableDef less = t;
  less.columns.erase(less.columns.begin() + 1);
  less.name = "u";
  t = next_definition(t, less, ColumnsBy::kName, 8);
  EXPECT_EQ(t.find("v", 4), nullptr);
  EXPECT_EQ(t.find("v", 9)->id, 2u);
  EXPECT_TRUE(t.was_called("T", 7));
  EXPECT_FALSE(t.was_called("t", 8));
  EXPECT_FALSE(t.was_called("t", 2)) << "before it was made";
  EXPECT_TRUE(same_table(t, made(column("k", 1))));
}

TEST(TableDef, ATableHasTheNamesOfThoseThatWereMergedIntoIt) {
  TableDef t = made(column("k", 1));
  TableDef other = made(column("k", 1));
  other.name = "n";
  other.since = 4;
  other.former = {{"m", 6}};
  absorb(t, other, 8);
  EXPECT_FALSE(t.absorbed_one_called("m", 3));
  EXPECT_TRUE(t.absorbed_one_called("M", 5));
  EXPECT_FALSE(t.absorbed_one_called("m", 6));
  EXPECT_TRUE(t.absorbed_one_called("n", 7));
  EXPECT_FALSE(t.absorbed_one_called("n", 8));
  const auto read = round_trip(t);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, t);
}

TEST(TableDef, ARetiredTableIsStillKnownByItsName) {
  const TableDef t = retired_definition(made(column("k", 1)), 9);
  EXPECT_TRUE(is_retired(t));
  EXPECT_TRUE(t.was_called("t", 8));
  EXPECT_FALSE(t.was_called("t", 9));
  EXPECT_TRUE(t.was_ever_called("T"));
  EXPECT_TRUE(same_table(t, made(column("k", 1))));
}

TEST(TableDef, WhatATableWasMadeOfIsToldByItsColumns) {
  const TableDef first = made(column("k", 1), column("v", 0));
  TableDef renamed = first;
  renamed.columns[1].name = "w";
  const TableDef later = next_definition(first, renamed, ColumnsBy::kPlace, 5);
  EXPECT_TRUE(has_become(first, first));
  EXPECT_TRUE(has_become(first, later));
  EXPECT_FALSE(has_become(later, first));
  EXPECT_FALSE(has_become(made(column("k", 1), column("x", 0)), first)) << "of the same epoch";
  EXPECT_FALSE(has_become(made(column("k", 1), column("x", 0)), later));
}

}  // namespace
}  // namespace entente
