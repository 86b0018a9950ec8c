#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "conflict/merge.h"
#include "conflict/row_digest.h"
#include "conflict/row_parts.h"
#include "tests/unit/conflict/execution.h"

// The laws of TESTING.md that every policy and granularity owes, over random executions of one row.
namespace entente {
namespace {

using test::Op;
using test::Replica;

const Ranks kRanks = test::ranks();

class RowLaw : public testing::TestWithParam<test::Rules> {
 protected:
  // Calls `check` with many executions, each of a size whose causal orders can all be tried or not.
  template <class Check>
  void for_executions(Check check) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      random_ = test::Random(seed);
      const size_t count = 2 + random_.below(seed % 5 == 0 ? 9 : 5);
      check(test::execution(random_, GetParam(), count));
      if (HasFatalFailure()) FAIL() << "seed " << seed;
    }
  }

  template <class Check>
  void for_orders(const std::vector<Op>& ops, Check check) {
    test::causal_orders(ops, random_, 60, [&](const std::vector<size_t>& order) {
      if (!HasFatalFailure()) check(order);
    });
  }

  Layout layout_ = GetParam().layout();
  test::Random random_{0};
};

// ---- The specification, naively
// ------------------------------------------------------------------

bool writes_to(const Op& op, const Group& group) {
  if (group.name.empty()) return true;
  return !op.change.erase && std::any_of(group.columns.begin(), group.columns.end(),
                                         [&](auto& c) { return op.change.columns.contains(c); });
}

bool replaces(const Op& later, const Op& earlier, const Group& group) {
  const auto& kept = later.change.kept;
  const Dot& d = earlier.version.dot;
  return later.version.dot != d && later.seen().covers(d) &&
         std::find(kept.begin(), kept.end(), KeptSibling{group.name, d}) == kept.end();
}

std::vector<const Op*> maximal(const std::vector<Op>& ops, const Group& group) {
  std::vector<const Op*> out;
  for (const auto& op : ops) {
    if (writes_to(op, group) && std::none_of(ops.begin(), ops.end(), [&](const Op& other) {
          return writes_to(other, group) && replaces(other, op, group);
        })) {
      out.push_back(&op);
    }
  }
  return out;
}

// What the register shows, from its maximal writes by ascending stamp: a row's columns; no row; or,
// if nobody wrote, nothing.
struct Expected {
  bool written = false;
  std::optional<Row> row;
  bool held = false;
};

Row part_of(const Op& op, const Group& group) {
  Row row;
  for (const auto& column : group.columns) {
    const auto it = op.change.columns.find(column);
    if (it != op.change.columns.end()) row.insert(*it);
  }
  return row;
}

std::optional<Row> value_of(const Op& op, const Group& group) {
  if (op.change.erase) return std::nullopt;
  return part_of(op, group);
}

std::vector<const Op*> after_delete_rule(std::vector<const Op*> ops, const Group& group,
                                         DeleteUpdate rule) {
  if (!group.name.empty() || rule == DeleteUpdate::kPolicy) return ops;
  const bool wanted = rule == DeleteUpdate::kDeleteWins;
  std::vector<const Op*> left;
  for (const auto* op : ops) {
    if (op->change.erase == wanted) left.push_back(op);
  }
  return left.empty() ? ops : left;
}

bool all_alike(const std::vector<const Op*>& ops, const Group& group) {
  return std::all_of(ops.begin(), ops.end(), [&](const Op* op) {
    return value_of(*op, group) == value_of(*ops.front(), group);
  });
}

const Op* ranked(const std::vector<const Op*>& ops) {
  return *std::max_element(ops.begin(), ops.end(), [](const Op* a, const Op* b) {
    return std::pair(kRanks.rank(a->version.dot.origin), a->version) <
           std::pair(kRanks.rank(b->version.dot.origin), b->version);
  });
}

Value merged(const std::vector<const Op*>& puts, const std::string& column, const Policy& policy) {
  std::vector<Value> values;
  for (const auto* op : puts) values.push_back(op->change.columns.at(column));
  switch (policy.merge) {
    case MergeKind::kConcat:
      return merge_concat(values, policy.separator);
    case MergeKind::kMin:
      return *std::min_element(values.begin(), values.end(),
                               [](auto& a, auto& b) { return order(a, b) < 0; });
    case MergeKind::kMax:
      return *std::max_element(values.begin(), values.end(),
                               [](auto& a, auto& b) { return order(a, b) < 0; });
    default:
      break;
  }
  Value all = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    const auto it = puts[i]->change.base.find(column);
    const Value* base = it == puts[i]->change.base.end() ? nullptr : &it->second;
    all = policy.merge == MergeKind::kJson ? merge_json(base, all, values[i])
                                           : merge_text(base, all, values[i], policy.markers);
  }
  return all;
}

Expected decided_by_handler(const std::vector<const Op*>& ops, const Group& group) {
  std::vector<Row> rows;
  rows.reserve(ops.size());
  Conflict conflict{"", "t", group.name, {}, nullptr, {}};
  for (const auto* op : ops) rows.push_back(part_of(*op, group));
  for (size_t i = 0; i < ops.size(); ++i) {
    conflict.siblings.push_back(
        {"", ops[i]->version.hlc, ops[i]->change.erase ? nullptr : &rows[i]});
  }
  const Expected newest{true, value_of(*ops.back(), group)};
  const auto decision = test::moody_handler()->decide(conflict);
  if (!decision) return newest;
  switch (decision->kind) {
    case Decision::Kind::kRow:
      return {true, decision->row};
    case Decision::Kind::kPick:
      return {true, value_of(*ops[decision->pick], group)};
    case Decision::Kind::kDelete:
      return group.name.empty() ? Expected{true, std::nullopt} : newest;
    case Decision::Kind::kHold:
      return {true, newest.row, true};
    case Decision::Kind::kKeep:
      break;
  }
  return newest;
}

Expected expected_of(std::vector<const Op*> ops, const Group& group, DeleteUpdate rule) {
  if (ops.empty()) return {};
  std::sort(ops.begin(), ops.end(), [](auto* a, auto* b) { return a->version < b->version; });
  ops = after_delete_rule(std::move(ops), group, rule);
  const Policy& policy = group.policy;
  const Expected newest{true, value_of(*ops.back(), group)};
  if (all_alike(ops, group) || policy.run == RunWhen::kRead) return newest;
  if (policy.kind == PolicyKind::kPriority) return {true, value_of(*ranked(ops), group)};
  if (policy.kind == PolicyKind::kHandler) return decided_by_handler(ops, group);
  if (policy.kind != PolicyKind::kMerge || !newest.row) return newest;
  std::vector<const Op*> puts;
  for (const auto* op : ops) {
    if (op->change.erase) puts.clear();
    if (!op->change.erase) puts.push_back(op);
  }
  Row row;
  for (const auto& column : group.columns) row[column] = merged(puts, column, policy);
  return {true, row};
}

// A counter is the sum of what every write added, without what a re-creation of the row had seen.
Value expected_count(const std::vector<Op>& ops, const std::string& column) {
  int64_t sum = 0;
  for (const auto& op : ops) {
    const auto x = op.change.columns.find(column);
    if (x == op.change.columns.end()) continue;
    const bool put_aside = std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
      return other.change.inserted && other.change.columns.contains(column) &&
             other.context.covers(op.version.dot);
    });
    if (put_aside) continue;
    sum += std::get<int64_t>(x->second);
    const auto y = op.change.base.find(column);
    if (y != op.change.base.end()) sum -= std::get<int64_t>(y->second);
  }
  return sum;
}

// An element is in a set if some write added it and none that had seen that write removed it.
Value expected_set(const std::vector<Op>& ops, const std::string& column) {
  const auto elements = [&](const Row& row) {
    const auto it = row.find(column);
    const auto all = it == row.end() ? std::vector<std::string>{} : *set_elements(it->second);
    return std::set<std::string>(all.begin(), all.end());
  };
  std::set<std::string> in;
  for (const auto& op : ops) {
    const auto had = op.change.inserted ? std::set<std::string>{} : elements(op.change.base);
    for (const auto& e : elements(op.change.columns)) {
      if (had.contains(e)) continue;
      const bool removed = std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
        if (!other.change.columns.contains(column) || !other.seen().covers(op.version.dot)) {
          return false;
        }
        return other.change.inserted || (elements(other.change.base).contains(e) &&
                                         !elements(other.change.columns).contains(e));
      });
      if (!removed) in.insert(e);
    }
  }
  return set_value({in.begin(), in.end()});
}

bool writes_column(const std::vector<Op>& ops, const std::string& column) {
  return std::any_of(ops.begin(), ops.end(),
                     [&](const Op& op) { return op.change.columns.contains(column); });
}

std::optional<Row> expected_row(const std::vector<Op>& ops, const Layout& layout) {
  Row row;
  for (const auto& group : layout.groups) {
    const Policy& policy = group.policy;
    const bool commutes = !group.name.empty() && (policy.is_counter() || policy.is_set());
    if (commutes) {
      const std::string& column = group.columns.front();
      if (!writes_column(ops, column)) continue;
      row[column] = policy.is_set() ? expected_set(ops, column) : expected_count(ops, column);
      continue;
    }
    const auto e = expected_of(maximal(ops, group), group, layout.delete_update);
    if (e.held || (group.name.empty() && !e.row)) return std::nullopt;
    if (e.row) row.insert(e.row->begin(), e.row->end());
  }
  return row;
}

// Sets are shown in the order in which their elements came: compared as sets.
std::optional<Row> with_sorted_sets(std::optional<Row> row, const Layout& layout) {
  for (const auto& group : layout.groups) {
    if (!row || !group.policy.is_set() || group.name.empty()) continue;
    const auto it = row->find(group.columns.front());
    if (it == row->end()) continue;
    auto elements = *set_elements(it->second);
    std::sort(elements.begin(), elements.end());
    it->second = set_value(elements);
  }
  return row;
}

std::string shown(const std::optional<Row>& row) { return row ? test::describe(*row) : "no row"; }

bool may_stay_open(const Layout& layout) {
  return layout.resolved_on_read() ||
         std::any_of(layout.groups.begin(), layout.groups.end(),
                     [](const Group& g) { return g.policy.kind == PolicyKind::kHandler; });
}

// ---- Convergence
// -----------------------------------------------------------------------------------

TEST_P(RowLaw, EveryCausalOrderShowsWhatTheSpecificationSays) {
  for_executions([&](const std::vector<Op>& ops) {
    const auto expected = shown(expected_row(ops, layout_));
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      ASSERT_EQ(shown(with_sorted_sets(visible(r.state, layout_, kRanks), layout_)), expected)
          << test::describe(ops, order);
    });
  });
}

TEST_P(RowLaw, EveryCausalOrderLeavesTheSameSiblings) {
  for_executions([&](const std::vector<Op>& ops) {
    std::string first;
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const auto state = test::describe(test::run(ops, order, layout_).state, layout_);
      if (first.empty()) first = state;
      ASSERT_EQ(state, first) << test::describe(ops, order);
    });
  });
}

TEST_P(RowLaw, SiblingsAreTheWritesThatNobodyReplaced) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      for (const auto& group : layout_.groups) {
        const bool parts =
            !group.name.empty() && (group.policy.is_counter() || group.policy.is_set());
        if (parts || forgets_losers(group, layout_)) continue;
        if (!r.state.registers.contains(group.name)) continue;
        std::vector<Dot> dots, expected;
        for (const auto& s : r.state.registers.at(group.name).siblings) {
          dots.push_back(s.version.dot);
        }
        for (const auto* op : maximal(ops, group)) expected.push_back(op->version.dot);
        std::sort(dots.begin(), dots.end());
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(dots, expected) << group.name << test::describe(ops, order);
      }
    });
  });
}

TEST_P(RowLaw, EveryCausalOrderAgreesOnWhatIsOpen) {
  for_executions([&](const std::vector<Op>& ops) {
    std::optional<bool> first;
    std::vector<KeptSibling> hidden;
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      const bool open = open_conflict(r.state, layout_, kRanks);
      auto now = hidden_siblings(r.state, layout_, kRanks);
      if (!first) first = open, hidden = now;
      ASSERT_EQ(open, *first) << test::describe(ops, order);
      ASSERT_EQ(now, hidden) << test::describe(ops, order);
      ASSERT_TRUE(may_stay_open(layout_) || !open);
    });
  });
}

TEST_P(RowLaw, ApplyingAgainAtOnceChangesNothing) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      Replica r;
      for (const size_t i : order) {
        r.apply(ops[i], layout_);
        const auto once = test::describe(r.state, layout_);
        r.apply(ops[i], layout_);
        ASSERT_EQ(test::describe(r.state, layout_), once) << test::describe(ops, order);
      }
    });
  });
}

TEST_P(RowLaw, EveryRegisterIsSortedAndItsDotsAreDistinct) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      for (const auto& [name, r] : test::run(ops, order, layout_).state.registers) {
        const auto bad = std::adjacent_find(
            r.siblings.begin(), r.siblings.end(),
            [](const Sibling& a, const Sibling& b) { return a.version >= b.version; });
        ASSERT_EQ(bad, r.siblings.end()) << test::describe(ops, order);
      }
    });
  });
}

// ---- P2: nothing acknowledged is lost
// --------------------------------------------------------------

bool listed(const Replica& r, const std::string& column, const Value& value) {
  return std::any_of(r.losses.begin(), r.losses.end(), [&](const Loss& loss) {
    if (!loss.loser.row) return false;
    const auto it = loss.loser.row->find(column);
    return it != loss.loser.row->end() && identical(it->second, value);
  });
}

bool is_sibling(const Replica& r, const Group& group, const Dot& d) {
  const auto it = r.state.registers.find(group.name);
  return it != r.state.registers.end() &&
         std::any_of(it->second.siblings.begin(), it->second.siblings.end(),
                     [&](const Sibling& s) { return s.version.dot == d; });
}

TEST_P(RowLaw, P2EveryValueIsVisibleOrOverwrittenOrOpenOrListedInEveryOrder) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      for (const Replica& r :
           {test::run(ops, order, layout_), test::run_in_batches(ops, order, layout_, random_)}) {
        const auto row = visible(r.state, layout_, kRanks);
        const bool open = open_conflict(r.state, layout_, kRanks);
        for (const auto& op : ops) {
          for (const auto& [column, value] : op.change.columns) {
            const Group& group = layout_.group_of(column);
            if (group.policy.is_counter() || group.policy.is_set()) continue;  // it adds: see above
            const bool overwritten = std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
              return (other.change.erase || writes_to(other, group)) && replaces(other, op, group);
            });
            const bool seen = row && row->contains(column) && identical(row->at(column), value);
            const bool still_open = open && is_sibling(r, group, op.version.dot);
            ASSERT_TRUE(overwritten || seen || still_open || listed(r, column, value))
                << column << " of " << to_string(op.version.dot) << test::describe(ops, order);
          }
        }
      }
    });
  });
}

TEST_P(RowLaw, P2EveryEraseIsVisibleOrOverwrittenOrOpenOrListedInEveryOrder) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      for (const Replica& r :
           {test::run(ops, order, layout_), test::run_in_batches(ops, order, layout_, random_)}) {
        const bool settled =
            !visible(r.state, layout_, kRanks) || open_conflict(r.state, layout_, kRanks);
        for (const auto* op : maximal(ops, layout_.groups.front())) {
          const bool lost = std::any_of(r.losses.begin(), r.losses.end(), [&](const Loss& loss) {
            return loss.loser.version == op->version && !loss.loser.row;
          });
          ASSERT_TRUE(!op->change.erase || settled || lost) << test::describe(ops, order);
        }
      }
    });
  });
}

TEST_P(RowLaw, ABatchLeavesTheStateOfItsChangesOneByOne) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica one_by_one = test::run(ops, order, layout_);
      const Replica batched = test::run_in_batches(ops, order, layout_, random_);
      ASSERT_EQ(test::describe(batched.state, layout_), test::describe(one_by_one.state, layout_))
          << test::describe(ops, order);
    });
  });
}

TEST_P(RowLaw, LosersDifferFromTheirWinners) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      for (const auto& loss : test::run(ops, order, layout_).losses) {
        ASSERT_FALSE(same_content(loss.loser, loss.winner)) << test::describe(ops, order);
      }
    });
  });
}

// ---- Collapse
// --------------------------------------------------------------------------------------

std::string shown_and_open(const Replica& r, const Layout& layout) {
  std::string text = shown(with_sorted_sets(visible(r.state, layout, kRanks), layout));
  for (const auto& group : open_groups(layout, judge(r.state, layout, kRanks))) {
    text += " open " + group;
  }
  return text;
}

Replica collapsed(Replica r, const VersionVector& stable, const Layout& layout) {
  collapse(r.state, layout, stable, kRanks);
  return r;
}

// Sites collapse at times of their own: what they write afterwards means the same at all of them.
TEST_P(RowLaw, WhoHasCollapsedAndWhoHasNotShowTheSameForEver) {
  for_executions([&](const std::vector<Op>& before) {
    Replica whole;
    for (const auto& op : before) whole.apply(op, layout_);
    const VersionVector stable = whole.seen;
    const Replica less = collapsed(whole, stable, layout_);
    ASSERT_EQ(shown_and_open(less, layout_), shown_and_open(whole, layout_))
        << test::describe(whole.state, layout_);
    for (size_t i = 0; i < 4; ++i) {
      const auto ops =
          test::execution_after(random_, GetParam(), {whole, less, less, whole}, 2 + i);
      std::optional<std::string> first;
      const auto check = [&](const std::vector<size_t>& order) {
        const size_t when = random_.below(order.size() + 1);
        Replica early = less, late = whole, never = whole;
        for (size_t n = 0; n < order.size(); ++n) {
          if (n == when) late = collapsed(std::move(late), stable, layout_);
          for (auto* r : {&early, &late, &never}) r->apply(ops[order[n]], layout_);
        }
        for (const auto* r : {&early, &late, &never}) {
          const std::string now = shown_and_open(*r, layout_);
          if (!first) first = now;
          ASSERT_EQ(now, *first) << "after" << test::describe(whole.state, layout_)
                                 << test::describe(ops, order);
        }
      };
      test::causal_orders(ops, random_, 10, check, stable);
      if (HasFatalFailure()) return;
    }
  });
}

// ---- Join
// ------------------------------------------------------------------------------------------

// What a replica has when only some of the ops have reached it: a random causally closed part.
Replica part(const std::vector<Op>& ops, test::Random& random, const Layout& layout) {
  Replica r;
  for (size_t tries = random.below(3 * ops.size() + 1); tries > 0; --tries) {
    const Op& op = ops[random.below(ops.size())];
    if (r.ready(op)) r.apply(op, layout);
  }
  return r;
}

Replica joined(const Replica& a, const Replica& b, const Layout& layout) {
  Replica out{join(a.state, a.seen, b.state, b.seen, {}, layout), a.seen, {}};
  out.seen.join(b.seen);
  return out;
}

std::string whole(const RowState& state) {
  std::string text;
  for (const auto& [name, r] : state.registers) {
    text += name + ":";
    for (const auto& s : r.siblings) text += " " + to_string(s.version.dot);
  }
  return text;
}

TEST_P(RowLaw, JoinIsCommutativeAssociativeAndIdempotent) {
  for_executions([&](const std::vector<Op>& ops) {
    for (int i = 0; i < 10; ++i) {
      const Replica a = part(ops, random_, layout_), b = part(ops, random_, layout_),
                    c = part(ops, random_, layout_);
      ASSERT_EQ(whole(joined(a, b, layout_).state), whole(joined(b, a, layout_).state));
      ASSERT_EQ(whole(joined(joined(a, b, layout_), c, layout_).state),
                whole(joined(a, joined(b, c, layout_), layout_).state));
      ASSERT_EQ(whole(joined(a, a, layout_).state), whole(a.state));
      ASSERT_EQ(whole(joined(joined(a, b, layout_), b, layout_).state),
                whole(joined(a, b, layout_).state));
    }
  });
}

TEST_P(RowLaw, JoinAgreesWithApplyingTheUnion) {
  for_executions([&](const std::vector<Op>& ops) {
    for (int i = 0; i < 10; ++i) {
      const Replica a = part(ops, random_, layout_), b = part(ops, random_, layout_);
      const Replica both = joined(a, b, layout_);
      Replica applied = a;
      for (const auto& op : ops) {
        if (b.seen.covers(op.version.dot) && applied.ready(op)) applied.apply(op, layout_);
      }
      ASSERT_EQ(applied.seen, both.seen);
      ASSERT_EQ(test::describe(both.state, layout_), test::describe(applied.state, layout_));
      ASSERT_EQ(shown(visible(both.state, layout_, kRanks)),
                shown(visible(applied.state, layout_, kRanks)));
    }
  });
}

TEST_P(RowLaw, WritesAfterAJoinConvergeToo) {
  for_executions([&](const std::vector<Op>& ops) {
    Replica r = joined(part(ops, random_, layout_), part(ops, random_, layout_), layout_);
    for (const auto& op : ops) {
      if (r.ready(op)) r.apply(op, layout_);
    }
    ASSERT_EQ(shown(with_sorted_sets(visible(r.state, layout_, kRanks), layout_)),
              shown(expected_row(ops, layout_)));
  });
}

// The same, with what lost at either of them, or because they met.
Replica met(const Replica& a, const Replica& b, const VersionVector& collected,
            const Layout& layout) {
  Replica out = a;
  out.seen.join(b.seen);
  out.losses.insert(out.losses.end(), b.losses.begin(), b.losses.end());
  auto lost = join(out.state, a.seen, {b.state, b.seen}, collected, layout, kRanks);
  std::move(lost.begin(), lost.end(), std::back_inserter(out.losses));
  return out;
}

TEST_P(RowLaw, P2EveryValueIsVisibleOrOverwrittenOrOpenOrListedWhereTwoMeet) {
  for_executions([&](const std::vector<Op>& ops) {
    for (int i = 0; i < 10; ++i) {
      const Replica a = part(ops, random_, layout_), b = part(ops, random_, layout_);
      const Replica r = met(a, b, {}, layout_);
      const auto row = visible(r.state, layout_, kRanks);
      const bool open = open_conflict(r.state, layout_, kRanks);
      for (const auto& op : ops) {
        if (!r.seen.covers(op.version.dot)) continue;
        for (const auto& [column, value] : op.change.columns) {
          const Group& group = layout_.group_of(column);
          if (group.policy.is_counter() || group.policy.is_set()) continue;
          const bool overwritten = std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
            return r.seen.covers(other.version.dot) &&
                   (other.change.erase || writes_to(other, group)) && replaces(other, op, group);
          });
          const bool seen = row && row->contains(column) && identical(row->at(column), value);
          const bool still_open = open && is_sibling(r, group, op.version.dot);
          ASSERT_TRUE(overwritten || seen || still_open || listed(r, column, value))
              << column << " of " << to_string(op.version.dot) << "\n"
              << test::describe(a.state, layout_) << "\n"
              << test::describe(b.state, layout_);
        }
        const bool gone = !row || open;
        const auto newest = maximal(ops, layout_.groups.front());
        const bool stands = std::find(newest.begin(), newest.end(), &op) != newest.end();
        const bool lost = std::any_of(r.losses.begin(), r.losses.end(), [&](const Loss& loss) {
          return loss.loser.version == op.version && !loss.loser.row;
        });
        ASSERT_TRUE(!op.change.erase || !stands || gone || lost) << to_string(op.version.dot);
      }
    }
  });
}

TEST_P(RowLaw, WhoMeetListNoMoreThanWhatDiffersFromItsWinner) {
  for_executions([&](const std::vector<Op>& ops) {
    for (int i = 0; i < 10; ++i) {
      const Replica a = part(ops, random_, layout_), b = part(ops, random_, layout_);
      Replica twice = met(a, b, {}, layout_);
      for (const auto& loss : twice.losses) {
        ASSERT_FALSE(same_content(loss.loser, loss.winner));
      }
      const size_t listed = twice.losses.size();
      twice.losses = met(twice, {b.state, b.seen, {}}, {}, layout_).losses;
      ASSERT_EQ(twice.losses.size(), listed);
    }
  });
}

// Two sites that have collapsed, or not, go on apart, and one is joined into the other.
TEST_P(RowLaw, WhoHasCollapsedAndWhoHasNotJoinToWhatApplyingGives) {
  for_executions([&](const std::vector<Op>& before) {
    Replica whole;
    for (const auto& op : before) whole.apply(op, layout_);
    const VersionVector stable = whole.seen;
    const Replica less = collapsed(whole, stable, layout_);
    for (size_t i = 0; i < 6; ++i) {
      const auto ops =
          test::execution_after(random_, GetParam(), {whole, less, less, whole}, 2 + i);
      const auto go_on = [&](Replica r) {
        for (size_t tries = random_.below(3 * ops.size() + 1); tries > 0; --tries) {
          const Op& op = ops[random_.below(ops.size())];
          if (r.ready(op)) r.apply(op, layout_);
        }
        return r;
      };
      Replica a = go_on(random_.one_in(2) ? less : whole);
      Replica b = go_on(random_.one_in(2) ? less : whole);
      if (random_.one_in(3)) a = collapsed(std::move(a), stable, layout_);
      if (random_.one_in(3)) b = collapsed(std::move(b), stable, layout_);
      Replica applied = a;
      const Replica both = met(a, b, stable, layout_);
      for (size_t n = 0; n < ops.size(); ++n) {
        for (const auto& op : ops) {
          if (b.seen.covers(op.version.dot) && applied.ready(op)) applied.apply(op, layout_);
        }
      }
      ASSERT_EQ(applied.seen, both.seen);
      ASSERT_EQ(shown_and_open(both, layout_), shown_and_open(applied, layout_))
          << "a " << test::describe(a.state, layout_) << "\nb " << test::describe(b.state, layout_)
          << "\njoined " << test::describe(both.state, layout_) << "\napplied "
          << test::describe(applied.state, layout_);
      Replica later = both;
      for (size_t n = 0; n < ops.size(); ++n) {
        for (const auto& op : ops) {
          if (applied.ready(op)) applied.apply(op, layout_);
          if (later.ready(op)) later.apply(op, layout_);
        }
      }
      ASSERT_EQ(shown_and_open(later, layout_), shown_and_open(applied, layout_));
    }
  });
}

// ---- Made anew
// -------------------------------------------------------------------------------------

// The part of a counter that a floor speaks of.
const Sibling* part_of(const RowState& state, const Floor& floor) {
  const auto& siblings = register_of(state, floor.column).siblings;
  const auto it = std::find_if(siblings.begin(), siblings.end(), [&](const Sibling& s) {
    return s.version.dot.origin == floor.origin;
  });
  return it == siblings.end() ? nullptr : &*it;
}

// The invariant of counter.h: so floors mend nothing where nothing was damaged.
TEST_P(RowLaw, WhoAppliesAFloorHasThePartThatItSpeaksOf) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      Replica r;
      for (const size_t i : order) {
        for (const auto& floor : ops[i].change.floors) {
          const Sibling* part = part_of(r.state, floor);
          ASSERT_NE(part, nullptr);
          ASSERT_GE(part->version.dot.seq, floor.seq);
          if (part->version.dot.seq == floor.seq) {
            ASSERT_EQ(part->addend->sum, floor.sum);
          }
        }
        r.apply(ops[i], layout_);
      }
    });
  });
}

void damage(Register& r, const Group& group, test::Random& random) {
  const size_t at = random.below(r.siblings.size());
  Sibling& s = r.siblings[at];
  switch (random.below(3)) {
    case 0:
      r.siblings.erase(r.siblings.begin() + static_cast<ptrdiff_t>(at));
      return;
    case 1:
      s.version.dot.seq = std::max<uint64_t>(1, s.version.dot.seq / 2);
      [[fallthrough]];
    default:
      if (s.addend) s.addend->sum += 7;
      if (group.policy.is_set()) (*s.row)[group.columns.front()] = std::string("[77]");
  }
}

// What it is made anew with: what it shows, or anything.
Row whole_row(const Replica& r, const Layout& layout) {
  Row row;
  for (const auto& c : layout.columns) {
    if (c.key_part == 0) row.emplace(c.name, Value{});
  }
  Row now = visible(r.state, layout, kRanks).value_or(Row{});
  now.merge(row);
  return now;
}

TEST_P(RowLaw, MakingARowAnewMendsItsCountersAndSets) {
  for_executions([&](const std::vector<Op>& ops) {
    Replica right;
    for (const auto& op : ops) right.apply(op, layout_);
    Replica damaged = right;
    for (const auto& group : layout_.groups) {
      const bool written = damaged.state.registers.contains(group.name);
      if (group.name.empty() || !group.policy.commutes() || !written) continue;
      damage(damaged.state.registers[group.name], group, random_);
    }
    Op anew{{Hlc{UINT64_MAX / 2}, test::dot(1, right.seen.at(test::origin(1)) + 1)},
            right.seen,
            {"t", "k", false, false, whole_row(right, layout_), {}, right.seen, {}}};
    Replica& writer = random_.one_in(2) ? right : damaged;
    ASSERT_TRUE(
        renew(anew.change, writer.state, layout_, parts_of(right.state, layout_, kRanks).counters));
    for (auto* r : {&right, &damaged}) r->apply(anew, layout_);
    const auto digest = [&](const Replica& r) {
      return digest_of(r.state, layout_, kRanks, r.seen, visible(r.state, layout_, kRanks), false);
    };
    ASSERT_EQ(digest(right), digest(damaged)) << test::describe(right.state, layout_) << "\n"
                                              << test::describe(damaged.state, layout_);
  });
}

INSTANTIATE_TEST_SUITE_P(All, RowLaw, testing::ValuesIn(test::every_rules()),
                         [](const auto& param) { return param.param.name; });

}  // namespace

}  // namespace entente
