#include "adapters/memory/memory_database.h"

#include <gtest/gtest.h>

#include "conflict/codec.h"

namespace entente {
namespace {

constexpr uint64_t kNow = 1'700'000'000'000;

Origin origin(uint8_t n) {
  Origin o;
  o.id.fill(n);
  return o;
}

TableDef items() {
  TableDef t{"items", {}};
  t.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
  t.columns.push_back({"a", "TEXT", Affinity::kText, Collation::kBinary, false, 0});
  t.columns.push_back({"b", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 0});
  return t;
}

// One datacenter over a memory disk, with table `items`.
struct Node {
  explicit Node(uint8_t n, TableRules rules = {}, bool leader = false) : disk(make_memory_disk()) {
    options.dc = "dc" + std::to_string(n);
    options.fresh_origin = origin(n);
    options.rules.defaults = rules;
    options.rules.priorities = {{"dc1", 10}, {"dc2", 20}};
    options.schema_leader = leader;
    options.schema_leader_name = "dc1";
    options.wall_ms = kNow;
    db = open_memory(disk, options);
    if (leader) {
      run([](WriteSession& s) { return s.define(items()); });
    }
  }

  Result<Committed> run(ClientTransaction transaction) {
    const ClientTransaction group[] = {std::move(transaction)};
    auto out = db->commit(group, kNow);
    if (!out) return tl::unexpected(out.error());
    return out->results.at(0);
  }

  Result<RowOutcome> write(RowRequest request) {
    Result<RowOutcome> out;
    auto done = run([&](WriteSession& s) -> Result<void> {
      out = s.write(request);
      if (!out) return tl::unexpected(out.error());
      return {};
    });
    if (out && done && done->dot) out->context.add(*done->dot);
    return out;
  }

  std::vector<Run> log() {
    const auto chunks = db->read_log(0, SIZE_MAX);
    std::vector<Run> runs;
    for (const auto& chunk : *chunks) runs.push_back(chunk.run);
    return runs;
  }

  void take_all_from(Node& other) {
    const auto applied = db->apply(other.log(), kNow);
    ASSERT_TRUE(applied) << applied.error().text;
  }

  RowRead read(int64_t id, bool all = false) {
    const Value key[] = {id};
    return db->reader().value()->row("items", key, all).value();
  }

  DatabaseOptions options;
  std::shared_ptr<MemoryDisk> disk;
  std::unique_ptr<Database> db;
};

RowRequest put(int64_t id, std::string a, int64_t b = 0) {
  RowRequest r;
  r.table = "items";
  r.key = {id};
  r.columns = {{"a", a}, {"b", b}};
  return r;
}

RowRequest patch(int64_t id, Row columns) {
  RowRequest r = put(id, "");
  r.kind = RowRequest::Kind::kPatch;
  r.columns = std::move(columns);
  return r;
}

RowRequest erase(int64_t id) {
  RowRequest r = patch(id, {});
  r.kind = RowRequest::Kind::kErase;
  return r;
}

TableRules siblings_by_row() {
  TableRules rules;
  rules.policy.kind = PolicyKind::kSiblings;
  rules.granularity = Granularity::kRow;
  return rules;
}

TEST(MemoryDatabase, FreshDiskDeclaresItsDatacenterInItsFirstRecord) {
  Node n(1);
  const auto state = n.db->state();
  EXPECT_EQ(state.self, origin(1));
  EXPECT_EQ(state.streams.at(origin(1)).seq, 1u);
  EXPECT_EQ(state.labels.at(origin(1)), "dc1");
  EXPECT_EQ(n.db->read_log(0, 1)->size(), 1u);
}

TEST(MemoryDatabase, ReopenedDiskHoldsWhatWasCommitted) {
  Node n(1, {}, true);
  ASSERT_TRUE(n.write(put(7, "x", 3)));
  n.options.fresh_origin = origin(9);
  n.db = open_memory(n.disk, n.options);
  EXPECT_EQ(n.db->state().self, origin(1));
  EXPECT_EQ(n.read(7).row, (Row{{"id", int64_t{7}}, {"a", "x"}, {"b", int64_t{3}}}));
}

TEST(MemoryDatabase, FailingTransactionLeavesNothingAndItsNeighboursStay) {
  Node n(1, {}, true);
  const ClientTransaction group[] = {
      [](WriteSession& s) -> Result<void> { return s.write(put(1, "x")).map([](auto&&) {}); },
      [](WriteSession& s) -> Result<void> {
        (void)s.write(put(2, "y"));
        return s.write(patch(3, {{"a", "z"}})).map([](auto&&) {});
      },
      [](WriteSession& s) -> Result<void> { return s.write(put(4, "w")).map([](auto&&) {}); }};
  const auto out = n.db->commit(group, kNow);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->results[1].error().code, Code::kNotFound);
  EXPECT_EQ(out->results[2]->dot->seq, out->results[0]->dot->seq + 1);
  EXPECT_EQ(out->chunk->run.count, 2u);
  EXPECT_FALSE(n.read(2).row);
  EXPECT_TRUE(n.read(4).row);
}

TEST(MemoryDatabase, SeveralWritesOfOneRowInATransactionAreOneChange) {
  Node n(1, {}, true);
  ASSERT_TRUE(n.run([](WriteSession& s) -> Result<void> {
    (void)s.write(put(1, "x", 1));
    (void)s.write(patch(1, {{"b", int64_t{2}}}));
    (void)s.write(put(2, "gone"));
    return s.write(erase(2)).map([](auto&&) {});
  }));
  const auto chunk = n.db->read_log(2, SIZE_MAX)->at(0);
  ByteReader in(chunk.run.records);
  StreamState before = n.db->state().streams.at(origin(1));
  before.seq = chunk.run.first - 1;
  before.hlc = {};
  const auto t = decode_record(origin(1), in.string(), before);
  ASSERT_TRUE(t) << t.error().text;
  ASSERT_EQ(t->changes.size(), 1u);
  EXPECT_EQ(std::get<RowChange>(t->changes[0]).columns, (Row{{"a", "x"}, {"b", int64_t{2}}}));
}

TEST(MemoryDatabase, ApplyingTwiceChangesNothing) {
  Node a(1, {}, true), b(2);
  ASSERT_TRUE(a.write(put(1, "x")));
  b.take_all_from(a);
  const auto head = b.db->state().log_head;
  b.take_all_from(a);
  EXPECT_EQ(b.db->state().log_head, head);
  EXPECT_EQ(b.read(1).row, a.read(1).row);
  EXPECT_EQ(b.db->state().streams.at(origin(1)).chain, a.db->state().streams.at(origin(1)).chain);
}

TEST(MemoryDatabase, BytesThatAreNoRecordChangeNothing) {
  Node a(1, {}, true), b(2);
  ASSERT_TRUE(a.write(put(1, "x")));
  auto runs = a.log();
  runs.back().records.pop_back();
  EXPECT_EQ(b.db->apply(runs, kNow).error().code, Code::kInvalid);
  EXPECT_EQ(b.db->state().streams.count(origin(1)), 0u);
}

TEST(MemoryDatabase, LastWriteWinsAndTheLoserIsListedEverywhere) {
  Node a(1, {}, true), b(2);
  b.take_all_from(a);
  ASSERT_TRUE(a.write(put(1, "from a", 1)));
  ASSERT_TRUE(b.write(put(1, "from b", 1)));
  b.take_all_from(a);
  a.take_all_from(b);
  EXPECT_EQ(a.read(1).row, b.read(1).row);
  for (auto* n : {&a, &b}) {
    const auto listed = n->db->reader().value()->conflicts({}).value();
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].group, "a");
    EXPECT_EQ(listed[0].losers.at(0).row->count("a"), 1u);
    EXPECT_FALSE(listed[0].open);
  }
}

TEST(MemoryDatabase, SiblingsStayOpenUntilAWriteThatSawThemAll) {
  Node a(1, siblings_by_row(), true), b(2, siblings_by_row());
  b.take_all_from(a);
  ASSERT_TRUE(a.write(put(1, "from a")));
  ASSERT_TRUE(b.write(put(1, "from b")));
  b.take_all_from(a);
  auto read = b.read(1, true);
  EXPECT_EQ(read.conflict, RowConflict::kOpen);
  ASSERT_EQ(read.values.size(), 2u);
  EXPECT_EQ(b.db->reader().value()->conflicts({}).value().at(0).open, true);

  auto blind = b.write(put(1, "blind"));
  ASSERT_TRUE(blind);
  EXPECT_EQ(blind->conflict, RowConflict::kOpen);
  read = b.read(1, true);
  EXPECT_EQ(read.siblings, 2u) << "it replaced the one that SQL showed";

  auto resolve = put(1, "");
  resolve.pick = read.values.at(1).version.dot;
  resolve.context = read.context;
  resolve.decided_by = "ada";
  const auto resolved = b.write(resolve);
  ASSERT_TRUE(resolved);
  EXPECT_NE(resolved->conflict, RowConflict::kOpen);
  EXPECT_EQ(b.read(1).siblings, 1u);
  ConflictQuery open;
  open.state = ConflictQuery::State::kOpen;
  EXPECT_TRUE(b.db->reader().value()->conflicts(open).value().empty());
  const auto log = b.db->reader().value()->conflicts({}).value();
  ASSERT_FALSE(log.empty()) << "who decided is remembered";
  EXPECT_EQ(log.back().decided_by, "operator:ada");
  a.take_all_from(b);
  EXPECT_EQ(a.db->reader().value()->conflicts({}).value().back().decided_by, "operator:ada");
  EXPECT_EQ(a.read(1).etag, b.read(1).etag);
}

TEST(MemoryDatabase, ContextOfABlindWriteDoesNotCoverWhatItKept) {
  Node a(1, siblings_by_row(), true), b(2, siblings_by_row());
  b.take_all_from(a);
  ASSERT_TRUE(a.write(put(1, "from a")));
  ASSERT_TRUE(b.write(put(1, "from b")));
  b.take_all_from(a);
  const auto first = b.write(put(1, "blind"));
  auto second = put(1, "with its context");
  second.context = first->context;
  ASSERT_TRUE(b.write(second));
  EXPECT_EQ(b.read(1).siblings, 2u);
}

TEST(MemoryDatabase, ContextAheadOfTheDatabaseIsNotReached) {
  Node n(1, {}, true);
  auto r = put(1, "x");
  r.context.emplace();
  r.context->seen.advance(origin(5), 1);
  EXPECT_EQ(n.write(r).error().code, Code::kNotReached);
}

TEST(MemoryDatabase, PreconditionsHoldOrRefuse) {
  Node n(1, {}, true);
  ASSERT_TRUE(n.write(put(1, "x")));
  auto again = put(1, "y");
  again.if_none_match = true;
  EXPECT_EQ(n.write(again).error().code, Code::kPrecondition);
  again.if_none_match = false;
  again.if_match = n.read(1).etag;
  ASSERT_TRUE(n.write(again));
  EXPECT_EQ(n.write(again).error().code, Code::kPrecondition);
}

TEST(MemoryDatabase, RequireRefusesBlindWritesAndDefineBelongsToTheLeader) {
  TableRules rules;
  rules.blind = Blind::kRequire;
  Node a(1, rules, true), b(2, rules);
  EXPECT_EQ(a.write(put(1, "x")).error().code, Code::kContextNeeded);
  const auto refused = b.run([](WriteSession& s) { return s.define(items()); });
  EXPECT_EQ(refused.error().tag, "schema_leader");
}

TEST(MemoryDatabase, ErasingAMissingRowChangesNothing) {
  Node n(1, {}, true);
  const auto done =
      n.run([](WriteSession& s) -> Result<void> { return s.write(erase(1)).map([](auto&&) {}); });
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->dot);
}

TEST(MemoryDatabase, TrimmedLogSaysSo) {
  Node n(1, {}, true);
  ASSERT_TRUE(n.write(put(1, "x")));
  ASSERT_TRUE(n.write(put(1, "y")));
  VersionVector stable;
  stable.advance(origin(1), 3);
  ASSERT_TRUE(n.db->trim_log(stable, {}));
  EXPECT_EQ(n.db->position_before(origin(1), 3).error().code, Code::kNotFound);
  EXPECT_EQ(n.db->read_log(*n.db->position_before(origin(1), 4), 1)->at(0).run.first, 4u);
  EXPECT_TRUE(n.db->chain_at(origin(1), 3)->has_value());
  EXPECT_FALSE(n.db->chain_at(origin(1), 2)->has_value());
}

TEST(MemoryDatabase, TableThatDoesNotReplicateLeavesNoRecord) {
  TableRules rules;
  rules.replicate = false;
  Node n(1, rules, true);
  const auto head = n.db->state().log_head;
  ASSERT_TRUE(n.write(put(1, "x", 1)));
  ASSERT_TRUE(n.write(patch(1, {{"b", int64_t{5}}})));
  EXPECT_EQ(n.read(1).row, (Row{{"id", int64_t{1}}, {"a", "x"}, {"b", int64_t{5}}}));
  EXPECT_EQ(n.db->state().log_head, head);
}

TEST(MemoryDatabase, SnapshotStaysWhileWritesGoOn) {
  Node n(1, {}, true);
  ASSERT_TRUE(n.write(put(1, "x")));
  auto reader = std::move(*n.db->reader());
  ASSERT_TRUE(reader->begin());
  ASSERT_TRUE(n.write(put(2, "y")));
  EXPECT_EQ(reader->table("items")->size(), 1u);
  reader->end();
  EXPECT_EQ(reader->table("items")->size(), 2u);
}

}  // namespace
}  // namespace entente
