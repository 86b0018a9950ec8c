#include <gtest/gtest.h>

#include "conflict/handler.h"
#include "tests/contract/database_fixture.h"

// Handlers that fail, and change: what every adapter does about it.
namespace entente::contract {
namespace {

// Fails until told to work; then the datacenter that it prefers wins, or nobody may see the row.
class Fickle final : public Handler {
 public:
  Result<Decision> decide(const Conflict& conflict) const override {
    Decision d;
    d.kind = Decision::Kind::kHold;
    if (holds) return d;
    if (prefers.empty()) return fail(Code::kInvalid, "not today");
    d.kind = Decision::Kind::kPick;
    for (size_t i = 0; i < conflict.siblings.size(); ++i) {
      if (conflict.siblings[i].dc == prefers) d.pick = i;
    }
    return d;
  }
  const std::string& version() const override { return version_; }

  std::string prefers;
  bool holds = false;

 private:
  std::string version_ = "test:fickle";
};

class HandlerContract : public DatabaseContract {
 protected:
  void SetUp() override {
    DatabaseContract::SetUp();
    ConflictRules rules;
    rules.defaults.policy.kind = PolicyKind::kHandler;
    rules.defaults.policy.handler = "fickle";
    rules.defaults.policy.run_this = handler_;
    rules.defaults.granularity = Granularity::kRow;
    a_ = open(1, rules);
    b_ = open(2, rules);
    define(a_, account_table(), {&b_});
    put(a_, "account", int64_t{1}, {{"owner", std::string("of a")}, {"balance", int64_t{1}}});
    put(b_, "account", int64_t{1}, {{"owner", std::string("of b")}, {"balance", int64_t{2}}});
    settle({&a_, &b_});
  }

  std::vector<ConflictEntry> conflicts(Site& site, ConflictQuery::State state) {
    ConflictQuery query;
    query.state = state;
    return site.reader->conflicts(query).value();
  }
  std::string owner(Site& site) {
    return std::get<std::string>(read(site, "account", int64_t{1}).row->at("owner"));
  }

  std::shared_ptr<Fickle> handler_ = std::make_shared<Fickle>();
  Site a_, b_;
};

TEST_P(HandlerContract, AFailureLeavesTheConflictOpenAndSaysWhyEverywhere) {
  for (Site* site : {&a_, &b_}) {
    const auto open = conflicts(*site, ConflictQuery::State::kOpen);
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open.front().note, "not today");
    EXPECT_EQ(owner(*site), "of b") << "the newest, meanwhile";
    EXPECT_EQ(site->db->judge_again(site->now).value(), 1u) << "it fails again";
  }
}

TEST_P(HandlerContract, ARowThatItHoldsIsHiddenUntilSomebodyDecides) {
  handler_->holds = true;
  for (Site* site : {&a_, &b_}) {
    ASSERT_TRUE(site->db->judge_again(site->now));
    EXPECT_FALSE(read(*site, "account", int64_t{1}).row);
    EXPECT_EQ(conflicts(*site, ConflictQuery::State::kOpen).size(), 1u);
  }
  const auto held = read(a_, "account", int64_t{1}, true);
  EXPECT_EQ(held.conflict, RowConflict::kOpen);
  EXPECT_EQ(held.values.size(), 2u);
  RowRequest decided;
  decided.table = "account";
  decided.key = {int64_t{1}};
  decided.columns = {{"owner", std::string("both")}, {"balance", int64_t{3}}};
  decided.context = held.context;
  commit(a_, [&](WriteSession& s) -> Result<void> {
    auto done = s.write(decided);
    if (!done) return tl::unexpected(done.error());
    return {};
  });
  settle({&a_, &b_});
  for (Site* site : {&a_, &b_}) {
    EXPECT_EQ(owner(*site), "both");
    EXPECT_TRUE(conflicts(*site, ConflictQuery::State::kOpen).empty());
  }
}

TEST_P(HandlerContract, WhenItWorksAgainItDecidesAndTheLoserIsListed) {
  handler_->prefers = "dc1";
  for (Site* site : {&a_, &b_}) {
    ASSERT_TRUE(site->db->judge_again(site->now));
    EXPECT_EQ(site->db->judge_again(site->now).value(), 0u);
    EXPECT_EQ(owner(*site), "of a");
    EXPECT_TRUE(conflicts(*site, ConflictQuery::State::kOpen).empty());
    const auto resolved = conflicts(*site, ConflictQuery::State::kResolved);
    ASSERT_EQ(resolved.size(), 1u);
    EXPECT_EQ(resolved.front().losers.front().row->at("owner"), Value(std::string("of b")));
    EXPECT_EQ(resolved.front().decided_by, "handler fickle test:fickle");
  }
}

TEST_P(HandlerContract, UnderNewRulesRowsWithSiblingsAreJudgedAnew) {
  handler_->prefers = "dc1";
  a_.options.rules_version = "2";
  reopen(a_, 1);
  EXPECT_EQ(owner(a_), "of a");
  handler_->prefers = "dc2";
  a_.options.rules_version = "3";
  reopen(a_, 1);
  EXPECT_EQ(owner(a_), "of b");
}

INSTANTIATE_TEST_SUITE_P(Adapters, HandlerContract, testing::ValuesIn(adapters()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace entente::contract
