#include <algorithm>
#include <random>
#include <set>

#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

using Kind = RowRequest::Kind;

// What clients may write together must fit where it has to go.
TEST_P(DatabaseContract, AFullGroupLeavesTheRestToTheNext) {
  auto a = open(1);
  define(a, account_table(), {});
  const std::string large(1 << 20, 'x');
  std::vector<ClientTransaction> group;
  for (int64_t id = 0; id < 12; ++id) {
    group.push_back(write(request(RowRequest::Kind::kPut, id, account(large.c_str(), 1))));
  }
  std::span<const ClientTransaction> rest(group);
  while (!rest.empty()) {
    const auto done = a.db->commit(rest, ++a.now);
    ASSERT_TRUE(done) << done.error().text;
    ASSERT_FALSE(done->results.empty());
    for (const auto& result : done->results) EXPECT_TRUE(result) << result.error().text;
    EXPECT_EQ(done->chunk->run.count, done->results.size());
    EXPECT_LT(done->chunk->run.records.size(), kGroupBytes + (2 << 20));
    rest = rest.subspan(done->results.size());
  }
  EXPECT_EQ(table(a, "account").size(), 12u);
}

TEST_P(DatabaseContract, ARecordThatIsTooLongForSomebodyIsRefusedAndNothingElse) {
  auto a = open(1);
  define(a, account_table(), {});
  a.db->limit_records(10'000);
  const std::string large(10'000, 'x');
  const ClientTransaction group[] = {
      write(request(RowRequest::Kind::kPut, 1, account("small", 1))),
      write(request(RowRequest::Kind::kPut, 2, account(large.c_str(), 1))),
      write(request(RowRequest::Kind::kPut, 3, account("small", 1)))};
  const auto done = a.db->commit(group, ++a.now);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->results[0]);
  ASSERT_FALSE(done->results[1]);
  EXPECT_EQ(done->results[1].error().code, Code::kTooLarge);
  EXPECT_NE(done->results[1].error().text.find("the limit, so that every datacenter takes it"),
            std::string::npos);
  EXPECT_TRUE(done->results[2]);
  EXPECT_EQ(table(a, "account").size(), 2u);
}

TEST_P(DatabaseContract, FreshDatabaseDeclaresItselfInItsFirstRecord) {
  Site a = open(1);
  const auto state = a.db->state();
  EXPECT_EQ(state.self, origin_of(1));
  EXPECT_EQ(state.streams.at(state.self).seq, 1u);
  EXPECT_EQ(state.labels.at(state.self), "dc1");
  const auto log = a.db->read_log(0, 1000);
  ASSERT_TRUE(log);
  ASSERT_EQ(log->size(), 1u);
  ByteReader in(log->front().run.records);
  const auto t = decode_record(state.self, in.string(), {});
  ASSERT_TRUE(t) << t.error().text;
  EXPECT_EQ(t->declares_dc, "dc1");
}

TEST_P(DatabaseContract, WrittenRowIsReadBackHereAndThere) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  const auto done = put(a, "account", int64_t{1}, account("ada", 5));
  ASSERT_TRUE(done.dot);
  EXPECT_EQ(done.dot->origin, origin_of(1));
  EXPECT_EQ(done.applied.at(origin_of(1)), done.dot->seq);
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "owner"), Value(std::string("ada")));
  ship(a, b);
  EXPECT_EQ(table(a, "account"), table(b, "account"));
  EXPECT_EQ(read(b, "account", int64_t{1}).conflict, RowConflict::kNone);
}

TEST_P(DatabaseContract, P6ApplyingAgainChangesNothing) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 5));
  ship(a, b);
  const auto before = b.db->state();
  ship(a, b);
  EXPECT_EQ(b.db->state().log_head, before.log_head);
  EXPECT_EQ(b.db->state().streams.at(origin_of(1)).chain,
            a.db->state().streams.at(origin_of(1)).chain);
}

TEST_P(DatabaseContract, FailedTransactionLeavesItsNeighboursAlone) {
  Site a = open(1);
  define(a, account_table(), {});
  std::vector<ClientTransaction> group;
  group.push_back(write(request(Kind::kPut, 1, account("ada", 1))));
  group.push_back([](WriteSession& s) -> Result<void> {
    auto done = s.write(request(Kind::kPut, 2, account("bob", 1)));
    EXPECT_TRUE(done);
    return fail(Code::kPrecondition, "changed my mind");
  });
  group.push_back(write(request(Kind::kPut, 3, account("cyd", 1))));
  const auto out = a.db->commit(group, ++a.now);
  ASSERT_TRUE(out) << out.error().text;
  EXPECT_TRUE(out->results[0]);
  EXPECT_FALSE(out->results[1]);
  EXPECT_TRUE(out->results[2]);
  ASSERT_TRUE(out->chunk);
  EXPECT_EQ(out->chunk->run.count, 2u);
  EXPECT_EQ(table(a, "account").size(), 2u);
  EXPECT_EQ(out->results[2]->dot->seq, out->results[0]->dot->seq + 1);
}

TEST_P(DatabaseContract, TransactionThatChangesNothingHasNoDot) {
  Site a = open(1);
  define(a, account_table(), {});
  const auto head = a.db->state().log_head;
  EXPECT_FALSE(commit(a, [](WriteSession&) -> Result<void> { return {}; }).dot);
  EXPECT_FALSE(erase(a, "account", int64_t{9}).dot);
  EXPECT_EQ(a.db->state().log_head, head);
}

TEST_P(DatabaseContract, P3StateAndRowsSurviveReopening) {
  Site a = open(1);
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("ada", 5));
  const auto before = a.db->state();
  const auto rows = table(a, "account");
  reopen(a, 1);
  const auto after = a.db->state();
  EXPECT_EQ(after.self, before.self);
  EXPECT_EQ(after.log_head, before.log_head);
  EXPECT_EQ(after.epoch, before.epoch);
  EXPECT_EQ(after.hlc, before.hlc);
  EXPECT_EQ(after.streams.at(after.self).chain, before.streams.at(after.self).chain);
  EXPECT_EQ(after.streams.at(after.self).context, before.streams.at(after.self).context);
  EXPECT_EQ(table(a, "account"), rows);
}

TEST_P(DatabaseContract, StampsGrowWhateverTheWallClockSays) {
  Site a = open(1);
  define(a, account_table(), {});
  const auto first = put(a, "account", int64_t{1}, account("ada", 5));
  a.now = 5;
  reopen(a, 1);
  const auto second = put(a, "account", int64_t{1}, account("ada", 6));
  EXPECT_GT(second.hlc, first.hlc);
}

// A memory database has no file that could be another's.
class FileContract : public DatabaseContract {};

TEST_P(FileContract, DatabaseOfAnotherDatacenterIsRefused) {
  Site a = open(1);
  a.reader.reset();
  a.db.reset();
  a.options.dc = "dc7";
  const auto again = GetParam().open(place_, 1, a.options);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kMismatch);
}

TEST_P(DatabaseContract, P2LoserOfAConcurrentWriteIsListedEverywhere) {
  Site a = open(1, rules(PolicyKind::kLww, Granularity::kRow)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  b.now += 100;
  put(b, "account", int64_t{1}, account("bob", 2));
  settle({&a, &b});
  EXPECT_EQ(table(a, "account"), table(b, "account"));
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(column(read(*site, "account", int64_t{1}), "owner"), Value(std::string("bob")));
    EXPECT_EQ(read(*site, "account", int64_t{1}).conflict, RowConflict::kResolved);
    const auto listed = site->reader->conflicts({});
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 1u);
    const auto& e = listed->front();
    EXPECT_FALSE(e.open);
    EXPECT_EQ(e.kind, "insert-insert");
    EXPECT_EQ(e.winner.dc, "dc2");
    ASSERT_EQ(e.losers.size(), 1u);
    EXPECT_EQ(e.losers[0].dc, "dc1");
    ASSERT_TRUE(e.losers[0].row);
    EXPECT_EQ(e.losers[0].row->at("owner"), Value(std::string("ada")));
  }
}

// What the last transaction at `site` says of its only row.
RowChange last_change(Site& site) {
  const auto log = site.db->read_log(site.db->state().log_head - 1, 1);
  ByteReader in(log->front().run.records);
  StreamState before;
  before.seq = log->front().run.first - 1;
  const auto head = decode_head(log->front().run.origin, in.string(), before);
  ByteReader changes(head->changes);
  return std::get<RowChange>(*decode_change(changes));
}

TEST_P(DatabaseContract, WhereTheRulesSaySoChangesCarryWhatTheyReplaced) {
  for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
    for (const auto policy : {PolicyKind::kLww, PolicyKind::kSiblings}) {
      place_ = GetParam().make_place();
      ConflictRules told = rules(policy, granularity);
      told.defaults.old_values = true;
      Site a = open(1, told), b = open(2, told);
      define(a, account_table(), {&b});
      put(a, "account", int64_t{1}, account("ada", 1));
      EXPECT_TRUE(last_change(a).old.empty());
      commit(a, write(request(Kind::kPatch, 1, {{"balance", int64_t{2}}})));
      EXPECT_EQ(last_change(a).old, (Row{{"balance", int64_t{1}}}));
      put(a, "account", int64_t{1}, account("eve", 2));
      EXPECT_EQ(last_change(a).old, (Row{{"owner", std::string("ada")}}));
      ship(a, b);
      erase(b, "account", int64_t{1});
      EXPECT_EQ(last_change(b).old, account("eve", 2));
      put(b, "account", int64_t{1}, account("new", 3));
      EXPECT_TRUE(last_change(b).old.empty());
      settle({&a, &b});
      EXPECT_EQ(table(a, "account"), table(b, "account"));
    }
  }
}

TEST_P(DatabaseContract, UpdatesOfDifferentColumnsBothStand) {
  Site a = open(1, rules(PolicyKind::kLww, Granularity::kColumn)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  settle({&a, &b});
  commit(a, write(request(Kind::kPatch, 1, {{"owner", std::string("eve")}})));
  commit(b, write(request(Kind::kPatch, 1, {{"balance", int64_t{9}}})));
  settle({&a, &b});
  EXPECT_EQ(table(a, "account"), table(b, "account"));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "owner"), Value(std::string("eve")));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{9}));
  EXPECT_EQ(read(b, "account", int64_t{1}).conflict, RowConflict::kNone);
}

TEST_P(DatabaseContract, P8UpdateThatBeatsADeleteFindsAWholeRow) {
  Site a = open(1, rules(PolicyKind::kLww, Granularity::kColumn)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  settle({&a, &b});
  erase(a, "account", int64_t{1});
  b.now += 100;
  commit(b, write(request(Kind::kPatch, 1, {{"balance", int64_t{9}}})));
  settle({&a, &b});
  EXPECT_EQ(table(a, "account"), table(b, "account"));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "owner"), Value(std::string("ada")));
  EXPECT_EQ(column(read(a, "account", int64_t{1}), "balance"), Value(int64_t{9}));
}

TEST_P(DatabaseContract, P8DeletedRowStaysDeletedWhenAnOlderWriteArrives) {
  Site a = open(1), b = open(2), c = open(3);
  define(a, account_table(), {&b, &c});
  put(a, "account", int64_t{1}, account("ada", 1));
  ship(a, b);
  erase(b, "account", int64_t{1});
  settle({&a, &b, &c});
  for (Site* site : {&a, &b, &c}) {
    EXPECT_FALSE(read(*site, "account", int64_t{1}).row);
    EXPECT_NE(read(*site, "account", int64_t{1}).etag, "");
  }
}

TEST_P(DatabaseContract, PriorityBeatsTime) {
  Site a = open(1, rules(PolicyKind::kPriority, Granularity::kRow));
  Site b = open(2, a.options.rules), c = open(3, a.options.rules);
  define(a, account_table(), {&b, &c});
  put(b, "account", int64_t{1}, account("high", 1));
  c.now += 100;
  put(c, "account", int64_t{1}, account("mid", 2));
  a.now += 900;
  put(a, "account", int64_t{1}, account("low", 3));
  settle({&a, &b, &c});
  for (Site* site : {&a, &b, &c}) {
    EXPECT_EQ(column(read(*site, "account", int64_t{1}), "owner"), Value(std::string("high")));
  }
}

TEST_P(DatabaseContract, OpenSiblingsStayUntilTheyAreResolvedWithTheirContext) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kRow)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  b.now += 100;
  put(b, "account", int64_t{1}, account("bob", 2));
  settle({&a, &b});
  auto seen = read(a, "account", int64_t{1}, true);
  EXPECT_EQ(seen.siblings, 2u);
  EXPECT_EQ(seen.values.size(), 2u);
  EXPECT_EQ(seen.conflict, RowConflict::kOpen);
  const auto open_now = b.reader->conflicts({ConflictQuery::State::kOpen, "account", {}, 0, 10});
  ASSERT_TRUE(open_now);
  ASSERT_EQ(open_now->size(), 1u);
  EXPECT_TRUE(open_now->front().open);

  // Who writes without a context saw only what SQL shows: the other value stays.
  put(a, "account", int64_t{1}, account("cyd", 3));
  EXPECT_EQ(read(a, "account", int64_t{1}).siblings, 2u);
  settle({&a, &b});
  EXPECT_EQ(read(b, "account", int64_t{1}).conflict, RowConflict::kOpen);

  auto resolve = request(Kind::kPut, 1, account("done", 4));
  resolve.context = read(b, "account", int64_t{1}).context;
  RowOutcome outcome;
  commit(b, write(resolve, &outcome));
  EXPECT_EQ(outcome.conflict, RowConflict::kResolved);
  settle({&a, &b});
  for (Site* site : {&a, &b}) {
    const auto r = read(*site, "account", int64_t{1});
    EXPECT_EQ(r.siblings, 1u);
    EXPECT_EQ(column(r, "owner"), Value(std::string("done")));
    const auto listed = site->reader->conflicts({ConflictQuery::State::kOpen, "", {}, 0, 10});
    ASSERT_TRUE(listed);
    EXPECT_TRUE(listed->empty());
  }
}

TEST_P(DatabaseContract, PickedSiblingBecomesTheOnlyValue) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kRow)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  put(b, "account", int64_t{1}, account("bob", 2));
  settle({&a, &b});
  auto seen = read(a, "account", int64_t{1}, true);
  ASSERT_EQ(seen.values.size(), 2u);
  auto pick = request(Kind::kPut, 1);
  pick.context = seen.context;
  pick.pick = seen.values[0].version.dot;
  commit(a, write(pick));
  settle({&a, &b});
  EXPECT_EQ(column(read(b, "account", int64_t{1}), "owner"), seen.values[0].row->at("owner"));
  EXPECT_EQ(read(b, "account", int64_t{1}).siblings, 1u);
}

TEST_P(DatabaseContract, WriteWithAnOldContextDoesNotReplaceWhatItHasNotSeen) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kRow)), b = open(2, a.options.rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  const auto old = read(a, "account", int64_t{1}).context;
  put(a, "account", int64_t{1}, account("bob", 2));
  auto late = request(Kind::kPut, 1, account("late", 3));
  late.context = old;
  RowOutcome outcome;
  commit(a, write(late, &outcome));
  EXPECT_EQ(outcome.conflict, RowConflict::kOpen);
  EXPECT_EQ(read(a, "account", int64_t{1}).siblings, 2u);
  settle({&a, &b});
  EXPECT_EQ(read(b, "account", int64_t{1}).siblings, 2u);
  EXPECT_EQ(table(a, "account"), table(b, "account"));
}

TEST_P(DatabaseContract, ContextFromTheFutureIsNotReached) {
  Site a = open(1);
  define(a, account_table(), {});
  auto r = request(Kind::kPut, 1, account("ada", 1));
  r.context = RowContext{};
  r.context->seen.set(origin_of(9), 4);
  const auto out = try_commit(a, write(r));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::kNotReached);
}

TEST_P(DatabaseContract, P3PromiseSurvivesReopeningAndNeverGoesBack) {
  Site a = open(1);
  define(a, account_table(), {});
  EXPECT_TRUE(a.db->state().promised.empty());
  VersionVector early = *a.reader->applied();
  put(a, "account", int64_t{1}, account("ada", 1));
  const VersionVector late = *a.reader->applied();
  ASSERT_TRUE(a.db->promise(late));
  ASSERT_TRUE(a.db->promise(early));
  EXPECT_EQ(a.db->state().promised, late);
  reopen(a, 1);
  EXPECT_EQ(a.db->state().promised, late);
}

TEST_P(DatabaseContract, ContextOlderThanThePromiseHasExpired) {
  Site a = open(1);
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("ada", 1));
  auto r = request(Kind::kPut, 1, account("old", 2));
  r.context = read(a, "account", int64_t{1}).context;
  ASSERT_TRUE(a.db->promise(r.context->seen));
  EXPECT_TRUE(try_commit(a, write(r))) << "it covers all that was promised";
  put(a, "account", int64_t{2}, account("another row", 1));
  ASSERT_TRUE(a.db->promise(*a.reader->applied()));
  for (const int restarts : {0, 1}) {
    if (restarts > 0) reopen(a, 1);
    const auto out = try_commit(a, write(r));
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::kPrecondition);
    EXPECT_EQ(out.error().tag, "context_expired");
  }
  r.context = read(a, "account", int64_t{1}).context;
  EXPECT_TRUE(try_commit(a, write(r)));
  r.context = std::nullopt;
  EXPECT_TRUE(try_commit(a, write(r))) << "SQL has seen everything";
}

// b should have promised to refuse this write; a database that went back has forgotten that.
TEST_P(DatabaseContract, P8AChangeThatHasNotSeenWhatWasForgottenIsRefused) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  settle({&a, &b});
  auto old = request(Kind::kPut, 1, account("old", 2));
  old.context = read(b, "account", int64_t{1}).context;
  erase(a, "account", int64_t{1});
  settle({&a, &b});
  ASSERT_TRUE(a.db->collect(*a.reader->applied(), SIZE_MAX));
  commit(b, write(old));
  std::vector<entente::Run> runs;
  const auto chunks = b.db->read_log(0, SIZE_MAX);
  for (const auto& chunk : *chunks) runs.push_back(chunk.run);
  const auto before = a.db->state();
  const auto applied = a.db->apply(runs, a.now);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, Code::kFork) << applied.error().text;
  EXPECT_EQ(a.db->state().log_head, before.log_head);
  EXPECT_FALSE(read(a, "account", int64_t{1}).row);
}

TEST_P(DatabaseContract, BlindSiblingHasSeenDeletionsThatWerePromisedAndKeepsValues) {
  ConflictRules blind = rules(PolicyKind::kSiblings, Granularity::kRow);
  blind.defaults.blind = Blind::kSibling;
  Site a = open(1, blind), b = open(2, blind);
  define(a, account_table(), {&b});
  for (const int64_t key : {1, 2}) put(a, "account", key, account("ada", 1));
  auto gone = request(Kind::kErase, 1);
  gone.context = read(a, "account", int64_t{1}).context;
  commit(a, write(gone));
  ASSERT_FALSE(read(a, "account", int64_t{1}).row);
  ASSERT_TRUE(a.db->promise(*a.reader->applied()));
  for (const int64_t key : {1, 2}) put(a, "account", key, account("again", 2));
  settle({&a, &b});
  for (Site* site : {&a, &b}) {
    EXPECT_EQ(read(*site, "account", int64_t{1}).siblings, 1u) << "the tombstone may be gone";
    EXPECT_EQ(read(*site, "account", int64_t{2}).siblings, 2u) << "it saw nothing";
  }
}

// A client that always shows the same old context adds a value with each write.
TEST_P(DatabaseContract, P10ARowHoldsNoMoreSiblingsThanItMay) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kRow));
  a.options.siblings.siblings = 5;
  reopen(a, 1);
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("first", 0));
  RowRequest again = request(Kind::kPut, 1, account("again", 0));
  again.context = read(a, "account", int64_t{1}).context;
  std::vector<Code> codes;
  for (int i = 0; i < 8; ++i) {
    again.columns = account("again", i);
    const auto done = try_commit(a, write(again));
    if (!done) codes.push_back(done.error().code);
  }
  EXPECT_EQ(codes, std::vector<Code>(3, Code::kConstraint));
  EXPECT_EQ(read(a, "account", int64_t{1}).siblings, 5u);
  again.context = read(a, "account", int64_t{1}).context;
  commit(a, write(again));
  EXPECT_EQ(read(a, "account", int64_t{1}).siblings, 1u);
}

TEST_P(DatabaseContract, ContextOfAWriteLeavesOutWhatItsWriterHadNotSeen) {
  for (const Blind blind : {Blind::kSupersede, Blind::kSibling}) {
    ConflictRules open_rules = rules(PolicyKind::kSiblings, Granularity::kRow);
    open_rules.defaults.blind = blind;
    Site a = open(blind == Blind::kSupersede ? 1 : 3, open_rules);
    Site b = open(blind == Blind::kSupersede ? 2 : 4, open_rules);
    if (blind == Blind::kSibling) a.options.schema_leader = true, reopen(a, 3);
    define(a, account_table(), {&b});
    put(a, "account", int64_t{1}, account("ada", 1));
    put(b, "account", int64_t{1}, account("bob", 2));
    settle({&a, &b});
    RowOutcome outcome;
    const auto first = commit(a, write(request(Kind::kPut, 1, account("cyd", 3)), &outcome));
    const size_t values = read(a, "account", int64_t{1}).siblings;
    auto again = request(Kind::kPut, 1, account("dan", 4));
    again.context = outcome.context;
    again.context->add(*first.dot);
    commit(a, write(again));
    EXPECT_EQ(read(a, "account", int64_t{1}).siblings, values) << "it replaces its own value alone";
  }
}

TEST_P(DatabaseContract, ContextOfAWriteIsAsYoungAsTheWrite) {
  Site a = open(1, rules(PolicyKind::kSiblings, Granularity::kRow));
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("ada", 1));
  auto r = request(Kind::kPut, 1, account("bob", 2));
  r.context = read(a, "account", int64_t{1}).context;
  put(a, "account", int64_t{2}, account("another row", 1));
  ASSERT_TRUE(a.db->promise(r.context->seen));
  RowOutcome outcome;
  const VersionVector before = *a.reader->applied();
  const auto done = commit(a, write(r, &outcome));
  ASSERT_TRUE(a.db->promise(before));
  r.context = outcome.context;
  r.context->add(*done.dot);
  EXPECT_TRUE(try_commit(a, write(r)));
  EXPECT_EQ(read(a, "account", int64_t{1}).siblings, 1u);
}

TEST_P(DatabaseContract, ETagHoldsUntilTheRowChanges) {
  Site a = open(1);
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("ada", 1));
  auto r = request(Kind::kPut, 1, account("bob", 2));
  r.if_match = read(a, "account", int64_t{1}).etag;
  EXPECT_TRUE(try_commit(a, write(r)));
  const auto again = try_commit(a, write(r));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kPrecondition);
  auto fresh = request(Kind::kPut, 1, account("cyd", 3));
  fresh.if_none_match = true;
  EXPECT_FALSE(try_commit(a, write(fresh)));
  fresh.key = {int64_t{2}};
  EXPECT_TRUE(try_commit(a, write(fresh)));
}

TEST_P(DatabaseContract, BadRowRequestsAreRefusedByName) {
  Site a = open(1);
  define(a, account_table(), {});
  auto no_table = request(Kind::kPut, 1);
  no_table.table = "nowhere";
  auto no_column = request(Kind::kPut, 1, {{"colour", std::string("red")}});
  auto bad_key = request(Kind::kPut, 1);
  bad_key.key.push_back(int64_t{2});
  auto null_key = request(Kind::kPut, 1);
  null_key.key = {Null{}};
  const auto tag = [&](const RowRequest& r) {
    const auto out = try_commit(a, write(r));
    return out ? std::string("accepted") : out.error().tag;
  };
  EXPECT_EQ(tag(no_table), "unknown_table");
  EXPECT_EQ(tag(no_column), "unknown_column");
  EXPECT_EQ(tag(bad_key), "key_shape");
  EXPECT_EQ(tag(null_key), "null_key");
  const auto patch = try_commit(a, write(request(Kind::kPatch, 5, account("x", 1))));
  ASSERT_FALSE(patch);
  EXPECT_EQ(patch.error().code, Code::kNotFound);
  EXPECT_TRUE(table(a, "account").empty());
}

TEST_P(DatabaseContract, PutThatChangesNoValueIsStillAWrite) {
  Site a = open(1);
  define(a, account_table(), {});
  put(a, "account", int64_t{1}, account("ada", 1));
  EXPECT_TRUE(put(a, "account", int64_t{1}, account("ada", 1)).dot);
}

TEST_P(DatabaseContract, PutResetsColumnsThatItDoesNotName) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, account("ada", 1));
  put(a, "account", int64_t{1}, {{"balance", int64_t{2}}});
  settle({&a, &b});
  EXPECT_EQ(column(read(b, "account", int64_t{1}), "owner"), Value(Null{}));
}

TEST_P(DatabaseContract, SchemaIsMadeAtTheLeaderOnly) {
  Site a = open(1), b = open(2);
  const auto out = try_commit(b, [](WriteSession& s) { return s.define(account_table()); });
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::kRefused);
  EXPECT_EQ(out.error().tag, "schema_leader");
  EXPECT_NE(out.error().text.find("dc1"), std::string::npos);
  define(a, account_table(), {&b});
  EXPECT_EQ(b.db->state().epoch, 1u);
  const auto def = b.reader->find_table("account");
  ASSERT_TRUE(def && *def);
  EXPECT_TRUE(declared_alike(**def, account_table()));
  EXPECT_EQ(**def, first_definition(account_table(), 1));
}

TEST_P(DatabaseContract, BytesThatAreNoRecordsChangeNothing) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {});
  auto log = a.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(log);
  for (size_t cut = 1; cut < log->front().run.records.size(); ++cut) {
    entente::Run run = log->front().run;
    run.records.resize(cut);
    EXPECT_FALSE(b.db->apply(std::span(&run, 1), ++b.now));
  }
  entente::Run gap = log->back().run;
  EXPECT_FALSE(b.db->apply(std::span(&gap, 1), ++b.now));
  EXPECT_EQ(b.db->state().streams.size(), 1u);
  ship(a, b);
  EXPECT_EQ(b.db->state().streams.size(), 2u);
}

// Rows by two texts, so that a key with one of them is a key with too few.
TableDef place_table() {
  TableDef t{"place", {}};
  t.columns.push_back({"country", "TEXT", Affinity::kText, Collation::kNocase, false, 1});
  t.columns.push_back({"town", "TEXT", Affinity::kText, Collation::kBinary, false, 2});
  t.columns.push_back({"note", "TEXT", Affinity::kText, Collation::kBinary, false, 0});
  return t;
}

Key key_of(const std::vector<Value>& parts) {
  ByteWriter out;
  for (const auto& part : parts) out.value(part);
  return out.take();
}

// The first record of a datacenter that nobody knew: a put of the first row, then `change`.
entente::Run foreign_run(const Site& site, const Key& first, RowChange change) {
  RowChange put{change.table, first, false, true, {{"note", std::string(40, 'n')}}, {}, {}, {}};
  Transaction t{{origin_of(9), 1}, Hlc::at(site.now), {}, site.db->state().epoch, "dc9", {}};
  if (change.context) t.context = *change.context;
  t.changes = {std::move(put), std::move(change)};
  ByteWriter out;
  out.string(encode_record(t, {}));
  return {origin_of(9), 1, 1, out.take()};
}

TEST_P(DatabaseContract, P11KeyThatTheTableCannotHaveIsRefusedAndNothingChanges) {
  Site a = open(1), b = open(2);
  define(a, place_table(), {&b});
  const std::string town(40, 't');  // not within a std::string
  const Key good = key_of({std::string("fr"), town});
  const std::vector<Key> bad = {
      "",
      key_of({std::string("fr")}),
      key_of({std::string("fr"), town, town}),
      key_of({std::string("fr"), Null{}}),
      key_of({std::string("FR"), town}),        // NOCASE folds it
      key_of({std::string("fr"), int64_t{7}}),  // TEXT makes it '7'
      good.substr(0, good.size() - 1),
      good + std::string(1, static_cast<char>(kTagText)),
  };
  for (const auto& key : bad) {
    RowChange put{"place", key, false, true, {{"note", std::string("x")}}, {}, {}, {}};
    RowChange part = put, seen = put, erase = put;
    part.columns.clear();
    seen.context = a.db->state().streams.begin()->second.context;  // not a plain change
    erase.erase = true, erase.inserted = false, erase.columns.clear();
    for (const auto& change : {put, part, seen, erase}) {
      const entente::Run run = foreign_run(b, good, change);
      const auto done = b.db->apply(std::span(&run, 1), ++b.now);
      ASSERT_FALSE(done) << key;
      EXPECT_EQ(done.error().code, Code::kInvalid) << done.error().text;
      EXPECT_EQ(b.db->state().streams.size(), 2u);
    }
  }
  EXPECT_TRUE(table(b, "place").empty());
  RowChange put{"place", key_of({std::string("de"), town}), false, true, {}, {}, {}, {}};
  put.columns = {{"note", std::string("x")}};
  const entente::Run run = foreign_run(b, good, put);
  EXPECT_TRUE(b.db->apply(std::span(&run, 1), ++b.now));
  EXPECT_EQ(table(b, "place").size(), 2u);
}

TEST_P(DatabaseContract, DigestsAreAskedForByKeysThatTheTableCanHave) {
  Site a = open(1);
  define(a, place_table(), {});
  const Key good = key_of({std::string("fr"), std::string(40, 't')});
  ASSERT_TRUE(a.reader->digests({"place", {good}}));
  ASSERT_TRUE(a.reader->digests({"place", {}, good, good}));
  for (const auto& key : {key_of({std::string("fr")}), key_of({std::string("fr"), Null{}}),
                          good + good, good.substr(0, good.size() - 1)}) {
    for (const auto& query : {DigestQuery{"place", {key}}, DigestQuery{"place", {}, key},
                              DigestQuery{"place", {}, {}, key}}) {
      const auto slice = a.reader->digests(query);
      ASSERT_FALSE(slice);
      EXPECT_EQ(slice.error().code, Code::kInvalid);
    }
  }
}

TEST_P(DatabaseContract, LogIsReadFromAnyPositionAndChainsAgree) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  for (int64_t i = 1; i <= 5; ++i) put(a, "account", i, account("x", i));
  ship(a, b);
  const auto last = a.db->state().streams.at(origin_of(1)).seq;
  for (uint64_t seq = 0; seq <= last; ++seq) {
    const auto here = a.db->chain_at(origin_of(1), seq), there = b.db->chain_at(origin_of(1), seq);
    ASSERT_TRUE(here && *here && there && *there) << seq;
    EXPECT_EQ(**here, **there) << seq;
  }
  for (uint64_t seq = 1; seq <= last; ++seq) {
    const auto at = b.db->position_before(origin_of(1), seq);
    ASSERT_TRUE(at) << at.error().text;
    const auto chunks = b.db->read_log(*at, 1);
    ASSERT_TRUE(chunks && !chunks->empty());
    EXPECT_LE(chunks->front().run.first, seq);
    EXPECT_GE(chunks->front().run.last(), seq);
  }
  EXPECT_EQ(*b.db->position_before(origin_of(1), last + 1), b.db->state().log_head);
  EXPECT_EQ(*b.db->position_before(origin_of(9), 1), b.db->state().log_head);
}

TEST_P(DatabaseContract, TrimmedLogKeepsWhatIsNotStable) {
  Site a = open(1);
  define(a, account_table(), {});
  for (int64_t i = 1; i <= 4; ++i) put(a, "account", i, account("x", i));
  VersionVector stable;
  stable.set(origin_of(1), 3);
  ASSERT_TRUE(a.db->trim_log(stable, {}));
  const auto log = a.db->read_log(0, SIZE_MAX);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->front().run.first, 4u);
  const auto gone = a.db->position_before(origin_of(1), 2);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  EXPECT_TRUE(a.db->position_before(origin_of(1), 4));
  const auto chain = a.db->chain_at(origin_of(1), 1);
  ASSERT_TRUE(chain);
  EXPECT_FALSE(*chain);
  reopen(a, 1);
  put(a, "account", int64_t{9}, account("y", 1));
  EXPECT_EQ(a.db->read_log(0, SIZE_MAX)->back().run.first, 7u);
}

TEST_P(DatabaseContract, WhatEverybodyHasIsKeptForSomeTimeButOnlySoMuchOfIt) {
  Site a = open(1);
  define(a, account_table(), {});
  for (int64_t i = 1; i <= 6; ++i) put(a, "account", i, account("x", i));
  const uint64_t now = a.now;  // one write a millisecond
  VersionVector stable;
  stable.set(origin_of(1), 7);
  const auto first = [&] { return a.db->read_log(0, SIZE_MAX)->front().run.first; };
  ASSERT_TRUE(a.db->trim_log(stable, {now - 4, UINT64_MAX}));
  EXPECT_EQ(first(), 4u);
  reopen(a, 1);
  put(a, "account", int64_t{7}, account("x", 7));
  ASSERT_TRUE(a.db->trim_log(stable, {now - 4, UINT64_MAX}));
  EXPECT_EQ(first(), 4u);
  const auto log = *a.db->read_log(0, SIZE_MAX);
  const size_t last_two =
      log[log.size() - 1].run.records.size() + log[log.size() - 2].run.records.size();
  ASSERT_TRUE(a.db->trim_log(stable, {0, last_two + 1}));  // and one that does not fit
  EXPECT_EQ(first(), 7u);
  ASSERT_TRUE(a.db->trim_log(stable, {0, 0}));
  EXPECT_EQ(first(), 8u);  // not stable
  reopen(a, 1);
  EXPECT_EQ(first(), 8u);
}

TEST_P(DatabaseContract, DigestsAreOfTheRowsAndAlikeWhereTheyAre) {
  Site a = open(1, rules(PolicyKind::kPriority, Granularity::kColumn));
  Site b = open(2, rules(PolicyKind::kPriority, Granularity::kColumn));
  define(a, account_table(), {&b});
  for (int64_t i = 1; i <= 9; ++i) put(a, "account", i, account("ada", i));
  settle({&a, &b});
  put(a, "account", int64_t{3}, account("bob", 1));  // a conflict
  put(b, "account", int64_t{3}, account("eve", 2));
  erase(b, "account", int64_t{5});
  settle({&a, &b});
  const auto all = [](Site& site) { return site.reader->digests({"account"}); };
  const auto at_a = all(a), at_b = all(b);
  ASSERT_TRUE(at_a && at_b);
  EXPECT_TRUE(at_a->complete);
  EXPECT_EQ(at_a->rows, at_b->rows);
  EXPECT_EQ(at_a->rows.size(), 8u);  // no deleted ones
  // In pieces, in the order of the keys, the same.
  std::vector<RowDigest> pieces;
  DigestQuery query{"account"};
  query.rows_max = 4;
  for (bool complete = false; !complete;) {
    const auto piece = a.reader->digests(query);
    ASSERT_TRUE(piece) << piece.error().text;
    pieces.insert(pieces.end(), piece->rows.begin(), piece->rows.end());
    complete = piece->complete;
    query.after = piece->last;
  }
  EXPECT_EQ(pieces, at_a->rows);
  // A range, and rows by name, deleted ones too.
  const Key second = at_a->rows[1].key, fourth = at_a->rows[3].key;
  const auto range = a.reader->digests({"account", {}, second, fourth, SIZE_MAX});
  ASSERT_TRUE(range);
  EXPECT_EQ(range->rows, std::vector<RowDigest>(at_a->rows.begin() + 2, at_a->rows.begin() + 4));
  const auto gone = canonical_key(account_table(), std::vector<Value>{int64_t{5}});
  const auto named = a.reader->digests({"account", {second, *gone}, {}, {}, SIZE_MAX});
  ASSERT_TRUE(named);
  ASSERT_EQ(named->rows.size(), 2u);
  EXPECT_EQ(named->rows[0], at_a->rows[1]);
  EXPECT_TRUE(named->rows[1].absent());
  // A write makes its row another.
  put(a, "account", int64_t{3}, account("bob", 1));
  const auto later = all(a);
  ASSERT_TRUE(later);
  EXPECT_NE(later->rows, at_a->rows);
  EXPECT_FALSE(a.reader->digests({"nothing"}));
}

TEST_P(DatabaseContract, SnapshotDoesNotMove) {
  Site a = open(1);
  define(a, account_table(), {});
  ASSERT_TRUE(a.reader->begin());
  const auto before = a.reader->applied();
  put(a, "account", int64_t{1}, account("ada", 1));
  EXPECT_EQ(*a.reader->applied(), *before);
  EXPECT_FALSE(read(a, "account", int64_t{1}).row);
  a.reader->end();
  EXPECT_TRUE(read(a, "account", int64_t{1}).row);
  EXPECT_EQ(a.reader->applied()->at(origin_of(1)), before->at(origin_of(1)) + 1);
}

// P1, P2: random writes at three sites in random delivery order, with duplicates and reopenings.
class Convergence : public DatabaseContract {
 protected:
  void run(PolicyKind policy, Granularity granularity, uint32_t seed) {
    std::mt19937 random(seed);
    Site a = open(1, rules(policy, granularity));
    Site b = open(2, a.options.rules), c = open(3, a.options.rules);
    std::vector<Site*> sites = {&a, &b, &c};
    define(a, account_table(), {&b, &c});
    for (int step = 0; step < 120; ++step) {
      const size_t n = random() % 3;
      Site& site = *sites[n];
      site.now += random() % 5;
      if (random() % 3 == 0) {
        ship(*sites[random() % 3], site);
      } else if (random() % 40 == 0) {
        reopen(site, static_cast<int>(n) + 1);
      } else {
        act(site, random);
      }
    }
    settle(sites);
    // LWW forgets losers at once, so which twins of the winner are still known depends on the way.
    compare(a, b, policy != PolicyKind::kLww);
    compare(a, c, policy != PolicyKind::kLww);
  }

  void act(Site& site, std::mt19937& random) {
    const auto key = static_cast<int64_t>(random() % 4);
    auto r = request(static_cast<Kind>(random() % 3), key);
    if (r.kind != Kind::kErase) r.columns["balance"] = static_cast<int64_t>(random() % 3);
    if (r.kind == Kind::kPut || random() % 2 == 0) {
      if (r.kind != Kind::kErase) r.columns["owner"] = std::string(1, char('a' + random() % 3));
    }
    if (random() % 3 == 0) r.context = contexts_[key];
    const auto done = try_commit(site, write(r));
    EXPECT_TRUE(done || done.error().code == Code::kNotFound ||
                done.error().code == Code::kNotReached)
        << done.error().text;
    if (random() % 2 == 0) contexts_[key] = read(site, "account", key).context;
  }

  void compare(Site& a, Site& b, bool values) {
    EXPECT_EQ(table(a, "account"), table(b, "account"));
    for (int64_t key = 0; key < 4; ++key) {
      const auto x = read(a, "account", key, true), y = read(b, "account", key, true);
      EXPECT_EQ(x.siblings, y.siblings) << key;
      EXPECT_EQ(x.conflict == RowConflict::kOpen, y.conflict == RowConflict::kOpen);
      if (!values) continue;
      ASSERT_EQ(x.values.size(), y.values.size()) << key;
      for (size_t i = 0; i < x.values.size(); ++i) {
        EXPECT_EQ(x.values[i].version, y.values[i].version);
        EXPECT_EQ(x.values[i].row, y.values[i].row);
      }
    }
  }

  std::map<int64_t, RowContext> contexts_;
};

TEST_P(Convergence, P1ForEveryPolicyAndGranularity) {
  for (const auto policy : {PolicyKind::kLww, PolicyKind::kPriority, PolicyKind::kSiblings}) {
    for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
      for (uint32_t seed = 0; seed < 4; ++seed) {
        SCOPED_TRACE(std::string(to_string(policy)) + " seed " + std::to_string(seed) +
                     (granularity == Granularity::kRow ? " row" : " column"));
        place_ = GetParam().make_place();
        contexts_.clear();
        run(policy, granularity, seed);
      }
    }
  }
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, DatabaseContract, testing::ValuesIn(adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, FileContract, testing::ValuesIn(sql_adapters()), kName);
INSTANTIATE_TEST_SUITE_P(Adapters, Convergence, testing::ValuesIn(adapters()), kName);

}  // namespace
}  // namespace entente::contract
