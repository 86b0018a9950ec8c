#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/simulation/oracle.h"
#include "tests/simulation/user_world/paper.h"
#include "tests/simulation/user_world/shape.h"

namespace entente::simulation::user_world {

// What a datacenter must show and list.
struct Expected {
  std::map<RowName, ExpectedRow> registers;
  PaperTables tables;
};

// The oracle of user worlds: the simulator's for what every register holds, a Paper for what SQL
// makes of it. It knows tables and columns by what they were called first, whatever they are called
// meanwhile.
class UserOracle {
 public:
  UserOracle(const Shapes& shapes, const ConflictRules& rules);

  // From this schema epoch on, tables are so.
  void changes(uint64_t epoch, Shapes shapes);
  // … or not: the change was refused.
  void does_not_change(uint64_t epoch) { schemas_.erase(epoch); }
  // As a database sees them whose schema is of this epoch.
  const Shapes& shapes_at(uint64_t epoch) const;

  Oracle::Complaint committed(const Run& run, const VersionVector& had);
  const VersionVector& everything() const { return oracle_.everything(); }
  Oracle::Complaint closed(const VersionVector& seen) const { return oracle_.closed(seen); }
  Oracle::Complaint collected(const VersionVector& stable, const VersionVector& applied);
  Expected expected(const VersionVector& seen, uint64_t epoch);
  Policy policy_of(const RowName& row, const std::string& group) const {
    return oracle_.policy_of(row, group);
  }

 private:
  struct Schema {
    Shapes shapes;
    std::unique_ptr<Paper> paper;
  };
  using RegisterWrite = std::tuple<RowName, std::string, Dot>;

  bool name(RowChange& change, uint64_t epoch) const;
  Oracle::Complaint note_keys(const Run& run);
  void note_keys(const RowChange& change, const Transaction& of);
  Version keys_set(const RowName& row, const std::string& group, const ExpectedRegister& r) const;
  LiveRow live_row(const Shape& shape, const RowName& name, const ExpectedRow& row) const;

  std::map<uint64_t, Schema> schemas_;  // by the epoch with which each began
  std::map<Origin, StreamState> streams_;
  // Writes that left the columns of UNIQUE keys as their writers saw them, and who had set them.
  std::map<RegisterWrite, Version> keys_left_;
  Oracle oracle_;
};

}  // namespace entente::simulation::user_world
