#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adapters/sqlite/connection.h"
#include "conflict/dot.h"
#include "conflict/key.h"
#include "tests/simulation/user_world/shape.h"

namespace entente::simulation::user_world {

// A row that exists, whether or not its table can show it. Columns by their ids, the key included.
struct LiveRow {
  Row columns;
  Version taken;  // the write that last set the columns of its UNIQUE keys
};
using LiveRows = std::map<std::string, std::map<Key, LiveRow>>;  // by the table's id

// What a table shows, and which rows wait, why: "unique", "constraint", "foreign-key".
struct PaperTable {
  std::map<Key, Row> shown;  // by ids, generated columns included
  std::set<std::pair<Key, std::string>> waiting;
  size_t equal = 0;  // rows that wait for their equal, in a table without a key: nobody is told
};
using PaperTables = std::map<std::string, PaperTable>;

// DESIGN.md §4, "a materialisation that may be retried", over rows whose states are decided. Plain
// SQLite, in tables that demand nothing, says what expressions are and what is equal. Four steps,
// none of which looks at a later one:
//   fit       no CHECK refuses the row.
//   possible  the greatest set of fit rows in which those of tables that hide orphans have all
//             their parents.
//   winner    possible, and in the order of `taken` no earlier winner has one of its UNIQUE keys.
//   shown     of the winners, the greatest such set again.
// Listed are those that a CHECK refuses, those that lost a UNIQUE key, and those with a parent,
// other than themselves, that is not shown.
class Paper {
 public:
  explicit Paper(Shapes shapes);
  PaperTables judge(const LiveRows& rows);

 private:
  struct Line {
    Key key;
    Version taken;
    bool refused = false, loses = false, orphan = false;
    bool in = true;  // the set of the step, as its table's `_in` says, too
  };
  using Lines = std::vector<Line>;  // by the number that stands in the row's `_n`
  using AllLines = std::map<std::string, Lines>;

  void write_down(const Shape& shape, const std::map<Key, LiveRow>& rows, Lines& lines);
  void check(const Shape& shape, Lines& lines);
  void take_out(const Shape& shape, Lines& lines, size_t line);
  void leave_those_with_parents(AllLines& all);
  void give_unique_keys(const Shape& shape, Lines& lines);
  void list_orphans(const Shape& shape, Lines& lines);
  enum class Parents { kIn, kShownOrItself };  // which count
  std::vector<size_t> without_parent(const Shape& shape, Parents which);
  std::vector<std::vector<size_t>> numbers(const std::string& query);
  PaperTable read(const Shape& shape, const Lines& lines);
  std::set<size_t> equal_to_shown(const Shape& shape);

  const Shapes shapes_;
  sqlite::Connection db_;
};

}  // namespace entente::simulation::user_world
