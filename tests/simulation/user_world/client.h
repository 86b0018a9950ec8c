#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapters/database.h"
#include "tests/simulation/user_world/shape.h"

namespace entente::simulation::user_world {

// What a client asks for next: one of them.
struct Action {
  std::optional<Statement> sql;
  std::optional<RowRequest> row;
};

std::string describe(const Action& action);

// What somebody read of a row, to be presented some time with a write.
struct Seen {
  std::string table;  // id
  std::vector<Value> key;
  RowContext context;
};

// Draws what clients do to the tables that they see. Few texts of SQL: gateways keep them compiled.
class Client {
 public:
  Client(const Draws& draws, Random random) : draws_(draws), random_(random) {}

  std::vector<Action> draw_transaction(const Shapes& shapes);
  // A key to read; absent: there is no table.
  std::optional<Seen> draw_read(const Shapes& shapes);
  void remember(Seen seen) { seen_.push_back(std::move(seen)); }
  void forget_contexts() { seen_.clear(); }

 private:
  Action draw(const std::vector<const Shape*>& there, const Shapes& shapes);
  Action draw_row(const Shape& shape, const Shapes& shapes);
  Statement insert(const Shape& shape, const Shapes& shapes);
  Statement insert_in_order(const Shape& shape, const Shapes& shapes);
  Statement upsert(const Shape& shape, const Shapes& shapes);
  Statement update(const Shape& shape, const Shapes& shapes);
  Statement update_some(const Shape& shape, const Shapes& shapes);
  Statement move_key(const Shape& shape);
  Statement respell_key(const Shape& shape);
  Statement update_from(const Shape& shape, const Shapes& shapes);
  Statement count_up(const Shape& shape);
  Statement erase(const Shape& shape);

  const ShapeColumn& pick_column(const Shape& shape);
  Value value(const Shape& shape, const ShapeColumn& column, const Shapes& shapes);
  Value key_value(Fill fill);
  std::vector<Value> key_values(const Shape& shape);

  const Draws& draws_;
  Random random_;
  std::vector<Seen> seen_;
};

}  // namespace entente::simulation::user_world
