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
    text += "'" + g.name + "' " + std::string(to_string(g.policy)) + ":";
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
  r.columns["items"] = PolicyKind::kSiblings;
  EXPECT_EQ(shape({carts(), r}), "'' lww:; 'items' siblings: items; '*' lww: owner note; ");
}

TEST(Layout, WhenEveryColumnHasItsOwnPolicyNothingIsLeftOver) {
  auto r = rules(Granularity::kRow);
  for (const auto* c : {"owner", "items", "note"}) r.columns[c] = PolicyKind::kPriority;
  EXPECT_EQ(shape({carts(), r}),
            "'' lww:; 'owner' priority: owner; 'items' priority: items; 'note' priority: note; ");
}

TEST(Layout, APolicyForAKeyColumnIsNoRegister) {
  auto r = rules(Granularity::kRow);
  r.columns["id"] = PolicyKind::kPriority;
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
  r.columns["items"] = PolicyKind::kSiblings;
  EXPECT_TRUE(Layout(carts(), r).resolved_on_read());
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
  all.defaults.policy = PolicyKind::kPriority;
  all.tables["carts"].policy = PolicyKind::kSiblings;
  EXPECT_EQ(all.of("carts").policy, PolicyKind::kSiblings);
  EXPECT_EQ(all.of("orders").policy, PolicyKind::kPriority);
}

}  // namespace
}  // namespace entente
