#include "conflict/counter.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::dot;
using test::origin;

const std::string kColumn = "n";

Version version(uint8_t who, uint64_t seq, uint64_t hlc) { return {Hlc{hlc}, dot(who, seq)}; }

void add(Register& r, const Version& v, int64_t amount) {
  const Value from = int64_t{0};
  entente::add(r, v, kColumn, amount, &from, {});
}

void renew(Register& r, const Version& v, int64_t value, const std::vector<Floor>& floors) {
  entente::add(r, v, kColumn, value, nullptr, floors);
}

const Sibling* part(const Register& r, uint8_t who) {
  for (const auto& s : r.siblings) {
    if (s.version.dot.origin == origin(who)) return &s;
  }
  return nullptr;
}

// What three origins have added: 5, 7 and -2.
Register counted() {
  Register r;
  add(r, version(1, 1, 10), 2);
  add(r, version(2, 1, 20), 7);
  add(r, version(3, 1, 30), -2);
  add(r, version(1, 2, 40), 3);
  return r;
}

TEST(Counter, AFloorBringsBackAPartThatWasLost) {
  Register whole = counted(), damaged = counted();
  damaged.siblings.erase(damaged.siblings.begin());
  const auto floors = entente::floors(whole, kColumn);
  for (auto* r : {&whole, &damaged}) renew(*r, version(3, 2, 50), 10, floors);
  EXPECT_EQ(total(damaged, kColumn), Value(int64_t{10}));
  EXPECT_EQ(entente::floors(damaged, kColumn).size(), 3u);
  ASSERT_NE(part(damaged, 2), nullptr);
  EXPECT_EQ(part(damaged, 2)->addend, part(whole, 2)->addend);
  add(damaged, version(2, 2, 60), 1);
  EXPECT_EQ(total(damaged, kColumn), Value(int64_t{11}));
}

TEST(Counter, AFloorMendsAPartThatIsOlderOrSaysAnotherSum) {
  const Register whole = counted();
  const auto floors = entente::floors(whole, kColumn);
  for (const uint64_t seq : {uint64_t{1}, uint64_t{2}}) {
    Register damaged = counted();
    damaged.siblings.back().version.dot.seq = seq;
    damaged.siblings.back().addend->sum = 99;
    renew(damaged, version(3, 2, 50), 10, floors);
    EXPECT_EQ(total(damaged, kColumn), Value(int64_t{10}));
    EXPECT_EQ(part(damaged, 1)->version.dot, dot(1, 2));
    EXPECT_EQ(part(damaged, 1)->addend, (Addend{5, 5, 2}));
    EXPECT_TRUE(
        std::is_sorted(damaged.siblings.begin(), damaged.siblings.end(),
                       [](const Sibling& a, const Sibling& b) { return a.version < b.version; }));
  }
}

TEST(Counter, AFloorMendsAgainWhereOneWasAlready) {
  Register damaged = counted();
  const auto floors = entente::floors(damaged, kColumn);
  renew(damaged, version(3, 2, 50), 10, floors);
  for (auto& s : damaged.siblings) {
    if (s.version.dot.origin == origin(2)) s.addend->sum = 99;
  }
  auto again = floors;
  again.push_back({kColumn, origin(3), 2, 8});
  renew(damaged, version(3, 3, 60), 10, again);
  EXPECT_EQ(total(damaged, kColumn), Value(int64_t{10}));
}

TEST(Counter, APartThatWentOnKeepsWhatWasAddedSince) {
  Register r = counted();
  const auto floors = entente::floors(r, kColumn);
  add(r, version(2, 2, 45), 4);
  renew(r, version(3, 2, 50), 10, floors);
  EXPECT_EQ(total(r, kColumn), Value(int64_t{14}));
  EXPECT_EQ(part(r, 2)->addend, (Addend{11, 7, 1}));
}

TEST(Counter, APartThatNeverCountedHasNoFloor) {
  Register r;
  entente::add(r, version(1, 1, 10), kColumn, Null{}, nullptr, {});
  EXPECT_TRUE(floors(r, kColumn).empty());
  EXPECT_EQ(total(r, kColumn), Value(Null{}));
}

TEST(Counter, WhatNoGatewayWroteGoesWhenTheRowIsMadeAnew) {
  Register r;
  r.siblings.push_back(first_addend(Version{}, kColumn, int64_t{99}));
  EXPECT_TRUE(floors(r, kColumn).empty());
  renew(r, version(1, 1, 10), 3, {});
  EXPECT_EQ(total(r, kColumn), Value(int64_t{3}));
}

TEST(Counter, AMendedPartIsJoinedByItsSeq) {
  Register mended = counted(), older = counted();
  mended.siblings.erase(mended.siblings.begin());
  renew(mended, version(3, 2, 50), 10, {{kColumn, origin(2), 4, 8}});
  const Register both = join_counters(older, mended);
  EXPECT_EQ(part(both, 2)->addend, (Addend{8, 8, 4}));
  EXPECT_EQ(total(both, kColumn), total(join_counters(mended, older), kColumn));
}

TEST(Counter, OfFloorsTheLatestCountsAndOfEqualsTheFirst) {
  std::vector<Floor> all;
  keep_latest(all, {kColumn, origin(1), 2, 20});
  keep_latest(all, {kColumn, origin(1), 2, 99});
  keep_latest(all, {kColumn, origin(2), 1, 1});
  keep_latest(all, {kColumn, origin(2), 3, 3});
  keep_latest(all, {"m", origin(2), 1, 7});
  EXPECT_EQ(all,
            (std::vector<Floor>{
                {kColumn, origin(1), 2, 20}, {kColumn, origin(2), 3, 3}, {"m", origin(2), 1, 7}}));
}

}  // namespace
}  // namespace entente
