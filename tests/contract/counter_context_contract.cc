// A counter and a write that shows a context: it adds what it writes less what the context showed,
// whatever others have added to it meanwhile, and whether that was here when it was written.

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

using Kind = RowRequest::Kind;

ConflictRules counting() {
  ConflictRules rules;
  rules.defaults.columns["balance"].kind = PolicyKind::kCounter;
  return rules;
}

RowRequest with(RowRequest request, const RowContext& context) {
  request.context = context;
  return request;
}

RowRequest adding(int64_t amount) { return request(Kind::kIncrement, 1, Row{{"balance", amount}}); }

TEST_P(DatabaseContract, APutAddsToACounterWhatItIsOverWhatItsContextShowed) {
  for (const Kind kind : {Kind::kPut, Kind::kPatch}) {
    for (const bool later : {false, true}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + (later ? " later" : " earlier"));
      place_ = GetParam().make_place();
      Site a = open(1, counting()), b = open(2, counting());
      define(a, account_table(), {&b});
      put(a, "account", int64_t{1}, account("Ada", 5));
      settle({&a, &b});
      const RowContext seen = read(a, "account", int64_t{1}).context;
      const auto others = [&] {
        commit(b, write(adding(4)));
        if (!later) commit(a, write(adding(3)));
        settle({&a, &b});
      };
      RowOutcome outcome;
      if (!later) others();
      const auto done =
          commit(a, write(with(request(kind, 1, account("Eve", 10)), seen), &outcome));
      if (later) others();
      if (later) commit(a, write(adding(3)));
      settle({&a, &b});
      for (Site* site : {&a, &b}) {
        EXPECT_EQ(column(read(*site, "account", int64_t{1}), "balance"), Value(int64_t{17}));
      }

      // Who wrote 10 goes on from there: the others' 7 are still not in its context.
      outcome.context.add(*done.dot);
      commit(a, write(with(request(Kind::kPatch, 1, Row{{"owner", "Bob"}}), outcome.context),
                      &outcome));
      outcome.context.add({a.db->state().self, a.db->state().streams.at(a.db->state().self).seq});
      commit(a, write(with(request(kind, 1, account("Eve", 12)), outcome.context)));
      settle({&a, &b});
      for (Site* site : {&a, &b}) {
        EXPECT_EQ(column(read(*site, "account", int64_t{1}), "balance"), Value(int64_t{19}));
      }
    }
  }
}

TEST_P(DatabaseContract, AnIncrementThatShowsAContextAddsItsAmount) {
  Site a = open(1, counting());
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("Ada", 5));
  const RowContext seen = read(a, "account", int64_t{1}).context;
  commit(a, write(adding(7)));
  RowOutcome outcome;
  const auto done = commit(a, write(with(adding(10), seen), &outcome));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{22}));
  outcome.context.add(*done.dot);
  commit(a, write(with(request(Kind::kPut, 1, account("Ada", 16)), outcome.context)));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{23}));
}

// The row was not there when it was read: all of what it has now is others'.
TEST_P(DatabaseContract, APutThatSawNoRowAddsAllItWrites) {
  Site a = open(1, counting());
  define(a, account_table(), {});
  const RowContext seen = read(a, "account", int64_t{1}).context;
  put(a, "account", int64_t{1}, account("Ada", 5));
  commit(a, write(with(request(Kind::kPut, 1, account("Eve", 10)), seen)));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{15}));
}

// Making the row anew puts aside what its counter had: all of that must have been seen.
TEST_P(DatabaseContract, APutOverADeletedRowMustHaveSeenAllOfItsCounter) {
  Site a = open(1, counting()), b = open(2, counting());
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("Ada", 5));
  settle({&a, &b});
  const RowContext seen = read(a, "account", int64_t{1}).context;
  commit(b, write(adding(4)));
  erase(b, "account", int64_t{1});
  settle({&a, &b});
  const auto anew = request(Kind::kPut, 1, account("Eve", 10));
  const auto refused = try_commit(a, write(with(anew, seen)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, "counter_unseen");
  EXPECT_EQ(refused.error().code, Code::kPrecondition);
  commit(a, write(with(anew, read(a, "account", int64_t{1}).context)));
  settle({&a, &b});
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(column(read(*site, "account", int64_t{1}), "balance"), Value(int64_t{10}));
  }
}

}  // namespace
}  // namespace entente::contract
