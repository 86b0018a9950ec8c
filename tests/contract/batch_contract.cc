// What a database makes of changes that come many at once is what it makes of them one by one.

#include <algorithm>
#include <random>

#include "conflict/codec.h"
#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

class BatchContract : public DatabaseContract {
 protected:
  size_t below(size_t n) { return random_() % n; }

  Policy some_policy(const std::vector<PolicyKind>& kinds, const std::vector<MergeKind>& merges) {
    Policy p;
    p.kind = kinds[below(kinds.size())];
    p.merge = merges[below(merges.size())];
    if (p.kind != PolicyKind::kCounter && !p.is_set() && below(4) == 0) p.run = RunWhen::kRead;
    return p;
  }

  ConflictRules some_rules() {
    using enum PolicyKind;
    ConflictRules rules;
    rules.priorities = {{"dc1", 2}, {"dc2", 1}};
    auto& table = rules.defaults;
    table.policy = some_policy({kLww, kLww, kPriority, kSiblings}, {MergeKind::kConcat});
    table.granularity = below(3) == 0 ? Granularity::kRow : Granularity::kColumn;
    table.delete_update = static_cast<DeleteUpdate>(below(3));
    if (below(2) == 0) {
      table.columns["owner"] = some_policy({kLww, kPriority, kSiblings, kMerge, kMerge, kMerge},
                                           {MergeKind::kConcat, MergeKind::kUnion, MergeKind::kJson,
                                            MergeKind::kText, MergeKind::kMin, MergeKind::kMax});
    }
    if (below(2) == 0) {
      table.columns["balance"] =
          some_policy({kLww, kPriority, kMerge, kCounter}, {MergeKind::kMin, MergeKind::kMax});
    }
    return rules;
  }

  void disturb(Site& site) {
    const auto key = static_cast<int64_t>(1 + below(3));
    const std::string n = std::to_string(below(4));
    const std::string texts[] = {"[" + n + "]", R"({"a":)" + n + "}", "one\n" + n + "\nthree\n"};
    switch (below(4)) {
      case 0:
        erase(site, "account", key);
        return;
      case 1:
        put(site, "account", key, {{"balance", static_cast<int64_t>(below(5))}});
        return;
      default:
        put(site, "account", key,
            {{"owner", texts[below(3)]}, {"balance", static_cast<int64_t>(below(5))}});
    }
  }

  // Every transaction that the site knows, each a run of its own, in the order it applied them.
  static std::vector<entente::Run> history(Site& site) {
    std::vector<entente::Run> out;
    auto chunks = site.db->read_log(0, SIZE_MAX);
    EXPECT_TRUE(chunks) << chunks.error().text;
    for (const auto& chunk : *chunks) {
      ByteReader in(chunk.run.records);
      for (uint64_t seq = chunk.run.first; seq <= chunk.run.last(); ++seq) {
        ByteWriter record;
        record.string(in.string());
        out.push_back({chunk.run.origin, seq, 1, record.take()});
      }
    }
    return out;
  }

  static void apply(Site& site, std::span<const entente::Run> runs) {
    const auto done = site.db->apply(runs, ++site.now);
    ASSERT_TRUE(done) << done.error().text;
  }

  static std::vector<std::string> open_conflicts(Site& site) {
    ConflictQuery query;
    query.state = ConflictQuery::State::kOpen;
    query.limit = 1000;
    const auto entries = site.reader->conflicts(query);
    EXPECT_TRUE(entries) << entries.error().text;
    std::vector<std::string> out;
    for (const auto& e : *entries) out.push_back(e.key + "/" + e.group + "/" + e.kind);
    std::sort(out.begin(), out.end());
    return out;
  }

  void expect_same(Site& a, Site& b) {
    ASSERT_EQ(table(a, "account"), table(b, "account"));
    ASSERT_EQ(open_conflicts(a), open_conflicts(b));
    for (int64_t key = 1; key <= 3; ++key) {
      const RowRead x = read(a, "account", key, true), y = read(b, "account", key, true);
      ASSERT_EQ(x.row, y.row) << key;
      ASSERT_EQ(x.siblings, y.siblings) << key;
      ASSERT_EQ(x.conflict == RowConflict::kOpen, y.conflict == RowConflict::kOpen);
    }
  }

  std::mt19937_64 random_;
};

TEST_P(BatchContract, ManyAtOnceAreWhatTheyAreOneByOne) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    place_ = GetParam().make_place();
    const ConflictRules rules = some_rules();
    std::vector<Site> sites;
    for (int n = 1; n <= 5; ++n) sites.push_back(open(n, rules));
    std::vector<Site*> others{&sites[1], &sites[2]};
    define(sites[0], account_table(), others);
    for (int step = 0; step < 60; ++step) {
      if (below(8) == 0) ship(sites[below(3)], sites[below(3)]);
      disturb(sites[below(3)]);
    }
    settle({&sites[0], &sites[1], &sites[2]});

    const auto all = history(sites[0]);
    for (const auto& run : all) apply(sites[3], std::span(&run, 1));
    for (size_t i = 0; i < all.size();) {
      const size_t n = std::min(1 + below(12), all.size() - i);
      apply(sites[4], std::span(all).subspan(i, n));
      i += n;
    }
    expect_same(sites[3], sites[4]);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Adapters, BatchContract, testing::ValuesIn(adapters()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace entente::contract
