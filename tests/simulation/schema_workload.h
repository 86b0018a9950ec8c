#pragma once

#include <vector>

#include "tests/simulation/node.h"
#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

namespace entente::simulation {

// Changes the schema of kChangingTable at the leader, and writes its rows everywhere, under
// whatever schema is there.
class SchemaWorkload {
 public:
  SchemaWorkload(World& world, std::vector<Node*> nodes);

  // Spreads its operations over the chaos.
  void plan();

 private:
  void edit_something();
  void write_something();
  TableEdit draw_edit(const TableDef& table);
  std::string draw_name();

  World& world_;
  std::vector<Node*> nodes_;
  Random random_;
};

// Everybody shows the same of it, and has the same conflicts open.
void check_changing_table(World& world, const std::vector<Node*>& nodes);

}  // namespace entente::simulation
