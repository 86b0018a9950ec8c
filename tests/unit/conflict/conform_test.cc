#include "conflict/conform.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

ColumnDef column(std::string name, uint16_t key_part = 0) {
  return {std::move(name), "", Affinity::kBlob, Collation::kBinary, false, key_part};
}

// Made in epoch 1; in 2, v becomes w, n goes, and c comes with 7.
class Conform : public ::testing::Test {
 protected:
  Conform() : was(first_definition({"t", {column("k", 1), column("v"), column("n")}}, 1)) {
    TableDef renamed = was;
    renamed.columns[1].name = "w";
    now = next_definition(was, renamed, ColumnsBy::kPlace, 2);
    TableDef changed = now;
    changed.columns.pop_back();
    changed.columns.push_back(column("c"));
    changed.columns.back().fill = Value(int64_t{7});
    now = next_definition(now, changed, ColumnsBy::kName, 2);
  }
  Layout layout(Granularity granularity) const {
    TableRules rules;
    rules.granularity = granularity;
    return {now, rules};
  }
  static RowChange put() {
    RowChange change;
    change.table = "t";
    change.columns = {{"v", int64_t{1}}, {"n", int64_t{2}}};
    change.base = {{"v", int64_t{0}}};
    change.kept = {{"v", {}}, {"n", {}}, {"", {}}};
    change.floors = {{"n", {}, 1, 1}, {"v", {}, 1, 1}};
    return change;
  }
  TableDef was, now;
};

TEST_F(Conform, AChangeIsToldByItsColumnsPresentNames) {
  RowChange change = put();
  conform(change, now, layout(Granularity::kColumn), 1);
  EXPECT_EQ(change.columns, (Row{{"w", int64_t{1}}}));
  EXPECT_EQ(change.base, (Row{{"w", int64_t{0}}}));
  ASSERT_EQ(change.kept.size(), 2u);
  EXPECT_EQ(change.kept[0].group, "w");
  EXPECT_EQ(change.kept[1].group, "");
  ASSERT_EQ(change.floors.size(), 1u);
  EXPECT_EQ(change.floors[0].column, "w");
}

TEST_F(Conform, AChangeOfTheWholeRowHasWrittenWhatCameLater) {
  RowChange change = put();
  conform(change, now, layout(Granularity::kRow), 1);
  EXPECT_EQ(change.columns, (Row{{"c", int64_t{7}}, {"w", int64_t{1}}}));
  RowChange erase;
  erase.table = "t";
  erase.erase = true;
  conform(erase, now, layout(Granularity::kRow), 1);
  EXPECT_TRUE(erase.columns.empty());
}

TEST_F(Conform, AChangeOfThePresentSchemaStaysAsItIs) {
  RowChange change;
  change.table = "t";
  change.columns = {{"c", int64_t{5}}, {"w", int64_t{1}}};
  const Row before = change.columns;
  conform(change, now, layout(Granularity::kRow), 2);
  EXPECT_EQ(change.columns, before);
}

TEST_F(Conform, RegistersFollowTheirColumns) {
  RowState state;
  const Version version{Hlc{1}, {Origin{}, 1}};
  state.registers[""].siblings.push_back({version, Row{}});
  state.registers["v"].siblings.push_back({version, Row{{"v", int64_t{1}}}});
  state.registers["n"].siblings.push_back({version, Row{{"n", int64_t{2}}}});
  const Layout by_column = layout(Granularity::kColumn);
  conform(state, was, now, by_column);
  EXPECT_EQ(state.registers.size(), 2u);
  EXPECT_TRUE(state.registers.contains("w"));
  EXPECT_EQ(visible(state, by_column, Ranks()), (Row{{"c", int64_t{7}}, {"w", int64_t{1}}}));
}

TEST_F(Conform, ARegisterOfTheWholeRowIsFilledUp) {
  RowState state;
  const Version version{Hlc{1}, {Origin{}, 1}};
  state.registers[""].siblings.push_back({version, Row{{"n", int64_t{2}}, {"v", int64_t{1}}}});
  conform(state, was, now, layout(Granularity::kRow));
  EXPECT_EQ(state.registers[""].siblings[0].row, (Row{{"c", int64_t{7}}, {"w", int64_t{1}}}));
}

}  // namespace
}  // namespace entente
