#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "conflict/policy.h"

namespace entente::contract {

// What one datacenter does to a row, not knowing what the other does.
enum class Act {
  kNothing,
  kInsert,
  kUpdate,       // column v
  kUpdateOther,  // column w
  kErase,
  kRecreate,    // erases it, then inserts it again
  kMove,        // changes its primary key to one of its own
  kMoveToSame,  // … to the key that the other one takes too
  kInsertThere  // inserts at the key that the other one moves to
};

// A row of the table of cells: what one does × what the other does.
struct Pair {
  std::string name;
  Act first, second;
  bool has_erase() const;
};
std::vector<Pair> pairs();

// A column of it. Its options (handler, separator …) are in `policy`.
struct PolicyCase {
  enum class Values { kInteger, kText, kJson, kLines, kSet };
  std::string name;
  Policy policy;
  Values values = Values::kInteger;
};
std::vector<PolicyCase> policy_cases();

// The tables: a policy under each granularity and each rule for an erase against an update.
struct TableCase {
  std::string name;
  PolicyCase policy;
  Granularity granularity;
  DeleteUpdate delete_update;
  // Without erases the rule for them makes no difference.
  bool takes(const Pair& pair) const;
  TableRules rules() const;
  TableDef def() const;
};
std::vector<TableCase> table_cases();

// What is written: by datacenter 0 or 1; -1 is what was there before both.
struct Pieces {
  Value v, w;
};
Pieces written_by(const PolicyCase& policy, int side, Act act);

// What a datacenter left of one key.
struct Left {
  bool erased = false;
  bool made_anew = false;     // what it wrote started from nothing
  std::optional<Value> v, w;  // the columns that it wrote
};

// One key of a cell: what was there, and what both left.
struct Keyed {
  std::optional<Pieces> before;
  std::array<std::optional<Left>, 2> sides;
  int later = 1;  // whose write has the larger stamp
};

// What DESIGN.md, 4 and 7, says of it, computed without the engine: one row at a time, with no
// registers, dots or contexts.
struct Outcome {
  std::optional<Pieces> row;
  bool open = false;
};
Outcome expected(const TableCase& table, const Keyed& key);
// The same once `run: read` has decided.
Outcome expected_after_read(const TableCase& table, const Keyed& key);

// `siblings`, and several values: somebody has to.
bool nobody_decides(const TableCase& table, const Keyed& key);
// The same once somebody then picked what datacenter 0 wrote.
Outcome expected_after_pick(const TableCase& table, const Keyed& key);

// Sets are the same in any order of their elements.
std::string comparable(const PolicyCase& policy, const Value& v);

}  // namespace entente::contract
