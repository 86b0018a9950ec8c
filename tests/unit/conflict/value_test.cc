#include "conflict/value.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::nasty_values;

TEST(Value, OneAndOnePointZeroAreDifferentForReplicas) {
  EXPECT_FALSE(identical(Value(int64_t{1}), Value(1.0)));
  EXPECT_FALSE(identical(Value(0.0), Value(-0.0)));
  EXPECT_FALSE(identical(Value(std::string("a")), Value(Blob{"a"})));
  EXPECT_TRUE(identical(Value(-0.0), Value(-0.0)));
}

TEST(Value, EveryNastyValueIsIdenticalToItselfAlone) {
  const auto values = nasty_values();
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; j < values.size(); ++j) {
      EXPECT_EQ(identical(values[i], values[j]), i == j) << i << " " << j;
    }
  }
}

TEST(Value, OrderSaysEqualExactlyForIdenticalValues) {
  for (const auto& a : nasty_values()) {
    for (const auto& b : nasty_values()) {
      EXPECT_EQ(order(a, b) == 0, identical(a, b)) << describe(a) << " " << describe(b);
    }
  }
}

TEST(Value, OrderIsAntisymmetric) {
  for (const auto& a : nasty_values()) {
    for (const auto& b : nasty_values()) {
      EXPECT_TRUE(order(a, b) == (0 <=> order(b, a))) << describe(a) << " " << describe(b);
    }
  }
}

TEST(Value, OrderIsTransitive) {
  const auto values = nasty_values();
  for (const auto& a : values) {
    for (const auto& b : values) {
      if (order(a, b) >= 0) continue;
      for (const auto& c : values) {
        if (order(b, c) >= 0) continue;
        EXPECT_TRUE(order(a, c) < 0) << describe(a) << " " << describe(b) << " " << describe(c);
      }
    }
  }
}

TEST(Value, IntegersPastTwoToThe53CompareExactlyWithDoubles) {
  constexpr int64_t kExact = int64_t{1} << 53;
  EXPECT_TRUE(order(kExact + 1, 9007199254740992.0) > 0);
  EXPECT_TRUE(order(kExact + 1, 9007199254740994.0) < 0);
  EXPECT_TRUE(order(std::numeric_limits<int64_t>::max(), 9223372036854775808.0) < 0);
  EXPECT_TRUE(order(std::numeric_limits<int64_t>::min(), -9223372036854775808.0) < 0)
      << "equal in number: the integer goes first";
}

TEST(Value, NullThenNumbersThenTextThenBlobs) {
  EXPECT_TRUE(order(Null{}, std::numeric_limits<int64_t>::min()) < 0);
  EXPECT_TRUE(order(std::numeric_limits<double>::infinity(), std::string()) < 0);
  EXPECT_TRUE(order(std::string("\xff"), Blob{""}) < 0);
  EXPECT_TRUE(order(std::string("\x7f"), std::string("\x80")) < 0) << "bytes, not signed chars";
}

TEST(Row, IsIdenticalByNamesAndValues) {
  const Row row{{"a", int64_t{1}}, {"b", 1.0}};
  EXPECT_TRUE(identical(row, Row{{"b", 1.0}, {"a", int64_t{1}}}));
  EXPECT_FALSE(identical(row, Row{{"a", int64_t{1}}, {"b", int64_t{1}}}));
  EXPECT_FALSE(identical(row, Row{{"a", int64_t{1}}, {"c", 1.0}}));
  EXPECT_FALSE(identical(row, Row{{"a", int64_t{1}}}));
}

}  // namespace
}  // namespace entente
