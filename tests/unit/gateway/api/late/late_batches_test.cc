#include "gateway/api/late/late_batches.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "adapters/sqlite/snapshot.h"
#include "gateway/api/late/unshipped_export.h"
#include "gateway/encoding/json.h"
#include "tests/unit/adapters/sql_site.h"

namespace entente {
namespace {

using namespace test;

ConflictRules rules() {
  ConflictRules rules;
  rules.defaults.granularity = Granularity::kColumn;
  TableRules t = rules.defaults;
  t.columns["n"].kind = PolicyKind::kCounter;
  t.columns["tags"].kind = PolicyKind::kMerge;
  t.columns["tags"].merge = MergeKind::kUnion;
  rules.tables["t"] = t;
  return rules;
}

// c is cut off, and removed; a takes in what it has left.
class LateBatchesTest : public ::testing::Test {
 protected:
  LateBatchesTest()
      : a_(folder_ / "a.db", 1, rules()),
        b_(folder_ / "b.db", 2, rules()),
        c_(folder_ / "c.db", 3, rules()) {
    a_.must("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER, tags TEXT)");
    for (int id = 1; id <= 6; ++id) {
      at(a_, "INSERT INTO t VALUES (" + std::to_string(id) + R"(, 'old', 100, '["old","other"]'))");
    }
    for (auto* site : {&b_, &c_}) ship(a_, *site);
    at(b_, "UPDATE t SET v = 'b' WHERE id = 6"), at(c_, "UPDATE t SET v = 'c' WHERE id = 5");
    for (int i = 0; i < 2; ++i) settle(a_, b_), settle(a_, c_);
  }

  // One clock for all.
  void at(Site& site, const std::string& sql) {
    site.now = ++clock_;
    site.must(sql);
  }

  SharedHistories shared_with(Site& site) const {
    SharedHistories shared;
    for (const auto& [origin, stream] : site.db->state().streams) {
      shared[origin].up_to = stream.seq;
    }
    return shared;
  }

  static std::vector<UnshippedLine> leave(Site& site, const SharedHistories& shared) {
    std::vector<UnshippedLine> lines;
    const auto written =
        export_lines(*site.db, site.options.rules, shared, [&](const std::string& line) {
          std::string text = line;
          auto parsed = parse_unshipped(text);
          ASSERT_TRUE(parsed) << parsed.error().text;
          lines.push_back(std::move(*parsed));
        });
    EXPECT_TRUE(written) << written.error().text;
    return lines;
  }

  // How many of them were new.
  static uint64_t take_in(Site& site, std::vector<UnshippedLine> lines) {
    LateBatches batches(*site.db, site.options.rules, std::move(lines));
    while (!batches.done()) {
      auto runs = batches.next(*site.reader);
      EXPECT_TRUE(runs) << runs.error().text;
      EXPECT_TRUE(batches.missing().empty());
      const auto done = site.db->apply(*runs, ++site.now);
      EXPECT_TRUE(done) << done.error().text;
      if (!runs || !done || !batches.missing().empty()) break;
      batches.taken();
    }
    return batches.lines_taken();
  }

  // All that is applied there is settled, and forgotten as far as it may be.
  static void collect(Site& site) {
    VersionVector everything;
    for (const auto& [origin, stream] : site.db->state().streams) {
      everything.set(origin, stream.seq);
    }
    ASSERT_TRUE(site.db->promise(everything));
    ASSERT_TRUE(site.db->collect(everything, SIZE_MAX));
  }

  static std::map<int64_t, Row> rows(Site& site) {
    std::map<int64_t, Row> rows;
    const auto table = site.reader->table("t");
    EXPECT_TRUE(table);
    for (const auto& [key, row] : *table) {
      Row plain = row;
      auto* tags = std::get_if<std::string>(&plain["tags"]);
      if (tags != nullptr) plain["tags"] = sorted(*tags);
      rows[std::get<int64_t>(row.at("id"))] = std::move(plain);
    }
    return rows;
  }
  static std::string sorted(std::string json) {
    const auto set = parse_json(json);
    std::set<std::string> elements;
    for (const auto& e : *set->array()) elements.insert(*e.string());
    std::string out;
    for (const auto& e : elements) out += e + " ";
    return out;
  }

  Folder folder_;
  Site a_, b_, c_;
  uint64_t clock_ = 1'700'000'100'000;
};

// What anybody may do to a row. Nobody adds what somebody else removes: which of them comes first
// is forgotten with what is collected.
std::string random_write(std::mt19937& random, const std::string& who, int i, bool deletes) {
  const std::string id = std::to_string(1 + random() % 6), name = who + std::to_string(i);
  switch (random() % (deletes ? 6 : 5)) {
    case 0:
      return "UPDATE t SET v = '" + name + "' WHERE id = " + id;
    case 1:
      return "UPDATE t SET n = n + " + std::to_string(random() % 50) + " WHERE id = " + id;
    case 2:
      return "UPDATE t SET tags = json_insert(tags, '$[#]', '" + name + "') WHERE id = " + id;
    case 3:
      return "UPDATE t SET tags = (SELECT json_group_array(value) FROM json_each(t.tags) WHERE "
             "value <> 'old'), v = '" +
             name + "' WHERE id = " + id;
    case 4:
      return "INSERT INTO t VALUES ('" +
             std::to_string(std::hash<std::string>{}(name) % 1'000'000'007) + "', '" + name +
             "', 1, '[]')";
    default:
      return "DELETE FROM t WHERE id = " + id;
  }
}

// The reference is a database that c's changes reach as they are, in time.
TEST_F(LateBatchesTest, WhatComesLateIsAsIfItHadComeInTime) {
  std::mt19937 random(7);
  for (int round = 0; round < 12; ++round) {
    const auto before = shared_with(a_);
    for (int i = 0; i < 12; ++i) {
      const std::string n = std::to_string(round) + "_";
      Site& here = i % 2 == 0 ? a_ : b_;
      at(here, random_write(random, here.options.dc + "_" + n, i, false));
      at(c_, random_write(random, "dc3_" + n, i, true));
      settle(a_, b_);
    }
    const auto reference_path = folder_ / "reference.db";
    ASSERT_TRUE(snapshot_sqlite(a_.path, reference_path));
    Site reference(reference_path, 1, rules());
    reference.now = a_.now;
    ship(c_, reference);
    if (round % 2 == 0) collect(a_);
    const auto lines = leave(c_, before);
    EXPECT_EQ(take_in(a_, lines), lines.size());
    EXPECT_EQ(rows(a_), rows(reference)) << "round " << round;
    // Once more, here and elsewhere, changes nothing.
    const auto seqs = a_.db->state().streams.size();
    EXPECT_EQ(take_in(a_, lines), 0u);
    ship(a_, b_);
    EXPECT_EQ(take_in(b_, lines), 0u);
    EXPECT_EQ(a_.db->state().streams.size(), seqs);
    expect_same(a_, b_, "t");
    // c begins anew, from a copy of a's, and the next round goes on from there.
    reference.reader.reset(), reference.db.reset();
    std::filesystem::remove(reference_path);
    c_.reader.reset(), c_.db.reset();
    c_.path = folder_ / ("c" + std::to_string(round) + ".db").c_str();
    ASSERT_TRUE(snapshot_sqlite(a_.path, c_.path));
    c_.options.fresh_origin = origin_of(static_cast<uint8_t>(100 + round));
    ASSERT_TRUE(begin_new_life(c_.path, c_.options));
    c_.open();
  }
}

TEST_F(LateBatchesTest, AnUpdateOfARowThatIsForgottenStaysDeletedAndIsListed) {
  const auto before = shared_with(a_);
  at(a_, "DELETE FROM t WHERE id = 1");
  settle(a_, b_);
  at(c_, "UPDATE t SET v = 'late', n = n + 5 WHERE id = 1");
  at(c_, "UPDATE t SET v = 'later' WHERE id = 1");
  collect(a_);
  take_in(a_, leave(c_, before));
  EXPECT_EQ(rows(a_).count(1), 0u);
  ship(a_, b_);
  expect_same(a_, b_, "t");
  for (auto* site : {&a_, &b_}) {
    const auto conflicts = site->reader->conflicts({});
    ASSERT_TRUE(conflicts);
    bool listed = false;
    for (const auto& conflict : *conflicts) {
      for (const auto& loser : conflict.losers) {
        listed |= loser.row && loser.row->contains("v") && loser.row->at("v") == Value("later");
      }
    }
    EXPECT_TRUE(listed) << site->options.dc;
  }
}

// a has been restored and wrote again; c took that, b has what a wrote before.
TEST_F(LateBatchesTest, ASecondHistoryUnderTheSameNameLosesNothing) {
  const auto before = shared_with(a_);
  const Origin a = a_.db->state().self;
  const auto backup = folder_ / "backup.db";
  ASSERT_TRUE(snapshot_sqlite(a_.path, backup));
  at(a_, "UPDATE t SET n = n + 1 WHERE id = 1");
  at(a_, "INSERT INTO t VALUES (10, 'first', 0, '[]')");
  ship(a_, b_);
  a_.reader.reset(), a_.db.reset();
  a_.path = backup;
  a_.open();
  at(a_, "UPDATE t SET n = n + 10 WHERE id = 1");
  at(a_, "INSERT INTO t VALUES (11, 'second', 0, '[]')");
  at(a_, "UPDATE t SET v = 'second' WHERE id = 2");
  ship(a_, c_);
  at(c_, "UPDATE t SET n = n + 100, v = 'saw the second' WHERE id = 1");
  at(c_, "UPDATE t SET v = 'third' WHERE id = 11");
  auto shared = before;
  shared[a] = {before.at(a).up_to, before.at(a).up_to};
  const auto lines = leave(c_, shared);
  EXPECT_EQ(lines.size(), 5u);
  EXPECT_TRUE(lines.front().forked);
  EXPECT_EQ(take_in(b_, lines), 5u);
  auto shown = rows(b_);
  EXPECT_EQ(shown.at(1).at("n"), Value(int64_t{211}));
  EXPECT_EQ(shown.at(1).at("v"), Value("saw the second"));
  EXPECT_EQ(shown.at(2).at("v"), Value("second"));
  EXPECT_EQ(shown.at(10).at("v"), Value("first"));
  EXPECT_EQ(shown.at(11).at("v"), Value("third"));
}

TEST_F(LateBatchesTest, LinesThatAreMissingAreAskedFor) {
  const auto before = shared_with(a_);
  at(c_, "UPDATE t SET n = n + 1 WHERE id = 1");
  at(c_, "UPDATE t SET n = n + 1 WHERE id = 1");
  auto lines = leave(c_, before);
  LateBatches batches(*a_.db, a_.options.rules, {lines.back()});
  const auto runs = batches.next(*a_.reader);
  ASSERT_FALSE(runs);
  EXPECT_EQ(runs.error().tag, "unshipped_gap");
}

TEST(UnshippedLine, RefusesWhatIsNone) {
  for (std::string text : {"{}", "[]", R"({"writes":[],"dc":"c","origin":"x"})", "no JSON"}) {
    EXPECT_FALSE(parse_unshipped(text)) << text;
  }
}

}  // namespace
}  // namespace entente
