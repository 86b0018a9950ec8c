#include "tests/simulation/checks.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "adapters/memory/memory_disk.h"

namespace entente::simulation {
namespace {

using RegisterId = std::tuple<std::string, Key, std::string>;

std::string describe(const std::optional<Row>& row) {
  if (!row) return "nothing";
  std::string text = "{";
  for (const auto& [name, value] : *row) text += name + "=" + entente::describe(value) + " ";
  return text + "}";
}

std::string where(const Node& node, const RowName& row) {
  const auto parts = key_parts(row.second);
  return node.name() + ", " + row.first + " " + entente::describe(parts->at(0));
}

std::set<Dot> dots_of(const std::vector<OracleWrite>& writes) {
  std::set<Dot> dots;
  for (const auto& w : writes) dots.insert(w.version.dot);
  return dots;
}

void check_rows(World& world, const Node& node, const ExpectedRows& expected) {
  std::map<RowName, Row> found;
  for (const auto& table : world.plan.tables) {
    auto rows = (*node.database().reader())->table(table.name);
    if (!rows) continue;  // not created here yet
    for (auto& [key, row] : *rows) {
      row.erase("id");
      found[{table.name, key}] = std::move(row);
    }
  }
  for (const auto& [name, row] : expected) {
    const auto it = found.find(name);
    const auto shown = it == found.end() ? std::nullopt : std::optional<Row>(it->second);
    if (shown != row.visible) {
      world.fail(where(node, name) + ": shows " + describe(shown) + ", must show " +
                 describe(row.visible));
    }
    if (it != found.end()) found.erase(it);
  }
  for (const auto& [name, row] : found) {
    world.fail(where(node, name) + ": shows a row that nobody wrote: " + describe(row));
  }
}

// Undecided and ranked registers hold exactly the maximal writes. Last-write-wins may forget its
// losers, and nothing else.
void check_register(World& world, const Node& node, const RowName& name, const std::string& group,
                    const ExpectedRegister& expected, const Register* found) {
  std::set<Dot> dots;
  for (size_t i = 0; found != nullptr && i < found->siblings.size(); ++i) {
    dots.insert(found->siblings[i].version.dot);
  }
  const std::set<Dot> all = dots_of(expected.maximal);
  const bool good = expected.policy == PolicyKind::kLww
                        ? dots.contains(expected.shown().version.dot) &&
                              std::includes(all.begin(), all.end(), dots.begin(), dots.end())
                        : dots == all;
  if (good) return;
  world.fail(where(node, name) + ", register '" + group + "': holds " +
             std::to_string(dots.size()) + " values, must hold " + std::to_string(all.size()));
}

void check_registers(World& world, const Node& node, const ExpectedRows& expected) {
  for (const auto& [name, row] : expected) {
    const RowState* state = node.disk().find(name.first, name.second);
    for (const auto& [group, r] : row.registers) {
      const Register* found = nullptr;
      if (state != nullptr && state->registers.contains(group)) {
        found = &state->registers.find(group)->second;
      }
      check_register(world, node, name, group, r, found);
    }
  }
}

std::vector<ConflictEntry> conflicts(const Node& node, ConflictQuery::State state) {
  ConflictQuery query;
  query.state = state;
  query.limit = std::numeric_limits<size_t>::max();
  return std::move(*(*node.database().reader())->conflicts(query));
}

void check_open_conflicts(World& world, const Node& node, const ExpectedRows& expected) {
  std::map<RegisterId, std::pair<Dot, std::set<Dot>>> found, wanted;
  for (const auto& entry : conflicts(node, ConflictQuery::State::kOpen)) {
    auto& [winner, losers] = found[{entry.table, entry.key, entry.group}];
    winner = entry.winner.version.dot;
    for (const auto& loser : entry.losers) losers.insert(loser.version.dot);
  }
  for (const auto& [name, row] : expected) {
    for (const auto& [group, r] : row.registers) {
      if (!r.open) continue;
      auto& [winner, losers] = wanted[{name.first, name.second, group}];
      winner = r.shown().version.dot;
      for (const auto& w : r.maximal) {
        if (r.differs(w)) losers.insert(w.version.dot);
      }
    }
  }
  if (found != wanted) {
    world.fail(node.name() + ": lists " + std::to_string(found.size()) +
               " open conflicts that are not the " + std::to_string(wanted.size()) + " there are");
  }
}

// The value that was lost with `loser` in this register: its own, and, if the row's existence was
// lost, the columns it still holds in other registers.
Row lost_value(const ExpectedRow& row, const std::string& group, const OracleWrite& loser) {
  Row value = *loser.value;
  for (const auto& [other, r] : row.registers) {
    const bool holds = group.empty() && r.shown().version.dot == loser.version.dot;
    if (holds && r.shown().value) value.insert(r.shown().value->begin(), r.shown().value->end());
  }
  return value;
}

bool lists(const ConflictEntry& entry, const std::optional<Row>& value) {
  const auto& listed = entry.losers.at(0).row;
  if (!value || !listed) return !value && !listed;
  return std::all_of(value->begin(), value->end(), [&](const auto& column) {
    const auto it = listed->find(column.first);
    return it != listed->end() && it->second == column.second;
  });
}

}  // namespace

void check_contents(World& world, const Node& node) {
  const auto vector = (*node.database().reader())->applied();
  if (auto bad = world.oracle.closed(*vector)) world.fail(node.name() + ": " + *bad);
  const auto expected = world.oracle.expected(*vector);
  note_conflicts(world, expected);
  check_contents(world, node, expected);
}

void check_contents(World& world, const Node& node, const ExpectedRows& expected) {
  world.trace("check", expected.size());
  check_rows(world, node, expected);
  check_registers(world, node, expected);
  check_open_conflicts(world, node, expected);
}

void check_losers_listed(World& world, const Node& node, const ExpectedRows& expected) {
  std::map<std::pair<RegisterId, Dot>, std::vector<ConflictEntry>> log;
  for (auto& entry : conflicts(node, ConflictQuery::State::kResolved)) {
    const RegisterId id{entry.table, entry.key, entry.group};
    const Dot dot = entry.losers.at(0).version.dot;
    log[{id, dot}].push_back(std::move(entry));
  }
  for (const auto& [name, row] : expected) {
    for (const auto& [group, r] : row.registers) {
      if (r.policy == PolicyKind::kSiblings) continue;
      for (const auto& w : r.maximal) {
        if (!r.differs(w)) continue;
        std::optional<Row> value;
        if (w.value) value = lost_value(row, group, w);
        const auto it = log.find({{name.first, name.second, group}, w.version.dot});
        if (it != log.end() && std::any_of(it->second.begin(), it->second.end(),
                                           [&](const auto& e) { return lists(e, value); })) {
          continue;
        }
        world.fail(where(node, name) + ", register '" + group + "': the conflict log does not " +
                   "list " + describe(value) + " of " + to_string(w.version.dot) + ", which lost");
      }
    }
  }
}

void note_conflicts(World& world, const ExpectedRows& expected) {
  for (const auto& [name, row] : expected) {
    for (const auto& [group, r] : row.registers) {
      if (r.open) world.coverage.met(group.empty() ? Met::kOpenRow : Met::kOpenColumn);
      size_t erased = 0, same = 0;
      std::set<Hlc> stamps;
      for (const auto& w : r.maximal) {
        erased += w.value ? 0 : 1;
        same += !r.differs(w) && w.value && !w.value->empty() ? 1 : 0;
        stamps.insert(w.version.hlc);
      }
      if (erased > 1) world.coverage.met(Met::kDeleteMeetsDelete);
      if (same > 1) world.coverage.met(Met::kEqualValuesMeet);
      if (stamps.size() < r.maximal.size()) world.coverage.met(Met::kEqualStamps);
    }
  }
}

void note_losses(World& world, const Node& node) {
  for (const auto& entry : conflicts(node, ConflictQuery::State::kResolved)) {
    const bool lww = entry.policy == PolicyKind::kLww;
    const bool row = entry.group.empty();
    world.coverage.met(lww   ? (row ? Met::kLwwLossOfRow : Met::kLwwLossOfColumn)
                       : row ? Met::kPriorityLossOfRow
                             : Met::kPriorityLossOfColumn);
    if (entry.kind == "update-delete") world.coverage.met(Met::kDeleteBeatsUpdate);
    if (entry.kind == "delete-update") world.coverage.met(Met::kUpdateBeatsDelete);
  }
}

}  // namespace entente::simulation
