#include <gtest/gtest.h>

#include <algorithm>

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
    for (uint64_t seed = 1; seed <= 150; ++seed) {
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

bool replaces(const Op& later, const Op& earlier) {
  const auto& kept = later.change.kept;
  const Dot& d = earlier.version.dot;
  return later.version.dot != d && later.seen().covers(d) &&
         std::find(kept.begin(), kept.end(), d) == kept.end();
}

std::vector<const Op*> maximal(const std::vector<Op>& ops, const Group& group) {
  std::vector<const Op*> out;
  for (const auto& op : ops) {
    if (writes_to(op, group) && std::none_of(ops.begin(), ops.end(), [&](const Op& other) {
          return writes_to(other, group) && replaces(other, op);
        })) {
      out.push_back(&op);
    }
  }
  return out;
}

const Op* policys_choice(const std::vector<const Op*>& ops, PolicyKind policy) {
  const Op* best = nullptr;
  for (const auto* op : ops) {
    const auto rank = [&](const Op* o) {
      return policy == PolicyKind::kPriority ? kRanks.rank(o->version.dot.origin) : 0;
    };
    if (!best || rank(op) > rank(best) || (rank(op) == rank(best) && op->version > best->version)) {
      best = op;
    }
  }
  return best;
}

std::optional<Row> expected_row(const std::vector<Op>& ops, const Layout& layout) {
  Row row;
  for (const auto& group : layout.groups) {
    const Op* op = policys_choice(maximal(ops, group), group.policy);
    if (group.name.empty() && (!op || op->change.erase)) return std::nullopt;
    for (const auto& column : group.columns) {
      if (op && op->change.columns.contains(column)) row[column] = op->change.columns.at(column);
    }
  }
  return row;
}

std::string shown(const std::optional<Row>& row) { return row ? test::describe(*row) : "no row"; }

// ---- Convergence
// -----------------------------------------------------------------------------------

TEST_P(RowLaw, EveryCausalOrderShowsWhatTheSpecificationSays) {
  for_executions([&](const std::vector<Op>& ops) {
    const auto expected = shown(expected_row(ops, layout_));
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      ASSERT_EQ(shown(visible(r.state, layout_, kRanks)), expected) << test::describe(ops, order);
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
        if (group.policy == PolicyKind::kLww || !r.state.registers.contains(group.name)) continue;
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
    std::vector<Dot> hidden;
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      const bool open = open_conflict(r.state, layout_, kRanks);
      auto now = hidden_siblings(r.state, layout_, kRanks);
      std::sort(now.begin(), now.end());
      if (!first) first = open, hidden = now;
      ASSERT_EQ(open, *first) << test::describe(ops, order);
      ASSERT_EQ(now, hidden) << test::describe(ops, order);
      ASSERT_TRUE(layout_.resolved_on_read() || !open);
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
      const Replica r = test::run(ops, order, layout_);
      const auto row = visible(r.state, layout_, kRanks);
      const bool open = open_conflict(r.state, layout_, kRanks);
      for (const auto& op : ops) {
        for (const auto& [column, value] : op.change.columns) {
          const Group& group = layout_.group_of(column);
          const bool overwritten = std::any_of(ops.begin(), ops.end(), [&](const Op& other) {
            return (other.change.erase || writes_to(other, group)) && replaces(other, op);
          });
          const bool seen = row && row->contains(column) && identical(row->at(column), value);
          const bool still_open = open && is_sibling(r, group, op.version.dot);
          ASSERT_TRUE(overwritten || seen || still_open || listed(r, column, value))
              << column << " of " << to_string(op.version.dot) << test::describe(ops, order);
        }
      }
    });
  });
}

TEST_P(RowLaw, P2EveryEraseIsVisibleOrOverwrittenOrOpenOrListedInEveryOrder) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      const Replica r = test::run(ops, order, layout_);
      const bool settled =
          !visible(r.state, layout_, kRanks) || open_conflict(r.state, layout_, kRanks);
      for (const auto* op : maximal(ops, layout_.groups.front())) {
        const bool lost = std::any_of(r.losses.begin(), r.losses.end(), [&](const Loss& loss) {
          return loss.loser.version == op->version && !loss.loser.row;
        });
        ASSERT_TRUE(!op->change.erase || settled || lost) << test::describe(ops, order);
      }
    });
  });
}

TEST_P(RowLaw, LosersDifferFromTheirWinners) {
  for_executions([&](const std::vector<Op>& ops) {
    for_orders(ops, [&](const std::vector<size_t>& order) {
      for (const auto& loss : test::run(ops, order, layout_).losses) {
        ASSERT_NE(loss.loser.version, loss.winner.version) << test::describe(ops, order);
        ASSERT_FALSE(same_content(loss.loser, loss.winner)) << test::describe(ops, order);
      }
    });
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

Replica joined(const Replica& a, const Replica& b) {
  Replica out{join(a.state, a.seen, b.state, b.seen), a.seen, {}};
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
      ASSERT_EQ(whole(joined(a, b).state), whole(joined(b, a).state));
      ASSERT_EQ(whole(joined(joined(a, b), c).state), whole(joined(a, joined(b, c)).state));
      ASSERT_EQ(whole(joined(a, a).state), whole(a.state));
      ASSERT_EQ(whole(joined(joined(a, b), b).state), whole(joined(a, b).state));
    }
  });
}

TEST_P(RowLaw, JoinAgreesWithApplyingTheUnion) {
  for_executions([&](const std::vector<Op>& ops) {
    for (int i = 0; i < 10; ++i) {
      const Replica a = part(ops, random_, layout_), b = part(ops, random_, layout_);
      const Replica both = joined(a, b);
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
    Replica r = joined(part(ops, random_, layout_), part(ops, random_, layout_));
    for (const auto& op : ops) {
      if (r.ready(op)) r.apply(op, layout_);
    }
    ASSERT_EQ(shown(visible(r.state, layout_, kRanks)), shown(expected_row(ops, layout_)));
  });
}

INSTANTIATE_TEST_SUITE_P(All, RowLaw, testing::ValuesIn(test::every_rules()),
                         [](const auto& param) { return param.param.name; });

}  // namespace

}  // namespace entente
