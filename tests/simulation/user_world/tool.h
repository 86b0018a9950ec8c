#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/user_world/shape.h"

namespace entente::simulation::user_world {

// One transaction of a migration, and what the tables are after it.
struct Migration {
  std::vector<std::string> statements;
  Shapes after;
};

// What tools do to the main table, in the spellings that they do it in.
class Tool {
 public:
  Tool(const Draws& draws, Random random) : draws_(draws), random_(random) {}

  // Empty: this seed changes nothing.
  std::vector<Migration> draw(const Shapes& now);

 private:
  Migration add_column(Shapes shapes);
  std::optional<Migration> rename_column(Shapes shapes);
  std::optional<Migration> drop_column(Shapes shapes);
  Migration create_index(Shapes shapes);
  Migration create_unique_index(Shapes shapes);
  std::vector<Migration> rebuild(const Shapes& now, Draw how);
  Shapes rebuilt(Shapes shapes);
  std::string new_name() { return "x" + std::to_string(++names_); }

  const Draws& draws_;
  Random random_;
  int names_ = 0;
};

}  // namespace entente::simulation::user_world
