#include "conflict/row_digest.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

Version version(uint64_t n) {
  Origin o;
  o.id[0] = static_cast<uint8_t>(n);
  return {Hlc{n}, {o, n}};
}

VersionVector everything() {
  VersionVector all;
  for (uint64_t n = 1; n < 10; ++n) all.advance(version(n).dot.origin, n);
  return all;
}

class RowDigestTest : public ::testing::Test {
 protected:
  RowDigestTest() {
    TableDef table;
    table.name = "t";
    table.columns.resize(2);
    table.columns[0].name = "id";
    table.columns[0].key_part = 1;
    table.columns[1].name = "v";
    TableRules rules;
    rules.granularity = Granularity::kRow;
    rules.policy.kind = PolicyKind::kPriority;
    layout_ = Layout(table, rules);
  }

  static Sibling written(uint64_t n, const char* v) {
    return {version(n), Row{{"v", std::string(v)}}};
  }
  RowDigest digest(std::vector<Sibling> siblings, const std::optional<Row>& shown,
                   bool lost = false) const {
    RowState state;
    state.key = "key";
    state.registers[""].siblings = std::move(siblings);
    return digest_of(state, layout_, Ranks(), everything(), shown, lost);
  }
  static std::optional<Row> shown(const char* v) { return Row{{"v", std::string(v)}}; }

  Layout layout_;
};

TEST_F(RowDigestTest, WhatCollectingTakesMakesNoDifference) {
  const auto full = digest({written(1, "loser"), written(2, "winner")}, shown("winner"));
  EXPECT_EQ(full, digest({written(2, "winner")}, shown("winner")));
  EXPECT_TRUE(digest({{version(3), std::nullopt}}, std::nullopt).absent());
  EXPECT_TRUE(digest({}, std::nullopt).absent());
}

TEST_F(RowDigestTest, OfASetItIsNoMatterWhichWritesItIsMadeOf) {
  TableRules rules;
  rules.policy.kind = PolicyKind::kMerge;
  rules.policy.merge = MergeKind::kUnion;
  TableDef table;
  table.columns.resize(2);
  table.columns[0].name = "id";
  table.columns[0].key_part = 1;
  table.columns[1].name = "v";
  const Layout sets(table, rules);
  const auto of = [&](uint64_t n, const char* v) {
    RowState state;
    state.registers[""].siblings = {{version(3), Row{}}};
    state.registers["v"].siblings = {written(n, v)};
    return digest_of(state, sets, Ranks(), everything(), shown(v), false);
  };
  EXPECT_EQ(of(1, "[]"), of(2, "[]"));
  EXPECT_EQ(of(1, "[1]"), of(2, "[1]"));
  EXPECT_NE(of(1, "[1]"), of(1, "[2]"));
}

TEST_F(RowDigestTest, KindsOfDifferenceAreToldApart) {
  const auto row = digest({written(1, "x")}, shown("x"));
  const auto kind = [&](const RowDigest& other) { return difference(row, other); };
  EXPECT_EQ(kind(row), std::nullopt);
  EXPECT_EQ(kind(digest({}, std::nullopt)), RowDifference::kMissing);
  EXPECT_EQ(kind(digest({written(2, "x")}, shown("x"))), RowDifference::kMissing);
  EXPECT_EQ(kind(digest({written(1, "x")}, std::nullopt, true)), RowDifference::kMissing);
  EXPECT_EQ(kind(digest({written(1, "y")}, shown("y"))), RowDifference::kEdited);
  EXPECT_EQ(kind(digest({written(1, "x")}, shown("y"))), RowDifference::kShown);
}

TEST_F(RowDigestTest, ARowThatNoGatewayWroteIsEdited) {
  const auto foreign = digest({{Version{}, Row{{"v", std::string("x")}}}}, shown("x"));
  EXPECT_EQ(difference(foreign, digest({}, std::nullopt)), RowDifference::kEdited);
  // Over a tombstone.
  const auto again = digest({{version(3), std::nullopt}}, shown("x"));
  EXPECT_EQ(difference(again, digest({}, std::nullopt)), RowDifference::kEdited);
}

TEST_F(RowDigestTest, TheFoldOfARowIsOfAllThatItIs) {
  const auto row = digest({written(1, "x")}, shown("x"));
  EXPECT_EQ(fold(row), fold(digest({written(1, "x")}, shown("x"))));
  auto renamed = row;
  renamed.key = "other";
  EXPECT_NE(fold(row), fold(renamed));
  EXPECT_NE(fold(row), fold(digest({written(1, "x")}, shown("y"))));
}

}  // namespace
}  // namespace entente
