#include "tests/unit/conflict/execution.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "conflict/element_set.h"
#include "conflict/merge.h"

namespace entente::test {
namespace {

const char* const kColumns[] = {"a", "b", "c"};

// Few values: equal ones must occur.
Value some_value(Random& random, const Policy& policy) {
  const auto n = static_cast<int64_t>(random.below(6));
  if (policy.kind != PolicyKind::kMerge) return n;
  std::string text;
  switch (policy.merge) {
    case MergeKind::kUnion:
      for (int i = 0; i < 4; ++i) {
        if (random.one_in(2)) text += (text.empty() ? "" : ",") + std::to_string(i);
      }
      return "[" + text + "]";
    case MergeKind::kJson:
      for (int i = 0; i < 3; ++i) {
        if (!random.one_in(2)) continue;
        text += (text.empty() ? "\"" : ",\"") + std::to_string(i) +
                "\":" + std::to_string(random.below(3));
      }
      return "{" + text + "}";
    case MergeKind::kText:
      for (int i = 0; i < 4; ++i) text += std::to_string(random.below(3)) + "\n";
      return text;
    default:
      return n;
  }
}

Row some_columns(Random& random, const Layout& layout, bool all) {
  Row row;
  for (const auto& group : layout.groups) {
    if (!all && !group.name.empty() && random.one_in(2)) continue;
    for (const auto& column : group.columns) {
      row[column] = some_value(random, group.policy);
    }
  }
  return row;
}

// What a client that read the row at some time, or wrote it, carries.
RowChange with_context(RowChange change, const RowContext& context, const RowState& state,
                       const Layout& layout) {
  change.context = context.ceiling();
  change.kept = unseen_siblings(state, layout, context);
  return change;
}

// One datacenter of an execution, and the contexts that clients took away from it.
struct Site {
  Replica replica;
  HlcClock clock;
  uint64_t wall = 0;
  uint64_t writes = 0;
};

class Execution {
 public:
  Execution(Random& random, const Rules& rules)
      : random_(random), layout_(rules.layout()), sites_(2 + random.below(3)) {
    for (auto& site : sites_) site.wall = 1000 + random_.below(10);
  }

  Execution(Random& random, const Rules& rules, std::vector<Replica> replicas)
      : random_(random), layout_(rules.layout()), promised_(replicas.front().seen) {
    for (auto& replica : replicas) {
      Site& site = sites_.emplace_back();
      site.replica = std::move(replica);
      site.wall = 2000 + random_.below(10);
      site.writes = promised_.at(origin(static_cast<uint8_t>(sites_.size())));
    }
  }

  std::vector<Op> run(size_t count) {
    while (ops_.size() < count) {
      const size_t at = random_.below(sites_.size());
      random_.one_in(3) ? write(at) : hear(sites_[at]);
    }
    return ops_;
  }

 private:
  void hear(Site& site) {
    std::vector<const Op*> ready;
    for (const auto& op : ops_) {
      if (site.replica.ready(op)) ready.push_back(&op);
    }
    if (ready.empty()) return;
    const Op& op = *ready[random_.below(ready.size())];
    site.clock.observe(op.version.hlc);
    site.replica.apply(op, layout_);
  }

  void write(size_t at) {
    Site& site = sites_[at];
    site.wall += random_.below(4);
    const Origin self = origin(static_cast<uint8_t>(at + 1));
    Op op{{site.clock.tick(site.wall), {self, ++site.writes}},
          site.replica.seen,
          change(site.replica)};
    const auto shown = visible(site.replica.state, layout_, ranks());
    op.change.inserted = !op.change.erase && !shown;
    add_bases(op.change, site.replica.state, layout_, shown);
    add_keys_set(op.change, {"a"}, site.replica.state, layout_, ranks());
    RowContext after{op.seen(), {}};
    if (op.change.kept.empty()) {
      after.add(op.version.dot);
      contexts_.push_back(after);
    }
    site.replica.apply(op, layout_);
    contexts_.push_back({site.replica.seen, {}});
    ops_.push_back(std::move(op));
  }

  RowChange change(const Replica& here) {
    RowChange c;
    c.table = "t";
    c.key = "k";
    c.erase = random_.one_in(4);
    const bool exists = visible(here.state, layout_, ranks()).has_value();
    if (!c.erase) c.columns = some_columns(random_, layout_, !exists || random_.one_in(3));
    switch (random_.below(4)) {
      case 0: {
        const RowContext* older = admissible(here);
        return older ? with_context(std::move(c), *older, here.state, layout_) : c;
      }
      case 1:
        c.context = promised_;
        c.kept = lasting_siblings(here.state, layout_, promised_, ranks());
        return c;
      default:
        c.kept = hidden_siblings(here.state, layout_, ranks());
        return c;
    }
  }

  const RowContext* admissible(const Replica& here) {
    if (contexts_.empty()) return nullptr;
    const RowContext& c = contexts_[random_.below(contexts_.size())];
    return here.seen.covers(c.ceiling()) ? &c : nullptr;
  }

  Random& random_;
  Layout layout_;
  std::vector<Site> sites_;
  std::vector<RowContext> contexts_;
  VersionVector promised_;
  std::vector<Op> ops_;
};

// Every causal order by depth first, until `most` were found; false then.
bool all_orders(const std::vector<Op>& ops, Replica& done, std::vector<size_t>& order,
                std::vector<std::vector<size_t>>& found, size_t most) {
  if (order.size() == ops.size()) found.push_back(order);
  for (size_t i = 0; i < ops.size() && found.size() <= most; ++i) {
    if (!done.ready(ops[i])) continue;
    const Replica before = done;
    done.seen.advance(ops[i].version.dot.origin, ops[i].version.dot.seq);
    order.push_back(i);
    all_orders(ops, done, order, found, most);
    order.pop_back();
    done = before;
  }
  return found.size() <= most;
}

std::vector<size_t> random_order(const std::vector<Op>& ops, Random& random, Replica done) {
  std::vector<size_t> order;
  while (order.size() < ops.size()) {
    const size_t i = random.below(ops.size());
    if (!done.ready(ops[i])) continue;
    done.seen.advance(ops[i].version.dot.origin, ops[i].version.dot.seq);
    order.push_back(i);
  }
  return order;
}

}  // namespace

TableDef Rules::definition() {
  TableDef t{"t", {{"k", "TEXT", Affinity::kText, Collation::kBinary, true, 1}}};
  for (const auto* name : kColumns) t.columns.push_back({name, "", {}, {}, false, 0});
  return t;
}

namespace {

std::vector<Policy> every_policy() {
  std::vector<Policy> all;
  for (const auto kind : {PolicyKind::kLww, PolicyKind::kPriority, PolicyKind::kSiblings}) {
    all.push_back({kind});
  }
  for (const auto merge : {MergeKind::kConcat, MergeKind::kUnion, MergeKind::kJson,
                           MergeKind::kText, MergeKind::kMin, MergeKind::kMax}) {
    all.push_back({PolicyKind::kMerge, merge});
  }
  all.push_back({PolicyKind::kCounter});
  all.push_back({PolicyKind::kHandler});
  all.back().run_this = moody_handler();
  all.push_back(all.back());
  all.back().run = RunWhen::kRead;
  return all;
}

// As part of a test's name.
std::string word(const Policy& policy) {
  std::string text(to_string(policy.kind));
  if (policy.kind == PolicyKind::kMerge) text += "_" + std::string(to_string(policy.merge));
  return text + (policy.run == RunWhen::kRead ? "_on_read" : "");
}

}  // namespace

std::vector<Rules> every_rules() {
  std::vector<Rules> all;
  for (const auto& policy : every_policy()) {
    for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
      TableRules rules;
      rules.policy = policy;
      rules.granularity = granularity;
      const std::string name =
          word(policy) + (granularity == Granularity::kRow ? "_row" : "_column");
      all.push_back({name, rules});
      for (const auto rule : {DeleteUpdate::kDeleteWins, DeleteUpdate::kUpdateWins}) {
        TableRules ruled = rules;
        ruled.delete_update = rule;
        all.push_back(
            {name + (rule == DeleteUpdate::kDeleteWins ? "_delete_wins" : "_update_wins"), ruled});
      }
      TableRules own = rules;
      own.columns["b"] = {PolicyKind::kSiblings};
      own.columns["c"] = {policy.kind == PolicyKind::kLww ? PolicyKind::kPriority
                                                          : PolicyKind::kLww};
      all.push_back({name + "_and_own", own});
      if (policy.is_counter() || policy.is_set()) continue;
      TableRules grouped = rules;
      grouped.groups["both"] = {{"a", "b"}, policy};
      grouped.columns["c"] = {PolicyKind::kCounter};
      all.push_back({name + "_grouped", grouped});
    }
  }
  return all;
}

Ranks ranks() {
  Ranks r({{"high", 3}, {"mid", 2}});
  r.declare(origin(1), "mid");
  r.declare(origin(2), "low");
  r.declare(origin(3), "high");
  r.declare(origin(4), "mid");
  return r;
}

void Replica::apply(const Op& op, const Layout& layout) {
  static const Ranks kRanks = ranks();
  auto lost = entente::apply(state, layout, op.change, op.version, op.context, kRanks);
  std::move(lost.begin(), lost.end(), std::back_inserter(losses));
  seen.advance(op.version.dot.origin, op.version.dot.seq);
}

std::vector<Op> execution(Random& random, const Rules& rules, size_t count) {
  return Execution(random, rules).run(count);
}

std::vector<Op> execution_after(Random& random, const Rules& rules, std::vector<Replica> sites,
                                size_t count) {
  return Execution(random, rules, std::move(sites)).run(count);
}

void causal_orders(const std::vector<Op>& ops, Random& random, size_t most,
                   const std::function<void(const std::vector<size_t>&)>& visit,
                   const VersionVector& before) {
  std::vector<std::vector<size_t>> orders;
  std::vector<size_t> order;
  Replica done{{}, before, {}};
  if (!all_orders(ops, done, order, orders, most)) {
    for (auto& o : orders) o = random_order(ops, random, {{}, before, {}});
  }
  for (const auto& o : orders) visit(o);
}

Replica run(const std::vector<Op>& ops, const std::vector<size_t>& order, const Layout& layout) {
  Replica r;
  for (const size_t i : order) r.apply(ops[i], layout);
  return r;
}

Replica run_in_batches(const std::vector<Op>& ops, const std::vector<size_t>& order,
                       const Layout& layout, Random& random) {
  static const Ranks kRanks = ranks();
  Replica r;
  const auto take = [&](std::vector<Loss> lost) {
    std::move(lost.begin(), lost.end(), std::back_inserter(r.losses));
  };
  for (size_t i = 0; i < order.size();) {
    Batch batch;
    for (size_t left = 1 + random.below(4); left > 0 && i < order.size(); --left, ++i) {
      const Op& op = ops[order[i]];
      take(batch.apply(r.state, layout, op.change, op.version, op.context, kRanks));
      r.seen.advance(op.version.dot.origin, op.version.dot.seq);
    }
    take(batch.finish(r.state, layout, kRanks));
    const auto said = visible(r.state, layout, batch.verdicts(r.state, layout, kRanks));
    EXPECT_EQ(said, visible(r.state, layout, kRanks)) << describe(ops, order);
  }
  return r;
}

std::string describe(const Row& row) {
  std::string text = "{";
  for (const auto& [name, value] : row) text += name + "=" + entente::describe(value) + " ";
  return text + "}";
}

std::string describe(const RowState& state, const Layout& layout) {
  std::string text;
  for (const auto& group : layout.groups) {
    const auto it = state.registers.find(group.name);
    if (it == state.registers.end() || it->second.siblings.empty()) continue;
    text += "'" + group.name + "':";
    const bool is_set = group.policy.is_set() && !group.name.empty();
    if (is_set && set_elements(set_total(it->second, group.name))->empty()) {
      text += " empty; ";  // whichever of several writes says so
      continue;
    }
    const auto& siblings = it->second.siblings;
    const size_t first = forgets_losers(group, layout) ? siblings.size() - 1 : 0;
    for (size_t i = first; i < siblings.size(); ++i) {
      text += " " + to_string(siblings[i].version.dot).substr(0, 2) +
              std::to_string(siblings[i].version.dot.seq) +
              (siblings[i].row ? describe(*siblings[i].row) : "deleted");
      if (siblings[i].keys_set) text += " keys of " + to_string(siblings[i].keys_set->dot);
    }
    text += "; ";
  }
  return text;
}

std::string describe(const std::vector<Op>& ops, const std::vector<size_t>& order) {
  std::string text;
  for (const size_t i : order) {
    const Op& op = ops[i];
    text += "\n  " + to_string(op.version.dot).substr(0, 2) + std::to_string(op.version.dot.seq) +
            " hlc " + std::to_string(op.version.hlc.unix_ms()) + "." +
            std::to_string(op.version.hlc.counter()) + " " +
            (op.change.erase ? "erase" : describe(op.change.columns)) + " saw";
    for (const auto& d : op.seen()) {
      text += " " + to_string(d).substr(0, 2) + std::to_string(d.seq);
    }
    for (const auto& [group, d] : op.change.kept) {
      text += " kept " + group + " " + to_string(d).substr(0, 2) + std::to_string(d.seq);
    }
  }
  return text;
}

}  // namespace entente::test
