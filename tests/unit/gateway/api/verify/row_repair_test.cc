#include "gateway/api/verify/row_repair.h"

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

using Writes = Result<std::vector<RowRequest>>;

VersionVector everything() {
  VersionVector all;
  for (uint8_t n = 1; n < 4; ++n) all.advance(Origin{{n}}, 9);
  return all;
}

Writes writes(const SeenRow& mine, const SeenRow& theirs, bool take_mine,
              const TableRules& rules = {}) {
  const SeenCopy copies[] = {{"a", mine, everything()}, {"b", theirs, everything()}};
  return repair_writes(table(), rules, copies, take_mine ? 0 : 1);
}

TableRules counting() {
  TableRules rules;
  rules.columns["n"].kind = PolicyKind::kCounter;
  return rules;
}

SeenRow counted(const char* v, int64_t n, std::vector<Floor> parts) {
  SeenRow out = seen(row(v, n));
  for (const auto& part : parts) out.parts.dots.advance(part.origin, part.seq);
  out.parts.counters = std::move(parts);
  return out;
}

Floor part(uint8_t who, uint64_t seq, Int128 sum) { return {"n", Origin{{who}}, seq, sum}; }

SeenRow open_row(std::vector<std::optional<Row>> values) {
  SeenRow out = seen(values.back());
  out.open = true;
  out.parts.undecided = std::move(values);
  return out;
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

TEST(RowRepair, LeavesCountersAloneThatAreAlike) {
  const auto out =
      writes(counted("x", 1, {part(1, 1, 1)}), counted("y", 1, {part(1, 1, 1)}), true, counting());
  ASSERT_TRUE(out && out->size() == 1);
  EXPECT_EQ(out->front().kind, RowRequest::Kind::kPatch);
  EXPECT_FALSE(out->front().columns.contains("n"));
}

TEST(RowRepair, MakesARowAnewWhoseCountersAreNotAlike) {
  const SeenRow mine = counted("x", 5, {part(1, 3, 5)});
  const SeenRow others[] = {counted("x", 99, {part(1, 3, 99)}),
                            counted("x", 5, {part(1, 2, 4), part(2, 7, 1)}), seen(std::nullopt)};
  for (const auto& theirs : others) {
    const auto out = writes(mine, theirs, true, counting());
    ASSERT_TRUE(out && out->size() == 1);
    EXPECT_EQ(out->front().kind, RowRequest::Kind::kRenew);
    EXPECT_TRUE(identical(out->front().columns, Row{{"v", std::string("x")}, {"n", int64_t{5}}}));
    ASSERT_FALSE(out->front().floors.empty());
    EXPECT_EQ(out->front().floors.front(), part(1, 3, 5));
    EXPECT_EQ(out->front().context->seen, everything());
    EXPECT_EQ(out->front().if_match, "state");
  }
  EXPECT_EQ(writes(mine, others[1], true, counting())->front().floors.size(), 2u);
}

TEST(RowRepair, WaitsUntilNoCopyLacksWhatAnotherHas) {
  const SeenRow ahead = counted("x", 6, {part(1, 10, 6)}),
                behind = counted("x", 5, {part(1, 9, 5)});
  for (const bool take_mine : {false, true}) {
    const auto out = writes(ahead, behind, take_mine, counting());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::kBusy);
  }
}

TEST(RowRepair, ValuesThatNobodyDecidedAboutAreWrittenSideBySide) {
  const auto out =
      writes(open_row({row("one", 1), row("two", 1)}), seen(row("one", 1)), true, counting());
  ASSERT_TRUE(out && out->size() == 2);
  EXPECT_EQ(out->front().kind, RowRequest::Kind::kRenew);
  EXPECT_EQ(out->front().if_match, "state");
  EXPECT_EQ(out->back().kind, RowRequest::Kind::kPatch);
  EXPECT_TRUE(identical(out->back().columns, Row{{"v", std::string("two")}}));  // nothing is added
  EXPECT_EQ(out->front().context->seen, out->back().context->seen);
  EXPECT_FALSE(out->back().if_match);
}

TEST(RowRepair, AnEraseThatNobodyDecidedAboutKeepsItsPlace) {
  const auto kinds = [](const Writes& out) {
    std::vector<RowRequest::Kind> all;
    for (const auto& write : out.value_or(std::vector<RowRequest>{})) all.push_back(write.kind);
    return all;
  };
  using enum RowRequest::Kind;
  const SeenRow other = seen(row("one", 1));
  EXPECT_EQ(kinds(writes(open_row({row("one", 1), std::nullopt}), other, true)),
            (std::vector{kPut, kErase}));
  EXPECT_EQ(kinds(writes(open_row({row("one", 1), std::nullopt, row("two", 1)}), other, true)),
            (std::vector{kErase, kPut, kPatch}));
}

TEST(RowRepair, AnOpenConflictElsewhereIsWrittenOver) {
  const auto out = writes(seen(row("x", 1)), open_row({row("x", 2), row("x", 1)}), true);
  ASSERT_TRUE(out && out->size() == 1);
  EXPECT_EQ(out->front().columns.size(), 2u);  // whichever column is open there
}

TEST(RowRepair, RefusesWhatIsDecidedOnReadAndWhatIsNotShown) {
  SeenRow on_read = open_row({row("x", 1), row("y", 1)});
  on_read.decides_on_read = true;
  EXPECT_EQ(writes(on_read, seen(row("x", 1)), true).error().code, Code::kRefused);
  EXPECT_EQ(writes(on_read, seen(row("x", 1)), false).error().code, Code::kRefused);
  SeenRow hidden = seen(std::nullopt);
  hidden.open = true;
  EXPECT_EQ(writes(hidden, seen(row("x", 1)), true).error().code, Code::kRefused);
  EXPECT_TRUE(writes(hidden, seen(row("x", 1)), false));
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
  answer.seen[0].decides_on_read = true;
  answer.seen[1].parts = {everything(), {part(1, 2, -3)}, {std::nullopt, row("w", 2)}};
  answer.complete = false;
  answer.last = "key";
  const std::string bytes = encode(answer);
  const auto read = decode_digest_answer(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), bytes);
  EXPECT_EQ(read->rows, answer.rows);
  EXPECT_EQ(read->seen[0].newest, answer.seen[0].newest);
  EXPECT_TRUE(identical(*read->seen[0].row, *answer.seen[0].row));
  EXPECT_TRUE(read->seen[0].decides_on_read);
  EXPECT_EQ(read->seen[1].parts.dots, everything());
  EXPECT_EQ(read->seen[1].parts.counters, answer.seen[1].parts.counters);
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(decode_digest_answer(bytes.substr(0, n))) << n;
  }
}

}  // namespace
}  // namespace entente
