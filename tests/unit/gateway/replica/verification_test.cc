#include "gateway/replica/verification.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

Origin origin(uint8_t n) {
  Origin o;
  o.id[0] = n;
  return o;
}

VersionVector vector(uint64_t a, uint64_t b) {
  VersionVector vv;
  vv.advance(origin(1), a);
  vv.advance(origin(2), b);
  return vv;
}

RowDigest row(uint64_t dots, uint64_t values) { return {"key", dots, values, values}; }

RowSight sight(RowDigest digest, const VersionVector& applied) {
  return {digest, std::to_string(digest.dots), applied};
}

TEST(LookAgain, ARowThatBecameEqualIsEqual) {
  const RowPair first{sight(row(1, 1), vector(5, 3)), sight(row(2, 2), vector(4, 4))};
  const RowPair then{sight(row(2, 2), vector(5, 4)), sight(row(2, 2), vector(4, 4))};
  EXPECT_EQ(look_again(first, then), RowFinding::kEqual);
}

TEST(LookAgain, ADifferenceCountsOnceBothHaveWhatTheOtherHad) {
  const RowPair first{sight(row(1, 1), vector(5, 3)), sight(row(2, 2), vector(4, 4))};
  RowPair then = first;
  EXPECT_EQ(look_again(first, then), RowFinding::kBusy);
  then.mine.applied = vector(9, 4);
  EXPECT_EQ(look_again(first, then), RowFinding::kBusy);
  then.theirs.applied = vector(5, 4);
  EXPECT_EQ(look_again(first, then), RowFinding::kDifferent);
}

TEST(LookAgain, ARowThatChangedMeanwhileIsBusy) {
  const RowPair first{sight(row(1, 1), vector(5, 4)), sight(row(2, 2), vector(5, 4))};
  RowPair then{sight(row(3, 3), vector(6, 4)), sight(row(2, 2), vector(6, 4))};
  EXPECT_EQ(look_again(first, then), RowFinding::kBusy);
  // Written and deleted again: its tombstone says so, though it is as absent as before.
  const RowPair absent{sight(row(0, 0), vector(5, 4)), sight(row(2, 2), vector(5, 4))};
  then = absent;
  then.mine.state = "tombstone";
  EXPECT_EQ(look_again(absent, then), RowFinding::kBusy);
}

RowCopy copy(const std::string& dc, RowDigest digest, uint64_t newest) {
  return {dc, digest, {Hlc{newest}, {origin(1), newest}}};
}

std::string chosen(const std::vector<RowCopy>& copies, const std::string& from = "") {
  const auto i = choose_copy(copies, from);
  return i ? copies[*i].dc : i.error().tag;
}

TEST(ChooseCopy, TheNewestWriteIsTheRightOne) {
  EXPECT_EQ(chosen({copy("a", row(1, 1), 1), copy("b", row(2, 2), 2)}), "b");
  EXPECT_EQ(chosen({copy("a", row(1, 1), 1), copy("b", {"key", 0, 0, 0}, 0)}), "a");
  EXPECT_EQ(chosen({copy("a", row(1, 1), 1), copy("b", {"key", 0, 0, 0}, 2)}), "b");  // an erase
}

TEST(ChooseCopy, WhoHasOnlyLostTheRowHasNoSay) {
  const RowDigest lost{"key", 1, 0, 0};
  EXPECT_EQ(chosen({copy("a", lost, 1), copy("b", lost, 1), copy("c", row(1, 1), 1)}), "c");
}

TEST(ChooseCopy, OfTheSameWritesWhatMoreThanHalfShow) {
  EXPECT_EQ(chosen({copy("a", row(1, 9), 1), copy("b", row(1, 1), 1), copy("c", row(1, 1), 1)}),
            "b");
  EXPECT_EQ(chosen({copy("a", row(1, 9), 1), copy("b", row(1, 1), 1)}), "from_needed");
  EXPECT_EQ(chosen({copy("a", row(1, 9), 1), copy("b", row(1, 1), 1)}, "a"), "a");
}

TEST(ChooseCopy, SomebodyMustDecideAboutARowThatNoGatewayWrote) {
  const RowDigest foreign{"key", 0, 0, 7}, none{"key", 0, 0, 0};
  EXPECT_EQ(chosen({copy("a", foreign, 0), copy("b", none, 0), copy("c", none, 0)}), "from_needed");
  EXPECT_EQ(chosen({copy("a", foreign, 0), copy("b", none, 0)}, "b"), "b");
}

}  // namespace
}  // namespace entente
