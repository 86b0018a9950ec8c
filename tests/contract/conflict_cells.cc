// The table of conflict cells: each pair of kinds of write × each policy × granularity × rule for
// erases × which write is the later one × row API or SQL × arrival order × relayed or direct × the
// adapter that applies it.

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>

#include "tests/contract/conflict_cell.h"
#include "tests/contract/database_fixture.h"

namespace entente::contract {
namespace {

using Kind = RowRequest::Kind;

// A cell at the two datacenters that write; how it arrives elsewhere is not in it.
struct Cell {
  size_t table = 0, pair = 0;
  int later = 1;
  bool sql = false;
  int64_t key = 0;            // of four: what was there, where each moves, where both move
  std::array<Dot, 2> dots{};  // of the last transaction of each
};

enum Offset : int64_t { kMain, kMovedByA, kMovedByB, kMovedByBoth, kKeysPerCell };

struct Way {
  std::string name;
  Site site;
  const Site* from = nullptr;  // relayed: the site whose log it reads
};

// What one site shows of everything.
struct Picture {
  std::map<std::string, std::map<Key, Row>> tables;
  std::map<std::pair<std::string, Key>, std::vector<ConflictEntry>> open, resolved;
};

std::string text(const std::optional<Row>& row) {
  if (!row) return "no row";
  std::string out;
  for (const auto& [name, value] : *row) out += name + "=" + describe(value) + " ";
  return out;
}

std::string text(const RowVersion& v) { return to_string(v.version.dot) + " " + text(v.row); }

// Without what may differ between sites: ids, times, which of two equal values is named.
std::string text(const ConflictEntry& e) {
  std::vector<std::string> losers;
  for (const auto& l : e.losers) losers.push_back(text(l));
  std::sort(losers.begin(), losers.end());
  std::string out = e.group + " " + e.kind + ": " + text(e.winner);
  for (const auto& l : losers) out += " | " + l;
  return out;
}

std::string text(const std::vector<ConflictEntry>& entries) {
  std::vector<std::string> lines;
  for (const auto& e : entries) lines.push_back(text(e));
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (const auto& l : lines) out += l + "\n";
  return out;
}

std::vector<ConflictEntry> entries_of(
    const std::map<std::pair<std::string, Key>, std::vector<ConflictEntry>>& all,
    const std::string& table, const Key& key) {
  const auto it = all.find({table, key});
  return it == all.end() ? std::vector<ConflictEntry>{} : it->second;
}

class ConflictCells : public DatabaseContract {
 protected:
  void SetUp() override {
    DatabaseContract::SetUp();
    all_pairs_ = pairs();
    tables_ = table_cases();
    make_cells();
  }

  void make_cells();
  void open_sites();
  Site open_as(const Adapter& adapter, int n);
  std::vector<ClientTransaction> act(const Cell& cell, int side) const;
  ClientTransaction insert(const Cell& cell, int side, Act act, Offset at) const;
  ClientTransaction update(const Cell& cell, int side, Act act) const;
  ClientTransaction erase_row(const Cell& cell) const;
  ClientTransaction move(const Cell& cell, int side, Offset to) const;
  void commit_all(Site& site, const std::vector<ClientTransaction>& work, uint64_t at,
                  const std::vector<std::pair<Cell*, int>>& whose);
  void write_first_rows();
  void write_apart();
  void deliver();
  void apply(Site& to, std::vector<entente::Run> runs);
  std::vector<entente::Run> log_of(const Site& site, LogPosition after, const Site& without) const;

  Keyed keyed(const Cell& cell, Offset at) const;
  Picture picture(Site& site) const;
  bool check_key(const Cell& cell, Offset at, const Picture& there, const Picture& first);
  bool losers_listed(const Cell& cell, Offset at, const Outcome& outcome, const Picture& there);
  void check_all(const std::string& stage, Outcome (*expect)(const TableCase&, const Keyed&));
  void same_siblings(Site& a, Site& b, bool same_kind);
  void count(const Cell& cell) { ++reached_[{cell.pair, tables_[cell.table].policy.name}]; }
  void print();
  void resolve_everywhere();
  void pick_the_first();

  std::string where(const Cell& cell, Offset at) const;
  Key key_of(const Cell& cell, Offset at) const;
  const TableCase& table_of(const Cell& cell) const { return tables_[cell.table]; }
  const Pair& pair_of(const Cell& cell) const { return all_pairs_[cell.pair]; }
  Act act_of(const Cell& cell, int side) const {
    return side == 0 ? pair_of(cell).first : pair_of(cell).second;
  }
  bool has_first_row(const Cell& cell) const { return pair_of(cell).first != Act::kInsert; }

  std::vector<Pair> all_pairs_;
  std::vector<TableCase> tables_;
  std::vector<Cell> cells_;
  Site a_, b_;
  LogPosition a_before_ = 0, b_before_ = 0;
  std::vector<std::shared_ptr<void>> places_;
  std::vector<std::unique_ptr<Way>> ways_;
  std::map<std::pair<size_t, std::string>, size_t> reached_;
  Outcome (*expect_)(const TableCase&, const Keyed&) = nullptr;
};

// ---- Sites -------------------------------------------------------------------------------------

void ConflictCells::make_cells() {
  int64_t key = 0;
  for (size_t t = 0; t < tables_.size(); ++t) {
    for (size_t p = 0; p < all_pairs_.size(); ++p) {
      if (!tables_[t].takes(all_pairs_[p])) continue;
      for (const int later : {0, 1}) {
        for (const bool sql : {false, true}) {
          if (sql && !GetParam().sql) continue;
          cells_.push_back({t, p, later, sql, key += kKeysPerCell, {}});
        }
      }
    }
  }
}

Site ConflictCells::open_as(const Adapter& adapter, int n) {
  Site site;
  site.options.dc = "dc" + std::to_string(n);
  site.options.fresh_origin = origin_of(static_cast<uint8_t>(n));
  for (const auto& t : tables_) site.options.rules.tables[t.name] = t.rules();
  site.options.rules.priorities = {{"dc1", 9}, {"dc2", 5}};
  site.options.schema_leader = n == 1;
  site.options.schema_leader_name = "dc1";
  site.options.wall_ms = site.now;
  places_.push_back(adapter.make_place());
  auto db = adapter.open(places_.back(), n, site.options);
  EXPECT_TRUE(db) << db.error().text;
  site.db = std::move(*db);
  auto reader = site.db->reader();
  EXPECT_TRUE(reader) << reader.error().text;
  site.reader = std::move(*reader);
  return site;
}

// Three hear of both directly; three read the logs of those, in databases of another kind.
void ConflictCells::open_sites() {
  const auto all = adapters();
  const auto other = std::find_if(all.begin(), all.end(),
                                  [](const Adapter& x) { return x.name != GetParam().name; });
  ASSERT_NE(other, all.end());
  a_ = open_as(GetParam(), 1);
  b_ = open_as(GetParam(), 2);
  int n = 3;
  for (const auto* order : {"a then b", "b then a", "in turns"}) {
    const std::string how = std::string(order) + ", ";
    ways_.push_back(std::make_unique<Way>(Way{how + "direct", open_as(GetParam(), n++), nullptr}));
    const Site* from = &ways_.back()->site;
    ways_.push_back(std::make_unique<Way>(Way{how + "relayed", open_as(*other, n++), from}));
  }
}

// ---- Writing -----------------------------------------------------------------------------------

ClientTransaction requests(std::vector<RowRequest> all) {
  return [all = std::move(all)](WriteSession& session) -> Result<void> {
    for (const auto& r : all) {
      auto done = session.write(r);
      if (!done) return tl::unexpected(done.error());
    }
    return {};
  };
}

ClientTransaction statement(std::string sql, std::vector<Value> args) {
  Statement s;
  s.sql = std::move(sql);
  s.args = std::move(args);
  return [s = std::move(s)](WriteSession& session) -> Result<void> {
    auto done = session.execute(s);
    if (!done) return tl::unexpected(done.error());
    if (done->affected != 1) return fail(Code::kNotFound, "it changed no row");
    return {};
  };
}

RowRequest request(Kind kind, const std::string& table, int64_t key, Row columns) {
  RowRequest r;
  r.kind = kind;
  r.table = table;
  r.key = {key};
  r.columns = std::move(columns);
  return r;
}

ClientTransaction ConflictCells::insert(const Cell& cell, int side, Act act, Offset at) const {
  const Pieces now = written_by(table_of(cell).policy, side, act);
  const std::string& table = table_of(cell).name;
  const int64_t key = cell.key + at;
  if (!cell.sql) return requests({request(Kind::kPut, table, key, {{"v", now.v}, {"w", now.w}})});
  return statement("INSERT INTO " + table + " (id, v, w) VALUES (?, ?, ?)", {key, now.v, now.w});
}

ClientTransaction ConflictCells::update(const Cell& cell, int side, Act act) const {
  const Pieces now = written_by(table_of(cell).policy, side, act);
  const std::string& table = table_of(cell).name;
  const std::string column = act == Act::kUpdate ? "v" : "w";
  const Value& value = act == Act::kUpdate ? now.v : now.w;
  if (!cell.sql) return requests({request(Kind::kPatch, table, cell.key, {{column, value}})});
  return statement("UPDATE " + table + " SET " + column + " = ? WHERE id = ?", {value, cell.key});
}

ClientTransaction ConflictCells::erase_row(const Cell& cell) const {
  const std::string& table = table_of(cell).name;
  if (!cell.sql) return requests({request(Kind::kErase, table, cell.key, {})});
  return statement("DELETE FROM " + table + " WHERE id = ?", {cell.key});
}

// The row API moves a row by erasing it and putting it elsewhere.
ClientTransaction ConflictCells::move(const Cell& cell, int, Offset to) const {
  const std::string& table = table_of(cell).name;
  if (cell.sql) {
    return statement("UPDATE " + table + " SET id = ? WHERE id = ?", {cell.key + to, cell.key});
  }
  const Pieces was = written_by(table_of(cell).policy, -1, Act::kInsert);
  return requests({request(Kind::kErase, table, cell.key, {}),
                   request(Kind::kPut, table, cell.key + to, {{"v", was.v}, {"w", was.w}})});
}

std::vector<ClientTransaction> ConflictCells::act(const Cell& cell, int side) const {
  const Act act = act_of(cell, side);
  switch (act) {
    case Act::kNothing:
      return {};
    case Act::kInsert:
      return {insert(cell, side, act, kMain)};
    case Act::kUpdate:
    case Act::kUpdateOther:
      return {update(cell, side, act)};
    case Act::kErase:
      return {erase_row(cell)};
    case Act::kRecreate:
      return {erase_row(cell), insert(cell, side, act, kMain)};
    case Act::kMove:
      return {move(cell, side, side == 0 ? kMovedByA : kMovedByB)};
    case Act::kMoveToSame:
      return {move(cell, side, kMovedByBoth)};
    case Act::kInsertThere:
      return {insert(cell, side, act, kMovedByBoth)};
  }
  return {};
}

void ConflictCells::commit_all(Site& site, const std::vector<ClientTransaction>& work, uint64_t at,
                               const std::vector<std::pair<Cell*, int>>& whose) {
  if (work.empty()) return;
  const auto out = site.db->commit(work, site.now = at);
  ASSERT_TRUE(out) << out.error().text;
  for (size_t i = 0; i < out->results.size(); ++i) {
    const auto& result = out->results[i];
    if (whose.empty()) {
      ASSERT_TRUE(result) << result.error().text;
      continue;
    }
    const auto& [cell, side] = whose[i];
    ASSERT_TRUE(result && result->dot)
        << where(*cell, kMain) << " side " << side << (result ? "" : result.error().text);
    cell->dots[static_cast<size_t>(side)] = *result->dot;
  }
}

void ConflictCells::write_first_rows() {
  std::vector<ClientTransaction> work;
  for (const auto& t : tables_) {
    work.push_back([&t](WriteSession& session) { return session.define(t.def()); });
  }
  commit_all(a_, work, a_.now + 1, {});
  work.clear();
  for (const auto& cell : cells_) {
    if (has_first_row(cell)) work.push_back(insert(cell, -1, Act::kInsert, kMain));
  }
  commit_all(a_, work, a_.now + 1, {});
  apply(b_, log_of(a_, 0, b_));
  apply(a_, log_of(b_, 0, a_));  // its declaration
  for (auto& way : ways_) apply(way->site, log_of(a_, 0, way->site));
  a_before_ = a_.db->state().log_head;
  b_before_ = b_.db->state().log_head;
}

// First what loses the race of the clocks, then, at larger stamps, what wins it.
void ConflictCells::write_apart() {
  const uint64_t start = std::max(a_.now, b_.now) + 1000;
  for (const bool second : {false, true}) {
    for (const int side : {0, 1}) {
      std::vector<ClientTransaction> work;
      std::vector<std::pair<Cell*, int>> whose;
      for (auto& cell : cells_) {
        if ((cell.later == side) != second) continue;
        for (auto& transaction : act(cell, side)) {
          work.push_back(std::move(transaction));
          whose.emplace_back(&cell, side);
        }
      }
      commit_all(side == 0 ? a_ : b_, work, start + (second ? 1000 : 0), whose);
    }
  }
}

// ---- Shipping ----------------------------------------------------------------------------------

std::vector<entente::Run> ConflictCells::log_of(const Site& site, LogPosition after,
                                                const Site& without) const {
  std::vector<entente::Run> runs;
  auto chunks = site.db->read_log(after, SIZE_MAX);
  EXPECT_TRUE(chunks) << chunks.error().text;
  for (auto& chunk : *chunks) {
    if (chunk.run.origin != without.db->state().self) runs.push_back(std::move(chunk.run));
  }
  return runs;
}

void ConflictCells::apply(Site& to, std::vector<entente::Run> runs) {
  const auto done = to.db->apply(runs, ++to.now);
  ASSERT_TRUE(done) << done.error().text;
}

// One record each.
std::vector<entente::Run> one_by_one(const std::vector<entente::Run>& runs) {
  std::vector<entente::Run> out;
  for (const auto& run : runs) {
    ByteReader in(run.records);
    for (uint64_t i = 0; i < run.count; ++i) {
      ByteWriter record;
      record.string(in.string());
      out.push_back({run.origin, run.first + i, 1, record.take()});
    }
  }
  return out;
}

std::vector<entente::Run> in_turns(const std::vector<entente::Run>& a,
                                   const std::vector<entente::Run>& b) {
  const auto x = one_by_one(a), y = one_by_one(b);
  std::vector<entente::Run> out;
  for (size_t i = 0; i < std::max(x.size(), y.size()); ++i) {
    if (i < x.size()) out.push_back(x[i]);
    if (i < y.size()) out.push_back(y[i]);
  }
  return out;
}

void ConflictCells::deliver() {
  const auto from_a = log_of(a_, a_before_, b_), from_b = log_of(b_, b_before_, a_);
  auto own = [](const Site& site, std::vector<entente::Run> runs) {
    std::erase_if(runs, [&](const entente::Run& r) { return r.origin != site.db->state().self; });
    return runs;
  };
  const auto a = own(a_, from_a), b = own(b_, from_b);
  apply(ways_[0]->site, a), apply(ways_[0]->site, b);
  apply(ways_[2]->site, b), apply(ways_[2]->site, a);
  apply(ways_[4]->site, in_turns(a, b));
  for (auto& way : ways_) {
    if (way->from != nullptr) apply(way->site, log_of(*way->from, 0, way->site));
  }
  apply(a_, b), apply(b_, a);
}

// ---- What must have become of it ---------------------------------------------------------------

Keyed ConflictCells::keyed(const Cell& cell, Offset at) const {
  Keyed out;
  out.later = cell.later;
  const PolicyCase& policy = table_of(cell).policy;
  const Pieces was = written_by(policy, -1, Act::kInsert);
  if (at == kMain && has_first_row(cell)) out.before = was;
  for (const int side : {0, 1}) {
    const Act act = act_of(cell, side);
    const Pieces now = written_by(policy, side, act);
    auto& left = out.sides[static_cast<size_t>(side)];
    const Offset own = side == 0 ? kMovedByA : kMovedByB;
    const bool moved_here =
        (act == Act::kMove && at == own) || (act == Act::kMoveToSame && at == kMovedByBoth);
    const bool moves = act == Act::kMove || act == Act::kMoveToSame;
    if (moved_here) left = Left{false, true, was.v, was.w};
    if (act == Act::kInsertThere && at == kMovedByBoth) left = Left{false, true, now.v, now.w};
    if (at != kMain) continue;
    if (moves || act == Act::kErase) left = Left{true, false, {}, {}};
    if (act == Act::kUpdate) left = Left{false, false, now.v, {}};
    if (act == Act::kUpdateOther) left = Left{false, false, {}, now.w};
    if (act == Act::kInsert || act == Act::kRecreate) left = Left{false, true, now.v, now.w};
  }
  return out;
}

std::string ConflictCells::where(const Cell& cell, Offset at) const {
  const TableCase& t = table_of(cell);
  static constexpr const char* kRules[] = {"policy", "delete_wins", "update_wins"};
  return pair_of(cell).name + " under " + t.policy.name +
         (t.granularity == Granularity::kRow ? ", row, " : ", column, ") +
         kRules[static_cast<size_t>(t.delete_update)] + ", later " + (cell.later == 0 ? "a" : "b") +
         (cell.sql ? ", SQL" : ", row API") + ", key " + std::to_string(cell.key) + "+" +
         std::to_string(at);
}

Key ConflictCells::key_of(const Cell& cell, Offset at) const {
  const Value part = cell.key + at;
  return *canonical_key(table_of(cell).def(), std::span(&part, 1));
}

Picture ConflictCells::picture(Site& site) const {
  Picture out;
  EXPECT_TRUE(site.reader->begin());
  for (const auto& t : tables_) {
    auto rows = site.reader->table(t.name);
    EXPECT_TRUE(rows) << rows.error().text;
    if (rows) out.tables[t.name] = std::move(*rows);
  }
  ConflictQuery query;
  query.limit = 1'000'000;
  auto all = site.reader->conflicts(query);
  EXPECT_TRUE(all) << all.error().text;
  if (all) {
    for (auto& e : *all) (e.open ? out.open : out.resolved)[{e.table, e.key}].push_back(e);
  }
  site.reader->end();
  return out;
}

bool names(const std::vector<ConflictEntry>& entries, const Dot& dot, const Value* v) {
  const auto fits = [&](const RowVersion& r) {
    if (r.version.dot != dot) return false;
    if (v == nullptr) return true;
    return r.row && r.row->contains("v") && r.row->at("v") == *v;
  };
  return std::any_of(entries.begin(), entries.end(), [&](const ConflictEntry& e) {
    return (e.open && fits(e.winner)) || std::any_of(e.losers.begin(), e.losers.end(), fits);
  });
}

// P2: what is not shown is listed with its value.
bool ConflictCells::losers_listed(const Cell& cell, Offset at, const Outcome& outcome,
                                  const Picture& there) {
  const TableCase& t = table_of(cell);
  const Keyed key = keyed(cell, at);
  const auto open = entries_of(there.open, t.name, key_of(cell, at));
  auto listed = entries_of(there.resolved, t.name, key_of(cell, at));
  listed.insert(listed.end(), open.begin(), open.end());
  const bool adds_up = t.policy.policy.is_counter() || t.policy.policy.is_set();
  for (size_t side : {0u, 1u}) {
    const auto& left = key.sides[side];
    if (!left || !key.sides[1 - side]) continue;
    const bool other_erased = key.sides[1 - side]->erased;
    bool lost = left->erased && outcome.row.has_value();
    const Value* v = nullptr;
    if (!left->erased && !outcome.row && other_erased) lost = true;
    if (!left->erased && outcome.row && !adds_up) {
      lost = (left->v && *left->v != outcome.row->v) || (left->w && *left->w != outcome.row->w);
    }
    if (!lost) continue;
    const bool v_lost = left->v && (!outcome.row || *left->v != outcome.row->v);
    if (!left->erased && v_lost && !adds_up) v = &*left->v;
    if (names(listed, cell.dots[side], v)) continue;
    ADD_FAILURE() << where(cell, at) << ": what "
                  << "ab"[side] << " wrote (" << to_string(cell.dots[side])
                  << ") is neither shown nor listed:\n"
                  << text(listed);
    return false;
  }
  return true;
}

bool ConflictCells::check_key(const Cell& cell, Offset at, const Picture& there,
                              const Picture& first) {
  const TableCase& t = table_of(cell);
  const Key key = key_of(cell, at);
  const Outcome outcome = expect_(t, keyed(cell, at));
  const auto& rows = there.tables.at(t.name);
  const auto it = rows.find(key);
  const auto shown = [&](const Value& v, const Value& w) {
    return comparable(t.policy, v) + ", " + comparable(t.policy, w);
  };
  const std::string want = outcome.row ? shown(outcome.row->v, outcome.row->w) : "no row";
  const std::string got =
      it == rows.end() ? "no row" : shown(it->second.at("v"), it->second.at("w"));
  const auto open = entries_of(there.open, t.name, key);
  EXPECT_EQ(got, want) << where(cell, at);
  EXPECT_EQ(!open.empty(), outcome.open) << where(cell, at) << "\n" << text(open);
  EXPECT_EQ(text(open), text(entries_of(first.open, t.name, key))) << where(cell, at);
  for (const auto& e : entries_of(there.resolved, t.name, key)) {
    EXPECT_NE(e.decided_by, "") << where(cell, at) << "\n" << text(e);
  }
  const auto& firsts = first.tables.at(t.name);
  const auto other = firsts.find(key);
  EXPECT_EQ(it == rows.end() ? std::optional<Row>() : it->second,
            other == firsts.end() ? std::optional<Row>() : other->second)
      << where(cell, at);
  return got == want && !open.empty() == outcome.open && losers_listed(cell, at, outcome, there);
}

// The values of a row by dot. Adapters differ in whether they name equal ones, and what is shown:
// between two kinds, those that differ from it.
std::set<std::string> values_of(const RowRead& r, bool by_dot) {
  std::optional<Row> shown = r.row;
  if (shown) shown->erase("id");
  std::set<std::string> out;
  for (const auto& v : r.values) {
    if (by_dot) {
      out.insert(text(v));
    } else if (v.row != shown) {
      out.insert(text(v.row));
    }
  }
  return out;
}

// P1: the same siblings under the same dots.
void ConflictCells::same_siblings(Site& x, Site& y, bool same_kind) {
  EXPECT_TRUE(x.reader->begin() && y.reader->begin());
  for (const auto& cell : cells_) {
    const TableCase& t = table_of(cell);
    // It forgets losers at once, and so do rows of counters and sets: which twins are left depends
    // on the way.
    const Policy& policy = t.policy.policy;
    if (policy.kind == PolicyKind::kLww || policy.is_counter() || policy.is_set()) continue;
    const Value key = cell.key;
    auto here = x.reader->row(t.name, std::span(&key, 1), true);
    auto there = y.reader->row(t.name, std::span(&key, 1), true);
    ASSERT_TRUE(here && there);
    EXPECT_EQ(values_of(*here, same_kind), values_of(*there, same_kind)) << where(cell, kMain);
    const auto open = RowConflict::kOpen;
    EXPECT_EQ(here->conflict == open, there->conflict == open) << where(cell, kMain);
  }
  x.reader->end(), y.reader->end();
}

void ConflictCells::check_all(const std::string& stage,
                              Outcome (*expect)(const TableCase&, const Keyed&)) {
  expect_ = expect;
  reached_.clear();
  const Picture first = picture(a_);
  std::vector<std::pair<std::string, Site*>> sites = {{"a", &a_}, {"b", &b_}};
  for (auto& way : ways_) sites.emplace_back(way->name, &way->site);
  for (auto& [name, site] : sites) {
    SCOPED_TRACE(stage + ", at: " + name);
    const Picture there = picture(*site);
    for (const auto& cell : cells_) {
      bool good = true;
      for (int64_t at = kMain; at < kKeysPerCell; ++at) {
        good &= check_key(cell, static_cast<Offset>(at), there, first);
      }
      if (good) count(cell);
    }
  }
}

// Prints the table; a cell that was not reached, or failed, is missing from its count.
void ConflictCells::print() {
  const auto policies = policy_cases();
  std::ostringstream out;
  out << "\nConflict cells, written through " << GetParam().name << "\n"
      << std::left << std::setw(30) << "";
  for (const auto& p : policies) out << std::setw(14) << p.name;
  out << "\n";
  for (size_t pair = 0; pair < all_pairs_.size(); ++pair) {
    out << std::setw(30) << all_pairs_[pair].name;
    const size_t rules = all_pairs_[pair].has_erase() ? 3 : 1;
    const size_t interfaces = GetParam().sql ? 2 : 1;
    const size_t granularities = 2, clocks = 2, places = 8;  // a, b and six others
    const size_t all = rules * interfaces * granularities * clocks * places;
    for (const auto& p : policies) {
      const size_t n = reached_[{pair, p.name}];
      out << std::setw(14) << (std::to_string(n) + (n == all ? "" : " of " + std::to_string(all)));
      EXPECT_EQ(n, all) << all_pairs_[pair].name << " under " << p.name;
    }
    out << "\n";
  }
  std::cout << out.str() << std::flush;
}

// Both writers decide what `run: read` left open, not knowing of each other.
void ConflictCells::resolve_everywhere() {
  a_before_ = a_.db->state().log_head;
  b_before_ = b_.db->state().log_head;
  for (Site* site : {&a_, &b_}) {
    std::vector<ClientTransaction> work;
    for (const auto& [name, entries] : picture(*site).open) {
      const auto parts = key_parts(name.second);
      ASSERT_TRUE(parts);
      const auto t = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const TableCase& x) { return x.name == name.first; });
      if (t->policy.policy.run != RunWhen::kRead) continue;
      RowRequest r;
      r.kind = Kind::kResolve;
      r.table = name.first;
      r.key = *parts;
      work.push_back(requests({r}));
    }
    EXPECT_FALSE(work.empty());
    commit_all(*site, work, site->now + 5000, {});
  }
  deliver();
}

// An operator chooses what `a` wrote wherever nobody else decides.
void ConflictCells::pick_the_first() {
  a_before_ = a_.db->state().log_head;
  b_before_ = b_.db->state().log_head;
  const auto seen = a_.reader->applied();
  ASSERT_TRUE(seen) << seen.error().text;
  std::vector<ClientTransaction> work;
  for (const auto& cell : cells_) {
    const TableCase& t = table_of(cell);
    for (int64_t at = kMain; at < kKeysPerCell; ++at) {
      if (!nobody_decides(t, keyed(cell, static_cast<Offset>(at)))) continue;
      RowRequest r = request(Kind::kPut, t.name, cell.key + at, {});
      r.pick = cell.dots[0];
      r.context = RowContext{*seen, {}};
      work.push_back(requests({r}));
    }
  }
  EXPECT_FALSE(work.empty());
  commit_all(a_, work, a_.now + 5000, {});
  deliver();
}

TEST_P(ConflictCells, P1P2EveryPairUnderEveryPolicyInEveryOrder) {
  open_sites();
  write_first_rows();
  write_apart();
  deliver();
  if (HasFatalFailure()) return;
  check_all("written", expected);
  same_siblings(a_, b_, true);
  for (auto& way : ways_) {
    SCOPED_TRACE(way->name);
    same_siblings(a_, way->site, way->from == nullptr);
  }
  print();
  resolve_everywhere();
  if (HasFatalFailure()) return;
  check_all("read", expected_after_read);
  print();
  pick_the_first();
  if (HasFatalFailure()) return;
  check_all("picked", expected_after_pick);
  print();
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Adapters, ConflictCells, testing::ValuesIn(adapters()), kName);

}  // namespace
}  // namespace entente::contract
