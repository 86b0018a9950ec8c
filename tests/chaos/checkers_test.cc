// Every checker passes a good history and fails every mutated one.

#include <gtest/gtest.h>

#include <functional>

#include "tests/chaos/workload.h"

namespace entente::chaos {
namespace {

Origin origin_of(const std::string& dc) {
  Origin origin;
  origin.id[0] = static_cast<uint8_t>(dc.front());
  return origin;
}

// A history of datacenters a and b, and what they show in the end. Clients have the name of their
// datacenter.
struct Story {
  History history;
  Finals finals;
  std::map<std::string, uint64_t> seqs;
  uint64_t stamps = 0;

  Story() { finals["a"], finals["b"]; }

  // `seen`: writes that it had seen, besides what its datacenter wrote before.
  Write& write(const std::string& dc, const std::string& key, std::optional<std::string> value,
               const std::vector<Dot>& seen = {}) {
    Write w;
    w.client = w.dc = dc;
    w.key = key;
    w.value = std::move(value);
    w.outcome = Outcome::kAcknowledged;
    w.version = {Hlc{++stamps}, {origin_of(dc), ++seqs[dc]}};
    w.seen.seen.set(origin_of(dc), seqs[dc] - 1);
    for (const Dot& dot : seen) w.seen.seen.advance(dot.origin, dot.seq);
    history.writes.push_back(w);
    return history.writes.back();
  }
  Write& unknown(const std::string& dc, const std::string& key, std::optional<std::string> value) {
    Write& w = write(dc, key, std::move(value));
    w.outcome = Outcome::kUnknown;
    w.version = {};
    w.seen = {};
    --seqs[dc];
    return w;
  }
  void read(const std::string& client, Rows rows, Dot dot = {}) {
    history.writes_before.push_back(history.writes.size());
    history.reads.push_back({client, client, std::move(rows), dot});
  }
  void shown(const std::string& key, const std::string& value) {
    for (auto& [dc, state] : finals) state.rows[key] = value;
  }
  void values(const std::string& key, const std::set<std::string>& all) {
    for (auto& [dc, state] : finals) state.values[key] = all;
  }
  void lost(const Write& write) {
    for (auto& [dc, state] : finals) state.losers[write.version.dot] = write.value;
  }
  Dot dot(size_t index) const { return history.writes[index].version.dot; }
};

using Mutation = std::function<void(Story&)>;

void expect_caught(const Workload& workload, const Story& good,
                   const std::map<std::string, Mutation>& mutations) {
  for (const auto& violation : workload.check(good.history, good.finals)) {
    ADD_FAILURE() << workload.table() << ", of a good history: " << violation;
  }
  for (const auto& [name, mutate] : mutations) {
    Story bad = good;
    mutate(bad);
    EXPECT_FALSE(workload.check(bad.history, bad.finals).empty())
        << workload.table() << " does not see " << name;
  }
}

TEST(Checkers, Set) {
  Story s;
  s.write("a", "1", "one");
  s.write("b", "2", "two");
  s.unknown("a", "3", "three");  // is there
  s.unknown("a", "4", "four");   // is not
  s.shown("1", "one");
  s.shown("2", "two");
  s.shown("3", "three");
  expect_caught(
      *make_set(), s,
      {{"a row lost everywhere",
        [](Story& bad) {
          for (auto& [dc, state] : bad.finals) state.rows.erase("1");
        }},
       {"a row lost at one place", [](Story& bad) { bad.finals["b"].rows.erase("1"); }},
       {"a wrong value", [](Story& bad) { bad.finals["b"].rows["2"] = "one"; }},
       {"a wrong value of unknown outcome", [](Story& bad) { bad.finals["b"].rows["3"] = "x"; }},
       {"a row out of nowhere", [](Story& bad) { bad.shown("5", "five"); }},
       {"a write that was refused",
        [](Story& bad) { bad.history.writes[2].outcome = Outcome::kRefused; }}});
}

// a and b wrote concurrently, and b's stamp is the later one; before, b had seen what a wrote
// first.
Story two_writers() {
  Story s;
  s.write("a", "k", "old");
  s.write("a", "k", "mine");
  s.write("b", "k", "yours", {s.dot(0)});
  s.shown("k", "yours");
  s.lost(s.history.writes[1]);
  return s;
}

const std::map<std::string, Mutation>& register_mutations() {
  static const std::map<std::string, Mutation> all{
      {"a stale value", [](Story& bad) { bad.shown("k", "old"); }},
      {"a lost row", [](Story& bad) { bad.finals["a"].rows.clear(); }},
      {"the loser",
       [](Story& bad) { bad.shown("k", bad.finals["a"].losers.begin()->second.value_or("")); }},
      {"a loser listed nowhere", [](Story& bad) { bad.finals["b"].losers.clear(); }},
      {"a loser listed with another value",
       [](Story& bad) { bad.finals["b"].losers.begin()->second = "old"; }}};
  return all;
}

TEST(Checkers, LastWrite) {
  expect_caught(*make_last_write(), two_writers(), register_mutations());
}

TEST(Checkers, LastWriteOfUnknownOutcomeMayShow) {
  Story s = two_writers();
  s.unknown("a", "k", "perhaps");
  expect_caught(*make_last_write(), s,
                {{"a stale value", [](Story& bad) { bad.shown("k", "old"); }}});
  s.shown("k", "perhaps");
  expect_caught(*make_last_write(), s, {});
}

TEST(Checkers, PriorityPrefersTheRankToTheTime) {
  Story s = two_writers();
  for (auto& [dc, state] : s.finals) state.losers.clear();
  s.shown("k", "mine");
  s.lost(s.history.writes[2]);
  expect_caught(*make_priority({{"a", 20}, {"b", 10}}), s, register_mutations());
  expect_caught(*make_priority({{"a", 10}, {"b", 10}}), two_writers(), register_mutations());
}

TEST(Checkers, Recreate) {
  Story s;
  s.write("a", "gone", "first");
  s.write("b", "gone", std::nullopt, {s.dot(0)});
  s.write("a", "again", "first");
  s.write("b", "again", std::nullopt, {s.dot(2)});
  s.write("a", "again", "second", {s.dot(3)});
  s.shown("again", "second");
  expect_caught(*make_recreate(), s,
                {{"a resurrection", [](Story& bad) { bad.shown("gone", "first"); }},
                 {"a tombstone over a newer row",
                  [](Story& bad) {
                    for (auto& [dc, state] : bad.finals) state.rows.erase("again");
                  }},
                 {"the row of before", [](Story& bad) { bad.shown("again", "first"); }}});
}

TEST(Checkers, Counter) {
  Story s;
  s.write("a", "n", "5");
  s.write("b", "n", "-2");
  s.unknown("b", "n", "10");
  s.shown("n", "13");
  s.finals["b"] = s.finals["a"];
  expect_caught(*make_counter(), s,
                {{"a doubled add", [](Story& bad) { bad.shown("n", "18"); }},
                 {"a lost add", [](Story& bad) { bad.finals["b"].rows["n"] = "-2"; }},
                 {"a doubled add of unknown outcome", [](Story& bad) { bad.shown("n", "23"); }},
                 {"no row", [](Story& bad) { bad.finals["a"].rows.clear(); }}});
  s.shown("n", "3");
  expect_caught(*make_counter(), s, {});
}

TEST(Checkers, Siblings) {
  Story s;
  s.write("a", "k", "old");
  s.write("a", "k", "mine", {s.dot(0)});
  s.write("b", "k", "yours", {s.dot(0)});
  s.values("k", {"mine", "yours"});
  const std::map<std::string, Mutation> mutations{
      {"a sibling lost before somebody decided",
       [](Story& bad) { bad.finals["b"].values["k"].erase("mine"); }},
      {"a value that was overwritten",
       [](Story& bad) { bad.finals["a"].values["k"].insert("old"); }},
      {"a value out of nowhere",
       [](Story& bad) {
         bad.values("k", {"mine", "yours", "x"});
       }},
      {"no row", [](Story& bad) { bad.finals["a"].values.clear(); }}};
  expect_caught(*make_siblings(), s, mutations);
  s.write("b", "k", "decided", {s.dot(1), s.dot(2)});
  s.values("k", {"decided"});
  expect_caught(*make_siblings(), s, {{"siblings of before the decision", [](Story& bad) {
                                         bad.values("k", {"mine", "decided"});
                                       }}});
}

TEST(Checkers, CausalChain) {
  Story s;
  s.write("a", "1", "");
  s.write("b", "2", "1");
  s.write("a", "3", "2");
  s.read("a", {{"1", ""}, {"2", "1"}});
  s.read("b", {});
  s.shown("1", "");
  s.shown("2", "1");
  s.shown("3", "2");
  expect_caught(*make_causal_chain(), s,
                {{"an effect without its cause",
                  [](Story& bad) {
                    bad.read("a", {{"2", "1"}});
                  }},
                 {"a gap",
                  [](Story& bad) {
                    bad.read("b", {{"1", ""}, {"3", "2"}});
                  }},
                 {"a lost link", [](Story& bad) { bad.finals["b"].rows.erase("3"); }}});
}

TEST(Checkers, Pairs) {
  Story s;
  s.write("a", "p", "one");
  s.write("b", "p", "two", {s.dot(0)});
  s.read("a", {});
  s.read("b", {{"p-left", "one"}, {"p-right", "one"}});
  s.shown("p-left", "two");
  s.shown("p-right", "two");
  expect_caught(
      *make_pairs(), s,
      {{"half a pair",
        [](Story& bad) {
          bad.read("a", {{"p-right", "one"}});
        }},
       {"two halves",
        [](Story& bad) {
          bad.read("a", {{"p-left", "two"}, {"p-right", "one"}});
        }},
       {"half a pair in the end", [](Story& bad) { bad.finals["a"].rows.erase("p-left"); }},
       {"a lost pair", [](Story& bad) { bad.finals["a"].rows.clear(); }},
       {"a stale pair", [](Story& bad) {
          bad.shown("p-left", "one");
          bad.shown("p-right", "one");
        }}});
}

TEST(Checkers, UniqueKey) {
  Story s;
  s.write("a", "first", "mail");
  s.write("b", "second", "mail");
  s.write("a", "erased", "post");
  s.write("a", "erased", std::nullopt);
  s.write("b", "next", "post");
  s.shown("first", "mail");
  s.shown("next", "post");
  s.lost(s.history.writes[1]);
  expect_caught(*make_unique_key(), s,
                {{"the same key twice", [](Story& bad) { bad.shown("second", "mail"); }},
                 {"the later one",
                  [](Story& bad) {
                    for (auto& [dc, state] : bad.finals) state.rows.erase("first");
                    bad.shown("second", "mail");
                    bad.lost(bad.history.writes[0]);
                  }},
                 {"nobody", [](Story& bad) { bad.finals["b"].rows.erase("first"); }},
                 {"a loser listed nowhere", [](Story& bad) { bad.finals["a"].losers.clear(); }},
                 {"who waited has not come back",
                  [](Story& bad) {
                    for (auto& [dc, state] : bad.finals) state.rows.erase("next");
                  }},
                 {"who was erased", [](Story& bad) {
                    for (auto& [dc, state] : bad.finals) state.rows.erase("next");
                    bad.shown("erased", "post");
                  }}});
}

TEST(Checkers, Session) {
  Story s;
  const auto row = [](const char* n) { return Rows{{"k", n}}; };
  s.read("a", {});
  s.write("a", "k", "1");
  s.read("a", row("1"));
  s.unknown("a", "k", "2");
  s.read("a", row("2"));
  s.shown("k", "2");
  expect_caught(*make_session(), s,
                {{"a write that its writer does not read",
                  [&](Story& bad) { bad.history.reads[1].rows.clear(); }},
                 {"a read that goes back", [&](Story& bad) { bad.read("a", row("1")); }},
                 {"a value that was not written yet",
                  [&](Story& bad) { bad.history.reads[1].rows = row("2"); }},
                 {"a lost write", [&](Story& bad) { bad.finals["b"].rows.clear(); }}});
}

TEST(Checkers, ChangeFeed) {
  Story s;
  const auto both = [](const std::string& key, const std::string& value) {
    return Rows{{key + "-1", value}, {key + "-2", value}};
  };
  s.write("a", "x", "1");
  s.write("b", "y", "2", {s.dot(0)});
  s.write("a", "z", "3");
  s.unknown("b", "u", "4");
  const Dot of_unknown{origin_of("b"), 2};
  for (const char* reader : {"a", "b"}) {
    s.read(reader, both("x", "1"), s.dot(0));
    s.read(reader, both("y", "2"), s.dot(1));
    s.read(reader, both("z", "3"), s.dot(2));
    s.read(reader, both("u", "4"), of_unknown);
  }
  for (const auto& [key, value] : Rows{{"x", "1"}, {"y", "2"}, {"z", "3"}, {"u", "4"}}) {
    s.shown(key + "-1", value);
    s.shown(key + "-2", value);
  }
  const auto swap = [](Story& bad, size_t i, size_t j) {
    std::swap(bad.history.reads[i], bad.history.reads[j]);
  };
  expect_caught(
      *make_change_feed(), s,
      {{"a gap",
        [](Story& bad) {
          bad.history.reads.erase(bad.history.reads.begin() + 1);
          bad.history.writes_before.pop_back();
        }},
       {"a transaction twice", [&](Story& bad) { bad.read("a", both("y", "2"), bad.dot(1)); }},
       {"an origin's transactions in another order", [&](Story& bad) { swap(bad, 0, 2); }},
       {"an effect before its cause", [&](Story& bad) { swap(bad, 0, 1); }},
       {"half a transaction", [](Story& bad) { bad.history.reads[2].rows.erase("z-1"); }},
       {"another value", [](Story& bad) { bad.history.reads[2].rows["z-1"] = "2"; }},
       {"what nobody wrote", [&](Story& bad) {
          bad.read("a", both("w", "5"), Dot{origin_of("c"), 1});
        }}});
}

TEST(Checkers, NoneIsMissing) { EXPECT_EQ(all_workloads({{"a", 1}}).size(), 11u); }

}  // namespace
}  // namespace entente::chaos
