#pragma once

#include <map>

#include "tests/simulation/node.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

using ExpectedRows = std::map<RowName, ExpectedRow>;

// Compares one node's database with what the oracle says of its vector: rows, registers and open
// conflicts (P1, P4, P5, P6). A difference fails the world.
void check_contents(World& world, const Node& node);
void check_contents(World& world, const Node& node, const ExpectedRows& expected);

// At the end: every value that a policy decided against is in this node's conflict log (P2).
void check_losers_listed(World& world, const Node& node, const ExpectedRows& expected);

// When everything was promised: what may be forgotten is.
void check_collected(World& world, const Node& node, const ExpectedRows& expected);

// Counts what kinds of conflicts these rows are.
void note_conflicts(World& world, const ExpectedRows& expected);
void note_losses(World& world, const Node& node);

}  // namespace entente::simulation
