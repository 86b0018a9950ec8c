// Rows that are made anew over what is there, and what a reader is told for that.

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

using Kind = RowRequest::Kind;

ConflictRules adding_up() {
  ConflictRules r = rules(PolicyKind::kLww, Granularity::kColumn);
  r.defaults.columns["balance"].kind = PolicyKind::kCounter;
  r.defaults.columns["owner"].kind = PolicyKind::kMerge;
  r.defaults.columns["owner"].merge = MergeKind::kUnion;
  return r;
}

Row basket(const char* elements, int64_t balance) {
  return {{"owner", std::string(elements)}, {"balance", balance}};
}

TEST_P(DatabaseContract, ARowMadeAnewBeginsWithItsValuesAndLeavesWhatIsConcurrent) {
  Site a = open(1, adding_up()), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, basket(R"(["x","y"])", 5));
  settle({&a, &b});
  put(b, "account", int64_t{1}, basket(R"(["x","z"])", 7));
  settle({&a, &b});
  const auto seen = read(a, "account", int64_t{1}, true);
  EXPECT_EQ(seen.parts.counters.size(), 2u);
  auto anew = request(Kind::kRenew, 1, basket(R"(["w"])", 100));
  anew.context = seen.context;
  anew.floors = seen.parts.counters;
  put(b, "account", int64_t{1}, basket(R"(["x","z","new"])", 10));
  commit(a, write(anew));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{100}));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "owner"), Value(std::string(R"(["w"])")));
  settle({&a, &b});
  for (Site* site : {&a, &b}) {
    const auto r = read(*site, "account", int64_t{1}, true);
    EXPECT_EQ(column(r, "balance"), Value(int64_t{103}));
    const auto elements = std::get<std::string>(column(r, "owner"));
    for (const char* e : {"w", "new"}) EXPECT_NE(elements.find(e), std::string::npos) << elements;
    for (const char* e : {"x", "z"}) EXPECT_EQ(elements.find(e), std::string::npos) << elements;
  }
  const DigestQuery all{"account"};
  const auto mine = a.reader->digests(all), theirs = b.reader->digests(all);
  ASSERT_TRUE(mine && theirs);
  EXPECT_EQ(mine->rows, theirs->rows);
}

// A row that was never here, whose counter others have counted in.
TEST_P(DatabaseContract, ARowMadeAnewTakesTheFloorsThatItIsTold) {
  Site a = open(1, adding_up()), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  const auto there = put(a, "account", int64_t{2}, basket("[]", 1));
  settle({&a, &b});
  auto anew = request(Kind::kRenew, 1, basket("[]", 100));
  anew.context = RowContext{*b.reader->applied(), {}};
  anew.floors = {{"balance", there.dot->origin, there.dot->seq, 40}};
  commit(b, write(anew));
  settle({&a, &b});
  for (Site* site : {&a, &b}) {
    const auto r = read(*site, "account", int64_t{1}, true);
    EXPECT_EQ(column(r, "balance"), Value(int64_t{100}));
    EXPECT_EQ(r.parts.counters.size(), 2u);
  }
}

TEST_P(DatabaseContract, ARowIsMadeAnewOverWhatItsContextCoversAlone) {
  Site a = open(1, adding_up());
  define(a, account_table(), {});
  const auto before = *a.reader->applied();
  put(a, "account", int64_t{1}, basket("[]", 1));
  const auto code = [&](const RowRequest& r) {
    const auto out = try_commit(a, write(r));
    return out ? Code::kCorrupt : out.error().code;
  };
  auto anew = request(Kind::kRenew, 1, basket("[]", 100));
  EXPECT_EQ(code(anew), Code::kInvalid) << "no context";
  anew.context = RowContext{before, {}};
  EXPECT_EQ(code(anew), Code::kNotReached) << "the counter went on";
  anew.context = RowContext{*a.reader->applied(), {}};
  anew.floors = {{"balance", origin_of(9), 1, 5}};
  EXPECT_EQ(code(anew), Code::kNotReached) << "nobody knows that origin";
  anew.floors = {{"owner", origin_of(1), 1, 5}};
  EXPECT_EQ(code(anew), Code::kInvalid) << "a set";
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{1}));
  anew.floors = {};
  EXPECT_TRUE(try_commit(a, write(anew)));
}

TEST_P(DatabaseContract, ValuesThatNobodyDecidedAboutAreReadAsWholeRows) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kColumn)),
       b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  settle({&a, &b});
  EXPECT_TRUE(read(a, "account", int64_t{1}, true).parts.undecided.empty());
  put(a, "account", int64_t{1}, account("bob", 1));
  put(b, "account", int64_t{1}, account("cyd", 1));
  settle({&a, &b});
  const auto r = read(b, "account", int64_t{1}, true);
  ASSERT_EQ(r.parts.undecided.size(), 2u);
  for (const auto& value : r.parts.undecided) {
    ASSERT_TRUE(value);
    EXPECT_EQ(value->at("balance"), Value(int64_t{1}));
  }
  EXPECT_EQ(r.parts.undecided.back()->at("owner"), column(r, "owner"));
}

}  // namespace
}  // namespace entente::contract
