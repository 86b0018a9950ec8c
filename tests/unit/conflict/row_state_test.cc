#include "conflict/row_changes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/conflict/execution.h"

namespace entente {
namespace {

using test::dot;
using test::Replica;
using test::vector_of;

Layout layout(PolicyKind policy, Granularity granularity) {
  TableRules rules;
  rules.policy.kind = policy;
  rules.granularity = granularity;
  return {test::Rules::definition(), rules};
}

test::Op put(uint64_t at, Dot d, VersionVector saw, Row columns) {
  test::Op op{{Hlc::at(at), d}, std::move(saw), {}};
  op.change.table = "t";
  op.change.columns = std::move(columns);
  return op;
}

test::Op erase(uint64_t at, Dot d, VersionVector saw) {
  auto op = put(at, d, std::move(saw), {});
  op.change.erase = true;
  return op;
}

Replica after(const Layout& layout, std::initializer_list<test::Op> ops) {
  Replica r;
  for (const auto& op : ops) r.apply(op, layout);
  return r;
}

const Ranks kRanks = test::ranks();
const Layout kLwwColumns = layout(PolicyKind::kLww, Granularity::kColumn);
const auto kInsert = put(10, dot(1, 1), {}, {{"a", int64_t{1}}, {"b", int64_t{2}}});
const auto kSawInsert = vector_of({dot(1, 1)});

std::string shown(const Replica& r, const Layout& l) {
  const auto row = visible(r.state, l, kRanks);
  return row ? test::describe(*row) : "none";
}

bool listed(const Replica& r, const std::string& row) {
  return std::any_of(r.losses.begin(), r.losses.end(), [&](const Loss& loss) {
    return loss.loser.row && test::describe(*loss.loser.row) == row;
  });
}

TEST(RowState, UpdatesOfDifferentColumnsBothStand) {
  const auto r = after(kLwwColumns, {kInsert, put(20, dot(2, 1), kSawInsert, {{"a", int64_t{5}}}),
                                     put(21, dot(3, 1), kSawInsert, {{"b", int64_t{6}}})});
  EXPECT_EQ(shown(r, kLwwColumns), "{a=5 b=6 }");
  EXPECT_TRUE(r.losses.empty());
}

TEST(RowState, UpdatesOfDifferentColumnsAreAConflictWithGranularityRow) {
  const auto rows = layout(PolicyKind::kLww, Granularity::kRow);
  const auto r =
      after(rows, {kInsert, put(20, dot(2, 1), kSawInsert, {{"a", int64_t{5}}, {"b", int64_t{2}}}),
                   put(21, dot(3, 1), kSawInsert, {{"a", int64_t{1}}, {"b", int64_t{6}}})});
  EXPECT_EQ(shown(r, rows), "{a=1 b=6 }");
  ASSERT_EQ(r.losses.size(), 1u);
  EXPECT_EQ(test::describe(*r.losses[0].loser.row), "{a=5 b=2 }");
}

TEST(RowState, AnUpdateThatWinsOverADeleteFindsAWholeRow) {
  const auto r = after(kLwwColumns, {kInsert, erase(20, dot(2, 1), kSawInsert),
                                     put(21, dot(3, 1), kSawInsert, {{"a", int64_t{5}}})});
  EXPECT_EQ(shown(r, kLwwColumns), "{a=5 b=2 }");
}

TEST(RowState, P2ARowLostToADeleteIsListedWholeInEveryOrder) {
  const auto update = put(11, dot(2, 1), kSawInsert, {{"a", int64_t{5}}});
  const auto blind_erase = erase(20, dot(3, 1), {});
  const auto late = after(kLwwColumns, {kInsert, update, blind_erase});
  EXPECT_EQ(shown(late, kLwwColumns), "none");
  ASSERT_EQ(late.losses.size(), 1u);
  EXPECT_EQ(test::describe(*late.losses[0].loser.row), "{a=5 b=2 }");
  const auto early = after(kLwwColumns, {blind_erase, kInsert, update});
  ASSERT_EQ(early.losses.size(), 2u);
  EXPECT_EQ(test::describe(*early.losses[0].loser.row), "{a=1 b=2 }");
  EXPECT_EQ(test::describe(*early.losses[1].loser.row), "{a=5 b=2 }");
}

TEST(RowState, P8ADeletedRowStaysDeletedWhenAnOldUpdateArrives) {
  const auto r = after(kLwwColumns, {kInsert, erase(30, dot(2, 1), kSawInsert),
                                     put(20, dot(3, 1), kSawInsert, {{"a", int64_t{5}}})});
  EXPECT_EQ(shown(r, kLwwColumns), "none");
  EXPECT_EQ(r.losses.size(), 1u);
}

TEST(RowState, DeletingARowClosesTheConflictsOfItsColumns) {
  TableRules rules;
  rules.columns["b"] = Policy{PolicyKind::kSiblings};
  const Layout own(test::Rules::definition(), rules);
  auto r = after(own, {kInsert, put(11, dot(2, 1), {}, {{"b", int64_t{3}}})});
  EXPECT_TRUE(open_conflict(r.state, own, kRanks));
  r.apply(erase(20, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)})), own);
  EXPECT_FALSE(open_conflict(r.state, own, kRanks));
  EXPECT_TRUE(hidden_siblings(r.state, own, kRanks).empty()) << "a re-insert starts afresh";
}

TEST(RowState, APlainDeleteListsTheSiblingsThatSqlDidNotShow) {
  TableRules rules;
  rules.columns["b"] = Policy{PolicyKind::kSiblings};
  const Layout own(test::Rules::definition(), rules);
  auto r = after(own, {put(10, dot(1, 1), {}, {{"b", int64_t{2}}}),
                       put(11, dot(2, 1), {}, {{"b", int64_t{3}}})});
  auto gone = erase(20, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)}));
  gone.change.kept = hidden_siblings(r.state, own, kRanks);
  EXPECT_EQ(gone.change.kept, (std::vector<KeptSibling>{{"b", dot(1, 1)}}));
  r.apply(gone, own);
  EXPECT_FALSE(visible(r.state, own, kRanks));
  EXPECT_TRUE(listed(r, "{b=2 }"));
}

TEST(RowState, P2APutThatLetsAnOlderTombstoneWinListsTheOpenColumns) {
  TableRules rules;
  rules.policy = Policy{PolicyKind::kPriority};
  rules.columns["b"] = Policy{PolicyKind::kSiblings};
  const Layout own(test::Rules::definition(), rules);
  auto low_after_high =
      put(14, dot(2, 2), vector_of({dot(2, 1), dot(3, 1), dot(4, 1)}), {{"c", int64_t{4}}});
  low_after_high.change.context = vector_of({dot(3, 1)});
  const auto r = after(own, {erase(10, dot(4, 1), {}), put(11, dot(3, 1), {}, {{"b", int64_t{4}}}),
                             put(12, dot(2, 1), {}, {{"b", int64_t{3}}}), low_after_high});
  EXPECT_EQ(shown(r, own), "none");
  EXPECT_TRUE(listed(r, "{b=4 }"));
  EXPECT_TRUE(listed(r, "{b=3 c=4 }"));
}

TEST(RowState, P2ADeleteListsWhatItKeepsOfDecidedColumns) {
  TableRules rules;
  rules.columns["b"] = Policy{PolicyKind::kSiblings};
  const Layout own(test::Rules::definition(), rules);
  auto partly = put(13, dot(2, 2), vector_of({dot(1, 1), dot(2, 1)}), {});
  partly.change.context = vector_of({dot(1, 1)});
  auto r = after(own, {put(11, dot(2, 1), {}, {{"b", int64_t{3}}}),
                       put(10, dot(1, 1), {}, {{"a", int64_t{1}}, {"b", int64_t{2}}}), partly});
  auto gone = erase(20, dot(3, 1), vector_of({dot(1, 1), dot(2, 2)}));
  gone.change.kept = hidden_siblings(r.state, own, kRanks);
  EXPECT_EQ(gone.change.kept, (std::vector<KeptSibling>{{"b", dot(1, 1)}}));
  r.apply(gone, own);
  EXPECT_EQ(shown(r, own), "none");
  EXPECT_FALSE(listed(r, "{a=1 }")) << "it was shown, so the deleter has seen it";
  EXPECT_TRUE(listed(r, "{b=2 }"));
}

TEST(RowState, P2ADeleteListsTheShownColumnThatNoLosingPutWrote) {
  const auto columns = layout(PolicyKind::kPriority, Granularity::kColumn);
  const auto high = put(10, dot(3, 1), {}, {{"a", int64_t{2}}});
  const auto low = put(11, dot(2, 1), vector_of({dot(3, 1)}), {{"b", int64_t{1}}});
  auto beside = put(12, dot(2, 2), vector_of({dot(2, 1), dot(3, 1)}), {{"a", int64_t{3}}});
  beside.change.kept = {{"a", dot(3, 1)}};
  auto r = after(columns, {high, low, beside});
  EXPECT_EQ(shown(r, columns), "{a=2 b=1 }");
  r.apply(erase(20, dot(4, 1), {}), columns);
  EXPECT_EQ(shown(r, columns), "none");
  EXPECT_TRUE(listed(r, "{a=3 b=1 }"));
  EXPECT_TRUE(listed(r, "{a=2 }"));
}

TEST(RowState, APlainWriteKeepsTheSiblingsItDidNotSee) {
  const auto rows = layout(PolicyKind::kSiblings, Granularity::kRow);
  auto r = after(rows, {put(10, dot(1, 1), {}, {{"a", int64_t{1}}}),
                        put(11, dot(2, 1), {}, {{"a", int64_t{2}}})});
  auto write = put(20, dot(3, 1), vector_of({dot(1, 1), dot(2, 1)}), {{"a", int64_t{3}}});
  write.change.kept = hidden_siblings(r.state, rows, kRanks);
  r.apply(write, rows);
  EXPECT_EQ(shown(r, rows), "{a=3 }");
  EXPECT_TRUE(open_conflict(r.state, rows, kRanks));
  EXPECT_EQ(hidden_siblings(r.state, rows, kRanks), (std::vector<KeptSibling>{{"", dot(1, 1)}}));
}

TEST(RowState, AColumnThatTheLayoutDoesNotKnowIsKeptWithTheRow) {
  const auto r =
      after(kLwwColumns, {put(10, dot(1, 1), {}, {{"a", int64_t{1}}, {"new", int64_t{9}}})});
  EXPECT_EQ(shown(r, kLwwColumns), "{a=1 new=9 }");
}

TEST(RowState, ARowNobodyWroteIsNotThere) {
  EXPECT_FALSE(visible({}, kLwwColumns, kRanks));
  EXPECT_FALSE(open_conflict({}, kLwwColumns, kRanks));
  EXPECT_TRUE(hidden_siblings({}, kLwwColumns, kRanks).empty());
}

TEST(RowState, JoinLeavesNoEmptyRegisters) {
  const auto older = after(kLwwColumns, {kInsert});
  EXPECT_TRUE(join(older.state, older.seen, {}, older.seen, {}, kLwwColumns).registers.empty());
}

}  // namespace
}  // namespace entente
