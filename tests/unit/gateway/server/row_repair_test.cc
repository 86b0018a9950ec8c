#include "gateway/server/row_repair.h"

#include <gtest/gtest.h>

namespace entente {
namespace {

TableDef table() {
  TableDef t;
  t.name = "t";
  for (const char* name : {"id", "v", "n"}) t.columns.emplace_back().name = name;
  t.columns[0].key_part = 1;
  t.columns[0].affinity = Affinity::kText;
  return t;
}

SeenRow seen(std::optional<Row> row, std::string state = "state") {
  SeenRow out;
  const Value key[] = {std::string("k")};
  out.digest.key = *canonical_key(table(), key);
  out.state = std::move(state);
  out.row = std::move(row);
  return out;
}

Row row(const char* v, int64_t n) {
  return {{"id", std::string("k")}, {"v", std::string(v)}, {"n", n}};
}

Result<std::vector<RowRequest>> writes(const SeenRow& mine, const SeenRow& theirs, bool take_mine,
                                       const TableRules& rules = {}) {
  const SeenRow* all[] = {&mine, &theirs};
  return repair_writes(table(), rules, mine, take_mine ? mine : theirs, all);
}

TEST(RowRepair, WritesTheColumnsThatDiffer) {
  const auto out = writes(seen(row("mine", 1)), seen(row("theirs", 1)), false);
  ASSERT_TRUE(out && out->size() == 1);
  const auto& write = out->front();
  EXPECT_EQ(write.kind, RowRequest::Kind::kPatch);
  EXPECT_TRUE(identical(write.columns, Row{{"v", std::string("theirs")}}));
  EXPECT_EQ(write.if_match, "state");  // not over what nobody has looked at
  EXPECT_EQ(write.key, std::vector<Value>{std::string("k")});
}

TEST(RowRepair, WritesTheWholeRowWhereSomebodyHasNone) {
  const auto kept = writes(seen(row("mine", 1)), seen(std::nullopt), true);
  ASSERT_TRUE(kept && kept->size() == 1);
  EXPECT_EQ(kept->front().columns.size(), 2u);
  const auto made = writes(seen(std::nullopt), seen(row("theirs", 1)), false);
  ASSERT_TRUE(made && made->size() == 1);
  EXPECT_EQ(made->front().kind, RowRequest::Kind::kPut);
  EXPECT_EQ(made->front().columns.size(), 2u);
}

TEST(RowRepair, ARowThatWasNeverHereIsErasedByMakingItFirst) {
  const auto known = writes(seen(row("mine", 1)), seen(std::nullopt), false);
  ASSERT_TRUE(known && known->size() == 1);
  EXPECT_EQ(known->front().kind, RowRequest::Kind::kErase);
  const auto unknown = writes(seen(std::nullopt, ""), seen(row("theirs", 1)), true);
  ASSERT_TRUE(unknown && unknown->size() == 2);
  EXPECT_EQ(unknown->front().kind, RowRequest::Kind::kPut);
  EXPECT_EQ(unknown->back().kind, RowRequest::Kind::kErase);
}

TEST(RowRepair, RefusesCountersThatDifferAndOpenConflicts) {
  TableRules rules;
  rules.columns["n"].kind = PolicyKind::kCounter;
  EXPECT_FALSE(writes(seen(row("x", 1)), seen(row("x", 2)), true, rules));
  EXPECT_FALSE(writes(seen(row("x", 1)), seen(std::nullopt), true, rules));
  const auto others = writes(seen(row("x", 1)), seen(row("y", 1)), true, rules);
  ASSERT_TRUE(others);
  EXPECT_FALSE(others->front().columns.contains("n"));
  SeenRow open = seen(row("x", 1));
  open.open = true;
  EXPECT_FALSE(writes(open, seen(row("y", 1)), true));
}

TEST(DigestBytes, QuestionsAndAnswersAreReadAsTheyWereWritten) {
  const DigestQuestion question{"t", "after", {"x", "y"}, false, 77, true, {"k"}};
  const auto asked = decode_digest_question(encode(question));
  ASSERT_TRUE(asked);
  EXPECT_EQ(encode(*asked), encode(question));
  EXPECT_EQ(asked->bounds, question.bounds);
  DigestAnswer answer;
  answer.applied.advance(Origin{{1}}, 5);
  answer.parts = {{3, 4}};
  answer.rows = {{"key", 1, 2, 3}};
  answer.seen = {seen(row("v", 1)), seen(std::nullopt)};
  answer.seen[0].newest = {Hlc{9}, {Origin{{1}}, 5}};
  answer.complete = false;
  answer.last = "key";
  const std::string bytes = encode(answer);
  const auto read = decode_digest_answer(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), bytes);
  EXPECT_EQ(read->rows, answer.rows);
  EXPECT_EQ(read->seen[0].newest, answer.seen[0].newest);
  EXPECT_TRUE(identical(*read->seen[0].row, *answer.seen[0].row));
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(decode_digest_answer(bytes.substr(0, n))) << n;
  }
}

}  // namespace
}  // namespace entente
