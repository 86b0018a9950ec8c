#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conflict/context.h"
#include "conflict/row_changes.h"
#include "tests/support/moody_handler.h"
#include "tests/unit/conflict/support.h"

// Small executions of one row: replicas that write, hear of each other late, and so conflict. They
// are what the laws of registers are checked against, over every causal order.
namespace entente::test {

// One transaction that touches the row.
struct Op {
  Version version;
  VersionVector context;  // of the transaction
  RowChange change;

  const VersionVector& seen() const { return change.context ? *change.context : context; }
};

// The rules that an execution runs under.
struct Rules {
  std::string name;
  TableRules table;

  static TableDef definition();
  Layout layout() const { return {definition(), table}; }
};

inline void PrintTo(const Rules& rules, std::ostream* out) { *out << rules.name; }

// Every policy with every granularity, and columns with a policy of their own.
std::vector<Rules> every_rules();

Ranks ranks();

struct Replica {
  RowState state;
  VersionVector seen;
  std::vector<Loss> losses;

  bool ready(const Op& op) const { return !seen.covers(op.version.dot) && seen.covers(op.context); }
  void apply(const Op& op, const Layout& layout);
};

// `count` writes to one row by up to four replicas: puts of all or some columns, erases; plain,
// blind, or by clients whose context is older; wall clocks disagree.
std::vector<Op> execution(Random& random, const Rules& rules, size_t count);

// The same, by sites that all start with what `sites` have, and have promised to refuse contexts
// that have not seen it.
std::vector<Op> execution_after(Random& random, const Rules& rules, std::vector<Replica> sites,
                                size_t count);

// Calls `visit` with orders (indices into ops) in which every op comes after what it depends on:
// all of them up to `most`, otherwise `most` random ones. `before` is applied already.
void causal_orders(const std::vector<Op>& ops, Random& random, size_t most,
                   const std::function<void(const std::vector<size_t>&)>& visit,
                   const VersionVector& before = {});

Replica run(const std::vector<Op>& ops, const std::vector<size_t>& order, const Layout& layout);
// The same, cut at random into batches.
Replica run_in_batches(const std::vector<Op>& ops, const std::vector<size_t>& order,
                       const Layout& layout, Random& random);

// Everything about a state that replicas must agree on. Under lww: the winners, because which twins
// of a winner are still remembered depends on the order.
std::string describe(const RowState& state, const Layout& layout);
std::string describe(const Row& row);
std::string describe(const std::vector<Op>& ops, const std::vector<size_t>& order);

}  // namespace entente::test
