#include "tests/unit/conflict/execution.h"

#include <algorithm>

namespace entente::test {
namespace {

const char* const kColumns[] = {"a", "b", "c"};

Row some_columns(Random& random, const Layout& layout, bool all) {
  Row row;
  for (const auto& group : layout.groups) {
    if (!all && !group.name.empty() && random.one_in(2)) continue;
    for (const auto& column : group.columns) {
      row[column] = static_cast<int64_t>(random.below(6));  // few values: equal ones must occur
    }
  }
  return row;
}

// What a client that read the row at some time, or wrote it, carries.
RowChange with_context(RowChange change, const RowContext& context, const RowState& state) {
  change.context = context.ceiling();
  for (const auto& [name, r] : state.registers) {
    for (const auto& s : r.siblings) {
      const Dot& d = s.version.dot;
      const bool known = std::find(change.kept.begin(), change.kept.end(), d) != change.kept.end();
      if (change.context->covers(d) && !context.covers(d) && !known) change.kept.push_back(d);
    }
  }
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
    RowChange c{.table = "t", .key = "k", .columns = {}, .base = {}, .context = {}, .kept = {}};
    c.erase = random_.one_in(4);
    const bool exists = visible(here.state, layout_, ranks()).has_value();
    if (!c.erase) c.columns = some_columns(random_, layout_, !exists || random_.one_in(3));
    switch (random_.below(4)) {
      case 0: {
        const RowContext* older = admissible(here);
        return older ? with_context(std::move(c), *older, here.state) : c;
      }
      case 1:
        c.context = VersionVector();
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

std::vector<size_t> random_order(const std::vector<Op>& ops, Random& random) {
  std::vector<size_t> order;
  Replica done;
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

std::vector<Rules> every_rules() {
  std::vector<Rules> all;
  for (const auto policy : {PolicyKind::kLww, PolicyKind::kPriority, PolicyKind::kSiblings}) {
    for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
      TableRules rules;
      rules.policy = policy;
      rules.granularity = granularity;
      const std::string name(to_string(policy));
      all.push_back({name + (granularity == Granularity::kRow ? "_row" : "_column"), rules});
      rules.columns["b"] = PolicyKind::kSiblings;
      rules.columns["c"] = policy == PolicyKind::kLww ? PolicyKind::kPriority : PolicyKind::kLww;
      all.push_back({all.back().name + "_and_own", rules});
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

void causal_orders(const std::vector<Op>& ops, Random& random, size_t most,
                   const std::function<void(const std::vector<size_t>&)>& visit) {
  std::vector<std::vector<size_t>> orders;
  std::vector<size_t> order;
  Replica done;
  if (!all_orders(ops, done, order, orders, most)) {
    for (auto& o : orders) o = random_order(ops, random);
  }
  for (const auto& o : orders) visit(o);
}

Replica run(const std::vector<Op>& ops, const std::vector<size_t>& order, const Layout& layout) {
  Replica r;
  for (const size_t i : order) r.apply(ops[i], layout);
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
    const auto& siblings = it->second.siblings;
    const size_t first = group.policy == PolicyKind::kLww ? siblings.size() - 1 : 0;
    for (size_t i = first; i < siblings.size(); ++i) {
      text += " " + to_string(siblings[i].version.dot).substr(0, 2) +
              std::to_string(siblings[i].version.dot.seq) +
              (siblings[i].row ? describe(*siblings[i].row) : "deleted");
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
    for (const auto& d : op.change.kept) {
      text += " kept " + to_string(d).substr(0, 2) + std::to_string(d.seq);
    }
  }
  return text;
}

}  // namespace entente::test
