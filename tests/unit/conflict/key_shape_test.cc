#include "conflict/key_shape.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

Key key_of(const std::vector<Value>& parts) {
  ByteWriter out;
  for (const auto& part : parts) out.value(part);
  return out.take();
}

ColumnDef part(std::string name, Affinity affinity, Collation collation, uint16_t place) {
  return {std::move(name), "", affinity, collation, false, place};
}

TEST(KeyShape, FitsItsCanonicalKeysAndNothingElse) {
  const TableDef table{"t",
                       {part("n", Affinity::kInteger, Collation::kBinary, 2),
                        part("v", Affinity::kText, Collation::kBinary, 0),
                        part("s", Affinity::kText, Collation::kNocase, 1)}};
  const KeyShape shape(table);
  const std::string ada = "ada";
  EXPECT_TRUE(shape.fits(key_of({ada, int64_t{7}})));
  EXPECT_TRUE(shape.fits(key_of({ada, int64_t{7000}})));
  EXPECT_TRUE(shape.fits(key_of({ada, std::string("seven")})));
  EXPECT_TRUE(shape.fits(key_of({ada, 0.5})));
  EXPECT_TRUE(shape.fits(key_of({Blob{"ada"}, int64_t{7}})));
  for (const auto& parts : std::vector<std::vector<Value>>{{},
                                                           {ada},
                                                           {ada, int64_t{7}, int64_t{8}},
                                                           {ada, Null{}},
                                                           {std::string("Ada"), int64_t{7}},
                                                           {int64_t{1}, int64_t{7}},
                                                           {ada, 7.0},
                                                           {ada, std::string("7")}}) {
    EXPECT_FALSE(shape.fits(key_of(parts))) << parts.size();
  }
  const Key whole = key_of({ada, int64_t{7}});
  for (size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(shape.fits(whole.substr(0, cut)));
  EXPECT_FALSE(shape.fits(whole + "x"));
}

TEST(KeyShape, FitsWhateverCanonicalKeyMakes) {
  test::Random random(11);
  for (int i = 0; i < 3000; ++i) {
    const TableDef table = random.table();
    std::vector<Value> parts;
    for (size_t n = table.key().size(); n > 0; --n) parts.push_back(random.value());
    const auto canonical = canonical_key(table, parts);
    if (canonical) {
      EXPECT_TRUE(KeyShape(table).fits(*canonical));
    }
    const Key raw = key_of(parts);
    EXPECT_EQ(KeyShape(table).fits(raw), canonical && *canonical == raw);
  }
}

}  // namespace
}  // namespace entente
