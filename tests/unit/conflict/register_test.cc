#include "conflict/register.h"

#include "conflict/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using test::dot;
using test::origin;
using test::vector_of;

constexpr auto kLww = PolicyKind::kLww;
constexpr auto kPriority = PolicyKind::kPriority;
constexpr auto kSiblings = PolicyKind::kSiblings;

// A write as a test spells it: stamped `at`, by `d`, of value `x` (none: an erase).
struct Step {
  uint64_t at;
  Dot d;
  VersionVector saw;
  std::optional<int64_t> x;
  std::vector<Dot> kept;
};

std::vector<Sibling> put(Register& r, const Step& s) {
  std::optional<Row> row;
  if (s.x) row = Row{{"x", *s.x}};
  return apply(r, {{Hlc::at(s.at), s.d}, s.saw, s.kept, std::move(row)});
}

Register after(std::initializer_list<Step> steps) {
  Register r;
  for (const auto& s : steps) put(r, s);
  return r;
}

std::vector<int64_t> values(const std::vector<Sibling>& siblings) {
  std::vector<int64_t> out;
  for (const auto& s : siblings) out.push_back(s.row ? std::get<int64_t>(s.row->at("x")) : -1);
  return out;
}

using Values = std::vector<int64_t>;

// A table of one column, which is one register.
Layout one_register(PolicyKind policy) {
  TableRules rules;
  rules.policy.kind = policy;
  rules.granularity = Granularity::kRow;
  return {{"t", {{"x", "", Affinity::kBlob, Collation::kBinary, false, 0}}}, rules};
}

Verdict judge(const Register& r, PolicyKind policy, const Ranks& ranks) {
  const Layout layout = one_register(policy);
  return entente::judge(r, {layout, layout.groups.front(), "k"}, ranks);
}

// Returns the losers that were forgotten.
std::vector<Sibling> prune(Register& r, PolicyKind policy, const Ranks& ranks) {
  const Layout layout = one_register(policy);
  std::vector<Sibling> gone = r.siblings;
  entente::prune(r, {layout, layout.groups.front(), "k"}, ranks);
  std::erase_if(gone, [&](const Sibling& s) {
    return std::any_of(r.siblings.begin(), r.siblings.end(),
                       [&](const Sibling& left) { return left.version == s.version; });
  });
  return gone;
}

// W is written in the high datacenter, L in the middle one, V in the low one.
Ranks three_ranks() {
  Ranks ranks({{"high", 3}, {"mid", 2}, {"low", 1}});
  ranks.declare(origin(1), "high");
  ranks.declare(origin(2), "mid");
  ranks.declare(origin(3), "low");
  return ranks;
}

const Step kA{10, dot(1, 1), {}, 1, {}};
const Step kB{20, dot(2, 1), {}, 2, {}};

TEST(Register, ConcurrentWritesAreSiblings) {
  EXPECT_EQ(values(after({kA, kB}).siblings), (Values{1, 2}));
  EXPECT_EQ(values(after({kB, kA}).siblings), (Values{1, 2}))
      << "sorted by version, not by arrival";
}

TEST(Register, WriteThatSawBothSiblingsReplacesBoth) {
  auto r = after({kA, kB});
  const auto gone = put(r, {30, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)}), 3, {}});
  EXPECT_EQ(values(r.siblings), Values{3});
  EXPECT_EQ(values(gone), (Values{1, 2}));
}

TEST(Register, WriteThatSawOneSiblingLeavesTheOther) {
  auto r = after({kA, kB});
  put(r, {30, dot(3, 1), vector_of({dot(1, 1)}), 3, {}});
  EXPECT_EQ(values(r.siblings), (Values{2, 3}));
}

TEST(Register, ASiblingThatIsKeptStaysThoughItWasSeen) {
  auto r = after({kA, kB});
  const auto gone = put(r, {30, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)}), 3, {dot(1, 1)}});
  EXPECT_EQ(values(r.siblings), (Values{1, 3}));
  EXPECT_EQ(values(gone), Values{2});
}

TEST(Register, AContextSupersedesWhatItNeverListed) {
  auto r = after({kA, {11, dot(1, 2), vector_of({dot(1, 1)}), 4, {}}});
  put(r, {30, dot(3, 1), vector_of({dot(1, 7)}), 3, {}});
  EXPECT_EQ(values(r.siblings), Values{3});
}

TEST(Register, ApplyingASiblingAgainChangesNothing) {
  auto r = after({kA, kB});
  EXPECT_TRUE(put(r, kA).empty());
  EXPECT_EQ(values(r.siblings), (Values{1, 2}));
}

TEST(Register, AnEraseIsASiblingLikeAnyOther) {
  const auto r = after({kA, {20, dot(2, 1), {}, {}, {}}});
  EXPECT_EQ(values(r.siblings), (Values{1, -1}));
}

TEST(Register, BothSidesDeleteTheSameRow) {
  auto r = after({kA,
                  {20, dot(2, 1), vector_of({dot(1, 1)}), {}, {}},
                  {21, dot(3, 1), vector_of({dot(1, 1)}), {}, {}}});
  EXPECT_EQ(values(r.siblings), (Values{-1, -1}));
  for (const auto policy : {kLww, kPriority, kSiblings}) {
    EXPECT_FALSE(judge(r, policy, three_ranks()).open);
    EXPECT_TRUE(prune(r, policy, three_ranks()).empty()) << "neither lost anything";
  }
}

TEST(Register, DeleteReinsertThenAnOldTombstoneArrives) {
  const Step erased{20, dot(2, 1), vector_of({dot(1, 1)}), {}, {}};
  const Step again{30, dot(2, 2), vector_of({dot(1, 1), dot(2, 1)}), 5, {}};
  const Step old_tombstone{15, dot(3, 1), vector_of({dot(1, 1)}), {}, {}};
  auto r = after({kA, erased, again, old_tombstone});
  EXPECT_EQ(values({r.siblings[judge(r, kLww, {}).winner]}), Values{5});
  EXPECT_EQ(values(prune(r, kLww, {})), Values{-1}) << "listed, not resurrected by it";
  auto other = after({kA, old_tombstone, erased, again});
  prune(other, kLww, {});
  EXPECT_EQ(values(other.siblings), Values{5});
}

TEST(Register, AnUpdateMeetsADelete) {
  const Step update{20, dot(1, 2), vector_of({dot(1, 1)}), 7, {}};
  for (const uint64_t when : {19u, 21u}) {
    const Step erase{when, dot(2, 1), vector_of({dot(1, 1)}), {}, {}};
    const auto a = after({kA, update, erase}), b = after({kA, erase, update});
    const int64_t expected = when < 20 ? 7 : -1;
    EXPECT_EQ(values({a.siblings[judge(a, kLww, {}).winner]}), Values{expected});
    EXPECT_EQ(values({b.siblings[judge(b, kLww, {}).winner]}), Values{expected});
    EXPECT_EQ(values({a.siblings[judge(a, kPriority, three_ranks()).winner]}), Values{7});
    EXPECT_TRUE(judge(a, kSiblings, {}).open);
  }
}

TEST(Register, EqualStampsOnThreeNodesHaveOneWinnerInEveryOrder) {
  std::vector<Step> steps;
  for (uint8_t n = 1; n <= 3; ++n) steps.push_back({10, dot(n, 1), {}, n, {}});
  std::vector<size_t> order{0, 1, 2};
  do {
    Register r;
    for (const size_t i : order) {
      put(r, steps[i]);
      prune(r, kLww, {});
    }
    EXPECT_EQ(values(r.siblings), Values{3});
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Register, PriorityHighMidAndLowThatSawOnlyHighEndAtMidInEveryOrder) {
  const Ranks ranks = three_ranks();
  const Step w{10, dot(1, 1), {}, 100, {}};
  const Step l{11, dot(2, 1), {}, 50, {}};
  const Step v{12, dot(3, 1), vector_of({dot(1, 1)}), 1, {}};
  for (const auto& steps : {std::vector{w, l, v}, std::vector{l, w, v}, std::vector{w, v, l}}) {
    Register r;
    for (const auto& s : steps) {
      put(r, s);
      EXPECT_TRUE(prune(r, kPriority, ranks).empty()) << "a loser dropped early diverges";
    }
    EXPECT_EQ(values({r.siblings[judge(r, kPriority, ranks).winner]}), Values{50});
  }
}

TEST(Register, PriorityTiesGoToTheLaterWrite) {
  Ranks ranks({{"both", 1}});
  ranks.declare(origin(1), "both");
  ranks.declare(origin(2), "both");
  for (const auto& r : {after({kA, kB}), after({kB, kA})}) {
    EXPECT_EQ(judge(r, kPriority, ranks).winner, 1u);
  }
}

TEST(Register, PriorityFollowsTheDatacenterIntoItsNextIncarnation) {
  Ranks ranks = three_ranks();
  ranks.declare(origin(9), "high");
  const auto r = after({{10, dot(9, 1), {}, 1, {}}, kB});
  EXPECT_EQ(judge(r, kPriority, ranks).winner, 0u);
}

TEST(Register, SiblingsAreOpenUntilSomebodyWhoSawAllWrites) {
  auto r = after({kA, kB});
  EXPECT_TRUE(judge(r, kSiblings, {}).open);
  EXPECT_TRUE(prune(r, kSiblings, {}).empty());
  put(r, {30, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)}), 3, {}});
  EXPECT_FALSE(judge(r, kSiblings, {}).open);
}

TEST(Register, TwoDatacentersThatResolveAlikeAgree) {
  const auto both = vector_of({dot(1, 1), dot(2, 1)});
  const auto r = after({kA, kB, {30, dot(1, 2), both, 3, {}}, {31, dot(2, 2), both, 3, {}}});
  EXPECT_EQ(r.siblings.size(), 2u);
  EXPECT_FALSE(judge(r, kSiblings, {}).open);
}

TEST(Register, LwwForgetsLosersAndTellsWhich) {
  auto r = after({kA, kB});
  EXPECT_EQ(values(prune(r, kLww, {})), Values{1});
  EXPECT_EQ(values(r.siblings), Values{2});
}

TEST(Register, LwwKeepsATwinOfTheWinnerUntilItLoses) {
  auto r = after({kA, {20, dot(2, 1), {}, 1, {}}});
  EXPECT_TRUE(prune(r, kLww, {}).empty());
  put(r, {30, dot(3, 1), vector_of({dot(2, 1)}), 9, {}});
  EXPECT_EQ(values(prune(r, kLww, {})), Values{1}) << "the third never saw the first";
}

TEST(Register, ValuesThatDifferOnlyInTypeAreAConflict) {
  Register r;
  const VersionVector nothing;
  apply(r, {{Hlc::at(1), dot(1, 1)}, nothing, {}, Row{{"x", int64_t{1}}}});
  apply(r, {{Hlc::at(2), dot(2, 1)}, nothing, {}, Row{{"x", 1.0}}});
  EXPECT_TRUE(judge(r, kSiblings, {}).open);
}

TEST(Register, JoinNeverLosesWhatTheOtherSideHasNotSeen) {
  const auto mine = after({kA}), theirs = after({kB});
  const auto both = join(mine, vector_of({kA.d}), theirs, vector_of({kB.d}));
  EXPECT_EQ(values(both.siblings), (Values{1, 2}));
}

TEST(Register, JoinDropsWhatTheOtherSideSawReplaced) {
  const Step c{30, dot(2, 1), vector_of({dot(1, 1)}), 3, {}};
  const auto stale = after({kA}), fresh = after({kA, c});
  const auto both = join(stale, vector_of({kA.d}), fresh, vector_of({kA.d, c.d}));
  EXPECT_EQ(values(both.siblings), Values{3});
}

}  // namespace
}  // namespace entente
