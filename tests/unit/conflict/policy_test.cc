#include "conflict/policy.h"

#include <gtest/gtest.h>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

TableDef carts() {
  return {"carts",
          {{"id", "INTEGER", Affinity::kInteger, Collation::kBinary, true, 1},
           {"owner", "TEXT", Affinity::kText, Collation::kBinary, false, 0},
           {"items", "TEXT", Affinity::kText, Collation::kBinary, false, 0},
           {"note", "TEXT", Affinity::kText, Collation::kBinary, false, 0}}};
}

std::string shape(const Layout& layout) {
  std::string text;
  for (const auto& g : layout.groups) {
    text += "'" + g.name + "' " + g.policy.describe() + ":";
    for (const auto& c : g.columns) text += " " + c;
    text += "; ";
  }
  return text;
}

TableRules rules(Granularity granularity) {
  TableRules r;
  r.granularity = granularity;
  return r;
}

TEST(Layout, GranularityRowIsOneRegister) {
  EXPECT_EQ(shape({carts(), rules(Granularity::kRow)}), "'' lww: owner items note; ");
}

TEST(Layout, GranularityColumnIsExistenceAndOneRegisterForEachColumn) {
  EXPECT_EQ(shape({carts(), rules(Granularity::kColumn)}),
            "'' lww:; 'owner' lww: owner; 'items' lww: items; 'note' lww: note; ");
}

TEST(Layout, AColumnWithItsOwnPolicyLeavesTheRowsOthersTogether) {
  auto r = rules(Granularity::kRow);
  r.columns["items"] = Policy{PolicyKind::kSiblings};
  EXPECT_EQ(shape({carts(), r}), "'' lww:; 'items' siblings: items; '*' lww: owner note; ");
}

TEST(Layout, WhenEveryColumnHasItsOwnPolicyNothingIsLeftOver) {
  auto r = rules(Granularity::kRow);
  for (const auto* c : {"owner", "items", "note"}) r.columns[c] = Policy{PolicyKind::kPriority};
  EXPECT_EQ(shape({carts(), r}),
            "'' lww:; 'owner' priority: owner; 'items' priority: items; 'note' priority: note; ");
}

TEST(Layout, APolicyForAKeyColumnIsNoRegister) {
  auto r = rules(Granularity::kRow);
  r.columns["id"] = Policy{PolicyKind::kPriority};
  EXPECT_EQ(shape({carts(), r}), "'' lww: owner items note; ");
}

TEST(Layout, ATableOfKeysAloneIsExistence) {
  const TableDef keys{"keys", {{"id", "", Affinity::kBlob, Collation::kBinary, true, 1}}};
  for (const auto g : {Granularity::kRow, Granularity::kColumn}) {
    EXPECT_EQ(shape({keys, rules(g)}), "'' lww:; ");
  }
}

TEST(Layout, AColumnItDoesNotKnowBelongsToExistence) {
  const Layout layout(carts(), rules(Granularity::kColumn));
  EXPECT_EQ(layout.group_of("added_later").name, "");
  EXPECT_EQ(layout.group_of("items").name, "items");
}

TEST(Layout, IsResolvedOnReadIfAnyRegisterIs) {
  auto r = rules(Granularity::kRow);
  EXPECT_FALSE(Layout(carts(), r).resolved_on_read());
  r.columns["items"] = Policy{PolicyKind::kSiblings};
  EXPECT_TRUE(Layout(carts(), r).resolved_on_read());
}

TEST(Layout, AGroupOfColumnsIsOneRegister) {
  auto r = rules(Granularity::kColumn);
  r.groups["told"] = {{"items", "note"}, Policy{PolicyKind::kPriority}};
  EXPECT_EQ(shape({carts(), r}), "'' lww:; 'owner' lww: owner; 'told' priority: items note; ");
  r.granularity = Granularity::kRow;
  EXPECT_EQ(shape({carts(), r}), "'' lww:; 'told' priority: items note; '*' lww: owner; ");
}

TEST(Layout, CountersAndSetsAreAlwaysByColumn) {
  auto r = rules(Granularity::kRow);
  r.policy.kind = PolicyKind::kCounter;
  EXPECT_EQ(shape({carts(), r}),
            "'' lww:; 'owner' counter: owner; 'items' counter: items; 'note' counter: note; ");
  r.policy = {PolicyKind::kMerge, MergeKind::kUnion};
  EXPECT_EQ(Layout(carts(), r).groups.size(), 4u);
}

TEST(Misfits, SayWhichColumnAndWhy) {
  TableRules r;
  r.columns["items"] = Policy{PolicyKind::kCounter};
  r.columns["absent"] = Policy{};
  r.columns["id"] = Policy{PolicyKind::kPriority};
  const auto why = misfits(carts(), r);
  ASSERT_EQ(why.size(), 3u);
  EXPECT_NE(why[0].find("no column absent"), std::string::npos) << why[0];
  EXPECT_NE(why[1].find("part of the key"), std::string::npos) << why[1];
  EXPECT_NE(why[2].find("items is declared TEXT"), std::string::npos) << why[2];
}

TEST(Misfits, AMergeThatMakesTextNeedsAColumnThatHoldsIt) {
  TableDef t = carts();
  t.columns[3].affinity = Affinity::kInteger;
  TableRules r;
  r.columns["note"] = {PolicyKind::kMerge, MergeKind::kConcat};
  EXPECT_EQ(misfits(t, r).size(), 1u);
  r.columns["note"].merge = MergeKind::kMax;
  EXPECT_TRUE(misfits(t, r).empty());
  r.columns.clear();
  r.policy = {PolicyKind::kMerge, MergeKind::kText};
  EXPECT_EQ(misfits(t, r).size(), 1u) << "the table's own policy counts for its columns";
}

TEST(Ranks, AnOriginHasTheRankOfItsDatacenter) {
  Ranks ranks({{"tokyo", 7}});
  ranks.declare(test::origin(1), "tokyo");
  ranks.declare(test::origin(2), "virginia");
  EXPECT_EQ(ranks.rank(test::origin(1)), 7);
  EXPECT_EQ(ranks.rank(test::origin(2)), 0);
  EXPECT_EQ(ranks.rank(test::origin(3)), 0);
  EXPECT_EQ(ranks.dc(test::origin(1)), "tokyo");
  EXPECT_EQ(ranks.dc(test::origin(3)), "");
}

TEST(ConflictRules, ATableWithoutRulesHasTheDefaults) {
  ConflictRules all;
  all.defaults.policy.kind = PolicyKind::kPriority;
  all.tables["carts"].policy.kind = PolicyKind::kSiblings;
  EXPECT_EQ(all.of("carts").policy.kind, PolicyKind::kSiblings);
  EXPECT_EQ(all.of("orders").policy.kind, PolicyKind::kPriority);
}

}  // namespace
}  // namespace entente
