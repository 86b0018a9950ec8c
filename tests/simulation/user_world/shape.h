#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conflict/policy.h"
#include "tests/simulation/random.h"
#include "tests/simulation/user_world/draw.h"

namespace entente::simulation::user_world {

// What clients put into a column.
enum class Fill {
  kNumber,     // a small integer, or NULL
  kLow,        // 0 to 5
  kHigh,       // 4 to 9
  kWord,       // one letter of either case, or NULL
  kFlag,       // 0 or 1, never NULL
  kAnything,   // any type
  kCounter,    // an integer
  kElements,   // a JSON array of strings
  kKeyNumber,  // a key: few, so that clients meet
  kKeyWord,
  kSame,       // always the same
  kReference,  // some key of the table that it refers to, or NULL
};

struct ShapeColumn {
  std::string id;    // what the oracle calls it, whatever it is called meanwhile
  std::string name;  // what SQL calls it now
  std::string type;
  Fill fill = Fill::kNumber;
  std::string constraints = {};  // NOT NULL, DEFAULT, COLLATE
  std::string generated = {};    // the expression, see spelled(); "" for an ordinary column
  bool stored = false;
  size_t key_part = 0;
  bool rowid = false;                 // not declared: the rowid of a table without a key
  std::optional<int64_t> added = {};  // came later: what rows show in which nobody has written it

  bool nocase() const { return constraints.find("NOCASE") != std::string::npos; }
};

// One term of a UNIQUE key.
struct UniqueTerm {
  std::string expression;
  std::string collation = "BINARY";
};

struct ShapeUnique {
  std::string name;  // of its index; "": the table's declaration has it
  std::vector<UniqueTerm> terms;
  std::vector<std::string> columns = {};  // ids of those that decide about it
  std::string where = {};                 // of part of the rows
  std::string clause = {};                // ON CONFLICT …
};

struct ShapeReference {
  std::string column;  // id
  std::string parent;  // table's id
  std::string to;      // its column, by id
  std::string actions = {};
};

// A table as a user would declare it, and what the oracle knows of it.
struct Shape {
  std::string id;    // what the oracle calls it
  std::string name;  // what SQL calls it now
  bool there = true;
  std::vector<ShapeColumn> columns;
  bool without_rowid = false;
  bool unique_is_key = false;  // it is declared UNIQUE, and there is no primary key
  bool strict = false;
  std::vector<std::string> checks;
  std::vector<ShapeUnique> uniques;
  std::vector<ShapeReference> references;
  std::vector<std::string> indexes = {};   // CREATE INDEX …, see spelled()
  std::vector<std::string> triggers = {};  // CREATE TRIGGER …, see spelled()
  TableRules rules;

  const ShapeColumn* find(const std::string& column_id) const;
  const ShapeColumn* named(const std::string& name) const;
  std::vector<const ShapeColumn*> key() const;
  bool keyless() const { return key().front()->rowid; }
  // As SELECT * shows them.
  std::vector<const ShapeColumn*> declared() const;
  // Those that clients write.
  std::vector<const ShapeColumn*> written() const;
  // As replication tells rows apart, by the oracle's names.
  TableDef definition() const;
};
using Shapes = std::vector<Shape>;

// Expressions name columns by their ids in braces: `lower({a})`. With the names of now, or the ids.
std::string spelled(const std::string& expression, const Shape& shape);
std::string spelled_by_id(const std::string& expression);

const Shape* find(const Shapes& shapes, const std::string& id);
const Shape* named(const Shapes& shapes, const std::string& name);

std::string create_table(const Shape& shape, const Shapes& all, const std::string& as);
std::string create_index(const Shape& shape, const ShapeUnique& unique);
// Everything that makes the table.
std::vector<std::string> statements_of(const Shape& shape, const Shapes& all);

// One to three tables, parents first.
Shapes draw_shapes(const Draws& draws, Random& random);
ConflictRules rules_of(const Shapes& shapes, const std::vector<std::string>& datacenters);

}  // namespace entente::simulation::user_world
