// One database's rows joined into a copy of another's: what its log would have made of it.

#include "adapters/state_join.h"

#include <algorithm>
#include <random>
#include <set>

#include "tests/contract/conflict_cell.h"
#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

using Kind = RowRequest::Kind;

VersionVector applied_at(const Site& site) {
  VersionVector out;
  for (const auto& [origin, stream] : site.db->state().streams) out.advance(origin, stream.seq);
  return out;
}

std::string text(const std::optional<Row>& row) {
  std::string out = row ? "" : "no row";
  if (!row) return out;
  for (const auto& [name, value] : *row) out += name + "=" + describe(value) + " ";
  return out;
}

// Without what may differ between sites: ids, times, and of losers the columns that one site has
// collected.
std::string text(const ConflictEntry& e) {
  return e.table + " " + describe(key_parts(e.key)->at(0)) + " '" + e.group + "' " + e.kind + " " +
         text(e.winner.row);
}

class StateJoinContract : public DatabaseContract {
 protected:
  std::vector<ConflictEntry> conflicts(Site& site, ConflictQuery::State state) {
    ConflictQuery query;
    query.state = state;
    query.limit = 1'000'000;
    auto out = site.reader->conflicts(query);
    EXPECT_TRUE(out) << out.error().text;
    return out.value_or(std::vector<ConflictEntry>{});
  }

  std::set<std::string> open_at(Site& site) {
    std::set<std::string> out;
    for (const auto& e : conflicts(site, ConflictQuery::State::kOpen)) out.insert(text(e));
    return out;
  }

  // Every loser, by name.
  std::multiset<std::string> losers(Site& site) {
    std::multiset<std::string> out;
    for (const auto& e : conflicts(site, ConflictQuery::State::kResolved)) {
      for (const auto& l : e.losers) out.insert(name_of_loser(e, l));
    }
    return out;
  }

  // True if a row that was lost at the site holds this value.
  bool lists(Site& site, const std::string& name, const std::string& column, const Value& value) {
    const auto all = conflicts(site, ConflictQuery::State::kResolved);
    return std::any_of(all.begin(), all.end(), [&](const ConflictEntry& e) {
      return e.table == name && std::any_of(e.losers.begin(), e.losers.end(), [&](const auto& l) {
               const auto it = l.row ? l.row->find(column) : Row::const_iterator();
               return l.row && it != l.row->end() && identical(it->second, value);
             });
    });
  }

  // What two sites that have the same must agree on.
  void expect_alike(Site& a, Site& b, const std::string& how) {
    const auto here = open_at(a), there = open_at(b);
    std::vector<std::string> differ;
    std::set_symmetric_difference(here.begin(), here.end(), there.begin(), there.end(),
                                  std::back_inserter(differ));
    EXPECT_EQ(differ, std::vector<std::string>()) << how;
    const auto tables = a.reader->tables();
    for (const auto& def : *tables) {
      EXPECT_EQ(table(a, def.name), table(b, def.name)) << how << " " << def.name;
      DigestQuery query;
      query.table = def.name;
      const auto x = a.reader->digests(query), y = b.reader->digests(query);
      ASSERT_TRUE(x && y);
      EXPECT_EQ(x->rows, y->rows) << how << " " << def.name;
    }
  }

  void join(Site& from, Site& to) {
    ++to.now;
    const auto lacked = join_states(*from.db, *to.db, to.now);
    ASSERT_TRUE(lacked) << lacked.error().text;
    EXPECT_TRUE(applied_at(to).covers(applied_at(from)));
  }

  // Everybody promises what all have, and these sites collect it.
  void collect(std::vector<Site*> all, const std::vector<Site*>& who) {
    const VersionVector stable = applied_at(*all.front());
    for (Site* site : all) ASSERT_TRUE(site->db->promise(stable));
    for (Site* site : who) ASSERT_TRUE(site->db->collect(stable, SIZE_MAX));
  }

  void forget_log(Site& site) { ASSERT_TRUE(site.db->trim_log(applied_at(site), {})); }
};

// ---- Random histories --------------------------------------------------------------------------

// One row change of a history, as its origin logged it.
struct Written {
  Dot dot;
  VersionVector seen;
  RowChange change;
};

class RandomHistory : public StateJoinContract {
 protected:
  void start(uint64_t seed) {
    random_.seed(seed);
    tables_ = table_cases();
    ConflictRules rules;
    for (const auto& t : tables_) rules.tables[t.name] = t.rules();
    for (int i = 0; i < 8; ++i) {  // some with a policy of its own for one column
      const auto& t = tables_[below(tables_.size())];
      rules.tables[t.name].columns["w"] = {PolicyKind::kPriority};
    }
    rules.priorities = {{"dc1", 9}, {"dc2", 5}, {"dc3", 5}};
    for (int n = 1; n <= 3; ++n) sites_.push_back(open(n, rules));
    for (const auto& t : tables_) {
      commit(sites_[0], [&](WriteSession& session) { return session.define(t.def()); });
    }
    contexts_.assign(sites_.size(), {});
    settle_all();
  }

  size_t below(size_t n) { return random_() % n; }
  bool one_in(size_t n) { return below(n) == 0; }

  Value value_for(PolicyCase::Values values) {
    using Values = PolicyCase::Values;
    const auto n = static_cast<int64_t>(below(5));
    const std::string word = std::to_string(n);
    switch (values) {
      case Values::kInteger:
        return n;
      case Values::kText:
        return "v" + word;
      case Values::kJson:
        return "{\"k" + std::to_string(below(3)) + "\":" + word + "}";
      case Values::kLines:
        return word + "\n" + std::to_string(below(3)) + "\n3\n";
      case Values::kSet: {
        std::string out;
        for (int i = 0; i < 4; ++i) {
          if (one_in(2)) out += (out.empty() ? "\"" : ",\"") + std::to_string(i) + "\"";
        }
        return "[" + out + "]";
      }
    }
    return {};
  }

  void write(size_t at) {
    Site& site = sites_[at];
    const auto& t = tables_[below(tables_.size())];
    RowRequest request;
    request.table = t.name;
    request.key = {static_cast<int64_t>(below(2))};
    const size_t what = below(8);
    request.kind = what == 0 ? Kind::kErase : what < 5 ? Kind::kPut : Kind::kPatch;
    if (what != 0) request.columns["v"] = value_for(t.policy.values);
    if (what < 5 && what != 0) request.columns["w"] = value_for(t.policy.values);
    auto& known = contexts_[at][{t.name, request.key}];
    if (one_in(3) && known && !t.policy.policy.is_counter()) request.context = *known;
    if (one_in(2)) known = read(site, t.name, request.key[0]).context;
    site.now += below(3);
    // A row that is not there, a context that has expired: then nothing is written.
    (void)try_commit(site, [&](WriteSession& session) -> Result<void> {
      auto done = session.write(request);
      if (!done) return tl::unexpected(done.error());
      return {};
    });
  }

  void write_and_ship(size_t writes, size_t ships_one_in) {
    for (size_t i = 0; i < writes; ++i) {
      write(below(sites_.size()));
      if (!one_in(ships_one_in)) continue;
      const size_t from = below(sites_.size()), to = below(sites_.size());
      if (from != to) ship(sites_[from], sites_[to]);
    }
  }

  void settle_all() { settle({&sites_[0], &sites_[1], &sites_[2]}); }

  // What these sites' logs hold.
  std::vector<Written> history() {
    std::vector<Written> out;
    std::map<Origin, StreamState> streams;
    for (auto& site : sites_) {
      const auto chunks = site.db->read_log(0, SIZE_MAX);
      EXPECT_TRUE(chunks);
      for (const auto& chunk : *chunks) {
        StreamState& stream = streams[chunk.run.origin];
        const auto fresh = slice_after(chunk.run, stream.seq);
        ByteReader in(fresh->records);
        for (uint64_t i = 0; i < fresh->count; ++i) {
          const auto record = in.string();
          auto t = decode_record(chunk.run.origin, record, stream);
          EXPECT_TRUE(t);
          stream = advance(stream, {t->hlc, t->context, t->epoch, t->declares_dc, 0, {}}, record);
          for (auto& change : t->changes) {
            auto* row = std::get_if<RowChange>(&change);
            if (row == nullptr) continue;
            VersionVector seen = row->context ? *row->context : t->context;
            out.push_back({t->dot, std::move(seen), std::move(*row)});
          }
        }
      }
    }
    return out;
  }

  // P2, of everything that the site has.
  void expect_nothing_lost(Site& site, const std::vector<Written>& all) {
    const VersionVector applied = applied_at(site);
    std::set<std::string> listed;
    const auto name = [](const std::string& table, const Key& key, const std::string& column,
                         const Value& value) {
      ByteWriter out;
      out.string(table), out.string(key), out.string(column), out.value(value);
      return out.take();
    };
    for (const auto& e : conflicts(site, ConflictQuery::State::kResolved)) {
      for (const auto& l : e.losers) {
        if (!l.row) continue;
        for (const auto& [column, value] : *l.row)
          listed.insert(name(e.table, e.key, column, value));
      }
    }
    for (const auto& e : conflicts(site, ConflictQuery::State::kOpen)) {
      for (const auto& v : read(site, e.table, key_parts(e.key)->at(0), true).values) {
        if (!v.row) continue;
        for (const auto& [column, value] : *v.row)
          listed.insert(name(e.table, e.key, column, value));
      }
    }
    std::map<std::string, std::map<Key, std::vector<const Written*>>> by_row;
    for (const auto& w : all) by_row[w.change.table][w.change.key].push_back(&w);
    for (const auto& t : tables_) {
      const Layout layout(t.def(), site.options.rules.of(t.name));
      const auto shown = table(site, t.name);
      for (const auto& [key, writes] : by_row[t.name]) {
        for (const auto* w : writes) {
          for (const auto& [column, value] : w->change.columns) {
            const Group& group = layout.group_of(column);
            if (group.policy.commutes() || !applied.covers(w->dot)) continue;
            const bool overwritten =
                std::any_of(writes.begin(), writes.end(), [&](const Written* o) {
                  return applied.covers(o->dot) && o->dot != w->dot && o->seen.covers(w->dot) &&
                         !keeps(o->change.kept, group.name, w->dot) &&
                         (o->change.erase || o->change.columns.contains(column));
                });
            const auto row = shown.find(key);
            const bool visible = row != shown.end() && identical(row->second.at(column), value);
            EXPECT_TRUE(overwritten || visible || listed.contains(name(t.name, key, column, value)))
                << t.name << " " << t.policy.name << " " << column << "=" << describe(value)
                << " of " << to_string(w->dot) << " is lost (P2)";
          }
        }
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<TableCase> tables_;
  std::vector<Site> sites_;
  std::vector<std::map<std::pair<std::string, std::vector<Value>>, std::optional<RowContext>>>
      contexts_;
};

TEST_P(RandomHistory, AJoinedDatabaseIsAsIfTheLogHadBeenApplied) {
  const uint64_t seeds = GetParam().sql ? 2 : 12;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sites_.clear();
    place_ = GetParam().make_place();
    start(seed);
    Site &a = sites_[0], &b = sites_[1], &c = sites_[2];
    write_and_ship(700, 20);
    settle_all();
    std::vector<Site*> who;
    for (auto& site : sites_) {
      if (one_in(2)) who.push_back(&site);
    }
    collect({&a, &b, &c}, who);
    write_and_ship(1200, 60);
    const auto all = history();

    Site applied = copy(a, 1, 11), joined = copy(a, 1, 12), mirrored = copy(b, 2, 13);
    const auto before = losers(joined);
    ship(b, applied);
    join(b, joined);
    join(a, mirrored);
    expect_alike(joined, applied, "joined, applied");
    expect_alike(joined, mirrored, "joined, the other way round");
    expect_nothing_lost(joined, all);
    expect_nothing_lost(mirrored, all);
    auto listed = losers(joined);
    for (const auto& name : before) EXPECT_TRUE(listed.contains(name));
    for (const auto& name : losers(b)) EXPECT_TRUE(listed.contains(name));
    // One that lost, came to be shown and lost again is listed again.
    for (const auto& name : listed) EXPECT_LE(listed.count(name), before.count(name) + 1);

    join(b, joined);
    expect_alike(joined, applied, "joined twice");
    EXPECT_EQ(losers(joined), listed);

    // What comes afterwards means the same wherever it is applied.
    write_and_ship(300, 10);
    ship(c, applied), ship(c, joined), ship(b, applied), ship(b, joined);
    ship(a, applied), ship(a, joined);
    expect_alike(joined, applied, "and went on");
    if (HasFailure()) return;
  }
}

// ---- One thing at a time -----------------------------------------------------------------------

TEST_P(StateJoinContract, WhatIsInNoLogIsNotServedFromTheLog) {
  Site a = open(1), b = open(2), c = open(3);
  define(a, account_table(), {&b, &c});
  put(b, "account", int64_t{1}, {{"owner", "known"}});
  settle({&a, &b, &c});
  for (int64_t i = 2; i < 6; ++i) put(b, "account", i, {{"owner", "lost from the log"}});
  const uint64_t forgotten = b.db->state().streams.at(origin_of(2)).seq;
  forget_log(b);
  for (int64_t i = 6; i < 9; ++i) put(b, "account", i, {{"owner", "in the log"}});
  const uint64_t last = b.db->state().streams.at(origin_of(2)).seq;

  Site x = copy(a, 1, 11);
  const uint64_t had = x.db->state().streams.at(origin_of(2)).seq;
  join(b, x);
  EXPECT_EQ(table(x, "account"), table(b, "account"));
  for (uint64_t seq = 1; seq <= last; ++seq) {
    const auto position = x.db->position_before(origin_of(2), seq);
    EXPECT_EQ(position.has_value(), seq > forgotten) << seq << " had " << had;
    const auto chain = x.db->chain_at(origin_of(2), seq);
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->has_value(), seq >= forgotten) << seq;
    if (!*chain) continue;
    EXPECT_EQ(**chain, **b.db->chain_at(origin_of(2), seq)) << seq;
  }
  EXPECT_TRUE(x.db->position_before(origin_of(1), 1));
  EXPECT_TRUE(x.db->position_before(origin_of(11), 1));
  // All of it survives the process.
  reopen(x, 11);
  EXPECT_EQ(x.db->state().streams.at(origin_of(2)).seq, last);
  EXPECT_EQ(x.db->state().streams.at(origin_of(2)).chain,
            b.db->state().streams.at(origin_of(2)).chain);
  // Who lacks only what the log holds takes it from there.
  Site late = copy(b, 2, 12);
  put(b, "account", int64_t{9}, {{"owner", "later"}});
  ship(b, x), ship(x, late);
  EXPECT_EQ(table(late, "account"), table(b, "account"));
}

TEST_P(StateJoinContract, WhereTheLogReachesOfOneOriginItsRecordsStayShippable) {
  Site a = open(1), b = open(2), c = open(3), d = open(4);
  define(a, account_table(), {&b, &c, &d});
  ship(b, d);
  put(c, "account", int64_t{1}, {{"owner", "c"}});
  ship(c, b);
  forget_log(b);
  put(b, "account", int64_t{2}, {{"owner", "b"}});
  put(c, "account", int64_t{3}, {{"owner", "c"}});
  ship(c, b);
  Site x = copy(a, 1, 11);
  join(b, x);
  EXPECT_FALSE(x.db->position_before(origin_of(3), 1));
  EXPECT_TRUE(x.db->position_before(origin_of(3), 3));
  ship(c, d), ship(b, d);
  put(x, "account", int64_t{4}, {{"owner", "x"}});
  ship(x, d);
  EXPECT_EQ(table(d, "account"), table(x, "account"));
}

TEST_P(StateJoinContract, LosersOfBothSidesAreListed) {
  Site a = open(1), b = open(2), c = open(3);
  define(a, account_table(), {&b, &c});
  for (int64_t i = 1; i <= 3; ++i) put(a, "account", i, {{"owner", "first"}});
  settle({&a, &b, &c});
  put(a, "account", int64_t{1}, {{"owner", "a loses"}});
  b.now += 10;
  put(b, "account", int64_t{1}, {{"owner", "b wins"}});
  put(b, "account", int64_t{2}, {{"owner", "b loses"}});
  a.now += 20;
  put(a, "account", int64_t{2}, {{"owner", "a wins"}});
  // Decided at b alone.
  put(b, "account", int64_t{3}, {{"owner", "lost to c at b"}});
  c.now += 30;
  put(c, "account", int64_t{3}, {{"owner", "c wins"}});
  ship(c, b);
  Site x = copy(a, 1, 11);
  join(b, x);
  EXPECT_EQ(read(x, "account", int64_t{1}).row->at("owner"), Value("b wins"));
  EXPECT_EQ(read(x, "account", int64_t{2}).row->at("owner"), Value("a wins"));
  EXPECT_EQ(read(x, "account", int64_t{3}).row->at("owner"), Value("c wins"));
  for (const auto* lost : {"a loses", "b loses", "lost to c at b"}) {
    EXPECT_TRUE(lists(x, "account", "owner", Value(lost))) << lost;
  }
}

TEST_P(StateJoinContract, DeletedRowsStayDeletedWhoeverHasForgottenThem) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  for (int64_t i = 1; i <= 4; ++i) put(a, "account", i, {{"owner", "first"}});
  settle({&a, &b});
  erase(a, "account", int64_t{1});
  erase(b, "account", int64_t{2});
  settle({&a, &b});
  collect({&a, &b}, {&a});
  erase(b, "account", int64_t{3});
  put(b, "account", int64_t{1}, {{"owner", "again"}});
  a.now += 10;
  put(a, "account", int64_t{4}, {{"owner", "later than the delete"}});
  b.now += 20;
  erase(b, "account", int64_t{4});
  Site x = copy(a, 1, 11);
  join(b, x);
  EXPECT_EQ(table(x, "account").size(), 1u);
  EXPECT_EQ(read(x, "account", int64_t{1}).row->at("owner"), Value("again"));
  EXPECT_TRUE(lists(x, "account", "owner", Value("later than the delete")));
  Site y = copy(b, 2, 12);
  join(a, y);
  expect_alike(x, y, "the other way round");
}

TEST_P(StateJoinContract, WhatWasRemovedFromASetWithoutATraceStaysRemoved) {
  ConflictRules rules;
  Policy set;
  set.kind = PolicyKind::kMerge;
  set.merge = MergeKind::kUnion;
  rules.tables["account"].columns["owner"] = set;
  Site a = open(1, rules), b = open(2, rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, {{"owner", R"(["x","y"])"}, {"balance", int64_t{1}}});
  settle({&a, &b});
  put(b, "account", int64_t{1}, {{"owner", R"(["y"])"}, {"balance", int64_t{2}}});
  a.now += 10;
  put(a, "account", int64_t{1}, {{"owner", R"(["x","y"])"}, {"balance", int64_t{3}}});
  ship(a, b);  // whose existence and balance are now a's, and whose set lacks x
  Site x = copy(a, 1, 11);
  join(b, x);
  EXPECT_EQ(read(x, "account", int64_t{1}).row->at("owner"), Value(R"(["y"])"));
  expect_alike(x, b, "all of both");
}

TEST_P(StateJoinContract, CountersAddUpOverADeletedRow) {
  ConflictRules rules;
  rules.tables["account"].columns["balance"] = {PolicyKind::kCounter};
  Site a = open(1, rules), b = open(2, rules);
  define(a, account_table(), {&b});
  put(a, "account", int64_t{1}, {{"owner", "o"}, {"balance", int64_t{10}}});
  settle({&a, &b});
  erase(b, "account", int64_t{1});
  put(b, "account", int64_t{1}, {{"owner", "anew"}, {"balance", int64_t{1}}});
  put(a, "account", int64_t{1}, {{"owner", "o"}, {"balance", int64_t{17}}});
  Site x = copy(a, 1, 11), y = copy(a, 1, 12);
  join(b, x);
  ship(b, y);
  EXPECT_EQ(read(x, "account", int64_t{1}).row->at("balance"), Value(int64_t{8}));
  expect_alike(x, y, "joined, applied");
}

TEST_P(StateJoinContract, RowsOfAnOlderSchemaFindTheirPlace) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  define(a, account_table("gone"), {&b});
  put(a, "account", int64_t{1}, {{"owner", "first"}});
  settle({&a, &b});
  put(b, "account", int64_t{1}, {{"owner", "old schema"}});
  put(b, "account", int64_t{2}, {{"owner", "old schema"}});
  erase(b, "account", int64_t{3});
  put(b, "gone", int64_t{1}, {{"owner", "nobody misses it"}});
  const auto edit = [&](TableEdit change) {
    commit(a, [&](WriteSession& session) { return session.edit(change); });
  };
  TableEdit add;
  add.table = "account";
  add.column = {"note", "TEXT", Affinity::kText, Collation::kBinary, false, 0};
  add.column.fill = Value("none yet");
  edit(add);
  TableEdit rename;
  rename.kind = TableEdit::Kind::kRenameColumn;
  rename.table = "account";
  rename.column.name = "owner";
  rename.name = "holder";
  edit(rename);
  TableEdit drop;
  drop.kind = TableEdit::Kind::kDropColumn;
  drop.table = "account";
  drop.column.name = "balance";
  edit(drop);
  TableEdit forget;
  forget.kind = TableEdit::Kind::kDrop;
  forget.table = "gone";
  edit(forget);
  TableEdit move;
  move.kind = TableEdit::Kind::kRename;
  move.table = "account";
  move.name = "ledger";
  edit(move);
  a.now += 10;
  put(a, "ledger", int64_t{1}, {{"note", "new schema"}, {"holder", "a wins"}});

  Site x = copy(a, 1, 11), y = copy(a, 1, 12);
  join(b, x);
  ship(b, y);
  expect_alike(x, y, "joined, applied");
  EXPECT_EQ(read(x, "ledger", int64_t{2}).row->at("note"), Value("none yet"));
  EXPECT_EQ(read(x, "ledger", int64_t{2}).row->at("holder"), Value("old schema"));
  EXPECT_TRUE(lists(x, "ledger", "holder", Value("old schema")));
  EXPECT_FALSE(*x.reader->find_table("gone"));

  Site z = copy(b, 2, 13);
  const auto refused = join_states(*a.db, *z.db, z.now + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, "copy_schema_older");
}

TEST_P(StateJoinContract, AnotherHistoryUnderTheSameNameIsRefused) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  put(b, "account", int64_t{1}, {{"owner", "shipped"}});
  ship(b, a);
  // The same life of dc2, as it was before it wrote that. It writes something else.
  Site twin;
  twin.options = b.options;
  twin.now = b.now + 1000;
  const auto elsewhere = GetParam().make_place();
  auto opened = GetParam().open(elsewhere, 2, twin.options);
  ASSERT_TRUE(opened);
  twin.db = std::move(*opened);
  twin.reader = std::move(*twin.db->reader());
  const auto log = a.db->read_log(0, SIZE_MAX);
  std::vector<entente::Run> runs;
  for (const auto& chunk : *log) {
    if (chunk.run.origin == origin_of(1)) runs.push_back(chunk.run);
  }
  ASSERT_TRUE(twin.db->apply(runs, twin.now));
  put(twin, "account", int64_t{2}, {{"owner", "another history"}});
  Site x = copy(a, 1, 11);
  const auto refused = join_states(*twin.db, *x.db, x.now + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().tag, "copy_forked");
}

TEST_P(StateJoinContract, StampsGoOnAfterAllThatWasJoined) {
  Site a = open(1), b = open(2);
  define(a, account_table(), {&b});
  b.now += 1'000'000;
  put(b, "account", int64_t{1}, {{"owner", "far ahead"}});
  VersionVector promised;
  promised.set(origin_of(2), 1);
  ASSERT_TRUE(b.db->promise(promised));
  Site x = copy(a, 1, 11);
  join(b, x);
  EXPECT_GE(x.db->state().hlc, b.db->state().hlc);
  EXPECT_TRUE(x.db->state().promised.covers(promised));
  EXPECT_EQ(x.db->state().labels.at(origin_of(2)), "dc2");
  const auto later = put(x, "account", int64_t{1}, {{"owner", "later"}});
  EXPECT_GT(later.hlc, b.db->state().hlc);
  EXPECT_TRUE(later.applied.covers(applied_at(b)));
  ship(x, b);
  EXPECT_EQ(read(b, "account", int64_t{1}).row->at("owner"), Value("later"));
}

INSTANTIATE_TEST_SUITE_P(Adapters, RandomHistory, testing::ValuesIn(adapters()),
                         [](const auto& param) { return param.param.name; });
INSTANTIATE_TEST_SUITE_P(Adapters, StateJoinContract, testing::ValuesIn(adapters()),
                         [](const auto& param) { return param.param.name; });

// ---- Constraints -------------------------------------------------------------------------------

class ConstraintJoin : public StateJoinContract {
 protected:
  void sql(Site& site, const std::string& text) {
    ++site.now;
    commit(site, [&](WriteSession& session) -> Result<void> {
      Statement s;
      s.sql = text;
      auto done = session.execute(s);
      if (!done) return tl::unexpected(done.error());
      return {};
    });
  }
  // The open conflicts by kind and key.
  std::set<std::string> waiting(Site& site) {
    std::set<std::string> out;
    for (const auto& e : conflicts(site, ConflictQuery::State::kOpen)) {
      out.insert(e.kind + " " + e.table + " " + describe(key_parts(e.key)->at(0)));
    }
    return out;
  }
  // Joined, and applied, are the same.
  void check(Site& a, Site& b, const std::set<std::string>& expected) {
    Site x = copy(a, 1, 11), y = copy(a, 1, 12), z = copy(b, 2, 13);
    join(b, x);
    ship(b, y);
    join(a, z);
    expect_alike(x, y, "joined, applied");
    expect_alike(x, z, "joined, the other way round");
    EXPECT_EQ(waiting(x), expected);
  }
};

TEST_P(ConstraintJoin, AUniqueKeyBelongsToOneRowAndTheOtherWaits) {
  Site a = open(1), b = open(2);
  sql(a, "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, n)");
  settle({&a, &b});
  sql(a, "INSERT INTO u VALUES (1, 'both want it', 1)");
  b.now = a.now + 10;
  sql(b, "INSERT INTO u VALUES (2, 'both want it', 2)");
  sql(b, "INSERT INTO u VALUES (3, 'b alone', 3)");
  a.now = b.now + 10;
  sql(a, "INSERT INTO u VALUES (4, 'b alone', 4)");
  check(a, b, {"unique u 2", "unique u 4"});
}

TEST_P(ConstraintJoin, AUniqueKeyThatIsGivenUpIsTakenByWhoWaited) {
  Site a = open(1), b = open(2);
  sql(a, "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)");
  sql(a, "INSERT INTO u VALUES (1, 'taken')");
  settle({&a, &b});
  sql(b, "DELETE FROM u WHERE id = 1");
  sql(b, "INSERT INTO u VALUES (2, 'taken')");
  sql(a, "UPDATE u SET mail = 'another' WHERE id = 1");
  sql(a, "INSERT INTO u VALUES (3, 'third')");
  Site x = copy(a, 1, 11), y = copy(a, 1, 12);
  join(b, x);
  ship(b, y);
  expect_alike(x, y, "joined, applied");
}

TEST_P(ConstraintJoin, AChildWithoutAParentIsListedAndOneWhoseParentComesIsNot) {
  for (const auto orphans : {Orphans::kKeep, Orphans::kHide}) {
    place_ = GetParam().make_place();
    ConflictRules rules;
    rules.defaults.orphans = orphans;
    Site a = open(1, rules), b = open(2, rules);
    sql(a, "CREATE TABLE parent (id INTEGER PRIMARY KEY, n)");
    sql(a, "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id))");
    sql(a, "INSERT INTO parent VALUES (1, 1), (2, 2)");
    settle({&a, &b});
    sql(a, "DELETE FROM parent WHERE id = 1");
    sql(b, "INSERT INTO child VALUES (10, 1)");
    sql(b, "INSERT INTO parent VALUES (3, 3)");
    sql(b, "INSERT INTO child VALUES (11, 3)");
    check(a, b, {"foreign-key child 10"});
  }
}

TEST_P(ConstraintJoin, ARowThatACheckRefusesWaitsWithItsValue) {
  Site a = open(1), b = open(2);
  sql(a, "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, CHECK (x + y < 10))");
  sql(a, "INSERT INTO c VALUES (1, 1, 1)");
  settle({&a, &b});
  sql(a, "UPDATE c SET x = 8 WHERE id = 1");
  sql(b, "UPDATE c SET y = 8 WHERE id = 1");
  check(a, b, {"constraint c 1"});
}

INSTANTIATE_TEST_SUITE_P(Adapters, ConstraintJoin, testing::ValuesIn(sql_adapters()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace entente::contract
