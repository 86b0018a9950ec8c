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

TEST(TableDef, KeyIsInKeyOrder) {
  const TableDef table{"t", {column("a", 2), column("b", 0), column("c", 1)}};
  ASSERT_EQ(table.key().size(), 2u);
  EXPECT_EQ(table.key()[0]->name, "c");
  EXPECT_EQ(table.find("b")->name, "b");
  EXPECT_EQ(table.find("B"), nullptr);
}

TEST(TableDef, KeyPartsThatDoNotCountFromOneAreRefused) {
  EXPECT_TRUE(round_trip({"t", {column("a", 2), column("b", 1)}}));
  EXPECT_FALSE(round_trip({"t", {column("a", 1), column("b", 1)}})) << "ambiguous order";
  EXPECT_FALSE(round_trip({"t", {column("a", 2), column("b", 0)}})) << "a gap";
}

TEST(TableDef, TwoColumnsOfOneNameAreRefused) {
  EXPECT_FALSE(round_trip({"t", {column("a", 1), column("a", 0)}}));
}

}  // namespace
}  // namespace entente
