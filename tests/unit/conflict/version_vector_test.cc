#include "conflict/version_vector.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::dot;
using test::origin;
using test::vector_of;

VersionVector joined(VersionVector a, const VersionVector& b) {
  a.join(b);
  return a;
}

VersionVector met(VersionVector a, const VersionVector& b) {
  a.meet(b);
  return a;
}

TEST(VersionVector, CoversEverythingUpToItsEntry) {
  const auto vv = vector_of({dot(1, 3)});
  EXPECT_TRUE(vv.covers(dot(1, 1)));
  EXPECT_TRUE(vv.covers(dot(1, 3)));
  EXPECT_FALSE(vv.covers(dot(1, 4)));
  EXPECT_FALSE(vv.covers(dot(2, 1)));
}

TEST(VersionVector, AdvanceNeverLowers) {
  auto vv = vector_of({dot(1, 3)});
  vv.advance(origin(1), 2);
  EXPECT_EQ(vv.at(origin(1)), 3u);
}

TEST(VersionVector, SettingZeroRemovesTheEntry) {
  auto vv = vector_of({dot(1, 3), dot(2, 1)});
  vv.set(origin(1), 0);
  EXPECT_EQ(vv, vector_of({dot(2, 1)}));
  vv.set(origin(9), 0);
  EXPECT_EQ(vv.size(), 1u);
}

TEST(VersionVector, JoinAndMeetAreALattice) {
  test::Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const auto a = random.vector(), b = random.vector(), c = random.vector();
    EXPECT_EQ(joined(a, b), joined(b, a));
    EXPECT_EQ(met(a, b), met(b, a));
    EXPECT_EQ(joined(joined(a, b), c), joined(a, joined(b, c)));
    EXPECT_EQ(met(met(a, b), c), met(a, met(b, c)));
    EXPECT_EQ(joined(a, a), a);
    EXPECT_EQ(met(a, a), a);
    EXPECT_EQ(joined(a, met(a, b)), a);
    EXPECT_EQ(met(a, joined(a, b)), a);
    EXPECT_EQ(met(a, joined(b, c)), joined(met(a, b), met(a, c)));
  }
}

TEST(VersionVector, CoversIsTheOrderOfTheLattice) {
  test::Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto a = random.vector(), b = random.vector();
    EXPECT_TRUE(joined(a, b).covers(a));
    EXPECT_TRUE(a.covers(met(a, b)));
    EXPECT_EQ(a.covers(b), joined(a, b) == a);
    EXPECT_EQ(a.covers(b), met(a, b) == b);
  }
}

TEST(VersionVector, StaysSortedWhateverTheOrderOfArrival) {
  const auto vv = vector_of({dot(5, 1), dot(1, 2), dot(3, 3)});
  EXPECT_TRUE(std::is_sorted(vv.begin(), vv.end()));
  EXPECT_EQ(vv, vector_of({dot(3, 3), dot(5, 1), dot(1, 2)}));
}

Result<VersionVector> decoded(const std::string& bytes) {
  ByteReader in(bytes);
  return decode_version_vector(in);
}

TEST(VersionVector, BytesThatAreNotCanonicalAreRefused) {
  const auto entries = [](std::initializer_list<Dot> dots) {
    ByteWriter out;
    out.varint(dots.size());
    for (const auto& d : dots) out.origin(d.origin), out.varint(d.seq);
    return out.take();
  };
  EXPECT_TRUE(decoded(entries({dot(1, 1), dot(2, 1)})));
  EXPECT_FALSE(decoded(entries({dot(2, 1), dot(1, 1)}))) << "unsorted";
  EXPECT_FALSE(decoded(entries({dot(1, 1), dot(1, 2)}))) << "twice";
  EXPECT_FALSE(decoded(entries({dot(1, 0)}))) << "an entry of zero";
  EXPECT_FALSE(decoded(entries({Dot{Origin{}, 1}}))) << "no origin";
}

TEST(VersionVector, ACountThatCannotFitIsRefusedBeforeAnythingIsAllocated) {
  ByteWriter out;
  out.varint(~0ull);
  EXPECT_FALSE(decoded(out.take()));
}

}  // namespace
}  // namespace entente
