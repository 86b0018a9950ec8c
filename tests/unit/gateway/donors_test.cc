#include "gateway/lifecycle/donors.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

Origin origin_of(uint8_t n) {
  Origin origin;
  origin.id.fill(n);
  return origin;
}

VersionVector has(uint64_t of_one, uint64_t of_two) {
  VersionVector v;
  if (of_one > 0) v.set(origin_of(1), of_one);
  if (of_two > 0) v.set(origin_of(2), of_two);
  return v;
}

std::string order(std::vector<Donor> donors, const Origin& life, const std::string& tried = "") {
  sort_donors(donors, life, tried);
  std::string names;
  for (const auto& donor : donors) names += donor.name;
  return names;
}

TEST(Donors, WhoHasMostOfTheFormerLifeIsBest) {
  const std::vector<Donor> donors{{"a", has(3, 90)}, {"b", has(5, 1)}, {"c", has(0, 100)}};
  EXPECT_EQ(order(donors, origin_of(1)), "bac");
}

TEST(Donors, OfEqualsOrWithoutAFormerLifeWhoHasMostOfEverythingIs) {
  const std::vector<Donor> donors{{"a", has(3, 3)}, {"b", has(3, 9)}, {"c", has(1, 9)}};
  EXPECT_EQ(order(donors, origin_of(1)), "bac");
  EXPECT_EQ(order(donors, {}), "bca");
}

// Or it would be asked for ever, though others could give a copy that fits.
TEST(Donors, WhoseCopyDidNotFitComesLast) {
  const std::vector<Donor> donors{{"a", has(3, 3)}, {"b", has(3, 9)}, {"c", has(1, 9)}};
  EXPECT_EQ(order(donors, {}, "b"), "cab");
}

}  // namespace
}  // namespace entente
