#include "tests/simulation/checks.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "conflict/merge.h"

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

// A set is shown in the order in which its elements came; which order is nobody's promise.
void sort_sets(const World& world, const RowName& name, Row& row) {
  for (auto& [column, value] : row) {
    const std::string group = world.oracle.register_of(name.first, column);
    if (!world.oracle.policy_of(name, group).is_set()) continue;
    auto elements = set_elements(value).value_or(std::vector<std::string>{});
    std::sort(elements.begin(), elements.end());
    value = set_value(elements);
  }
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
    auto shown = it == found.end() ? std::nullopt : std::optional<Row>(it->second);
    if (shown) sort_sets(world, name, *shown);
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

// A register without an open conflict, all of whose values the node was told to collect, but for
// losers that it has forgotten.
bool settled(const Node& node, const ExpectedRegister& r) {
  const Dot& winner = r.maximal[r.winner].version.dot;
  return !r.open && std::all_of(r.maximal.begin(), r.maximal.end(), [&](const auto& w) {
    return node.collected().covers(w.version.dot) || (r.forgets && w.version.dot != winner);
  });
}

// A deleted row of which nothing is left to be decided or asked for.
bool may_be_gone(const Node& node, const ExpectedRow& row) {
  return !row.visible && std::all_of(row.registers.begin(), row.registers.end(),
                                     [&](const auto& r) { return settled(node, r.second); });
}

// Kept by its dot where it stood beside a twin, which was collected elsewhere: it says nothing
// more.
bool is_collected_twin(const Node& node, const ExpectedRegister& r, const OracleWrite& write,
                       const std::set<Dot>& found) {
  const bool twin = std::any_of(r.maximal.begin(), r.maximal.end(), [&](const OracleWrite& other) {
    return found.contains(other.version.dot) && other.value == write.value;
  });
  return twin && node.collected().covers(write.version.dot);
}

// Replaced by a write that lost to the winner and was forgotten, so that a join of states could not
// tell that it is gone: it says what the winner says, and can never win.
void forget_replaced_twins(const ExpectedRegister& r, const std::set<Dot>& maximal,
                           const Register& found, std::set<Dot>& dots) {
  const Sibling* winner = find(found, r.shown().version.dot);
  if (!r.forgets || winner == nullptr) return;
  for (const auto& s : found.siblings) {
    const bool twin = same_content(s, *winner) && s.version < winner->version;
    if (twin && !maximal.contains(s.version.dot)) dots.erase(s.version.dot);
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
  std::set<Dot> all = dots_of(expected.maximal);
  if (found != nullptr && world.plan.has(Fault::kForget)) {
    forget_replaced_twins(expected, all, *found, dots);
  }
  for (const auto& w : expected.maximal) {
    const bool gone = !dots.contains(w.version.dot) && is_collected_twin(node, expected, w, dots);
    if (gone) all.erase(w.version.dot);
  }
  if (expected.commutes) return;  // its parts are no values: what they add up to was checked
  const bool good = expected.forgets
                        ? dots.contains(expected.shown().version.dot) &&
                              std::includes(all.begin(), all.end(), dots.begin(), dots.end())
                        : dots == all;
  const bool collected = settled(node, expected) && dots.size() == 1 &&
                         dots.contains(expected.maximal[expected.winner].version.dot);
  if (good || collected) return;
  const auto list = [](const std::set<Dot>& of) {
    std::string text;
    for (const auto& dot : of) text += " " + to_string(dot);
    return text;
  };
  world.fail(where(node, name) + ", register '" + group + "': holds" + list(dots) + "; must hold" +
             list(all) + ", and show " + to_string(expected.shown().version.dot));
}

void check_registers(World& world, const Node& node, const ExpectedRows& expected) {
  if (!node.disk().shows_states()) return;
  for (const auto& [name, row] : expected) {
    const RowState* state = node.disk().find(name.first, name.second);
    if (state == nullptr && may_be_gone(node, row)) continue;
    for (const auto& [group, r] : row.registers) {
      const Register* found = nullptr;
      if (state != nullptr && state->registers.contains(group)) {
        found = &state->registers.find(group)->second;
      }
      // The row was collected, and another erase came.
      const bool stays_gone = found == nullptr && !row.visible && settled(node, r);
      if (!stays_gone) check_register(world, node, name, group, r, found);
    }
  }
}

std::vector<ConflictEntry> conflicts(World& world, const Node& node, ConflictQuery::State state) {
  ConflictQuery query;
  query.state = state;
  query.limit = std::numeric_limits<size_t>::max();
  auto entries = (*node.database().reader())->conflicts(query);
  if (entries) {
    std::erase_if(*entries, [](const auto& entry) { return entry.table == kChangingTable; });
    return std::move(*entries);
  }
  world.fail(node.name() + ": the conflicts cannot be read: " + entries.error().text);
  return {};
}

void check_open_conflicts(World& world, const Node& node, const ExpectedRows& expected) {
  std::map<RegisterId, std::pair<Dot, std::set<Dot>>> found, wanted;
  for (const auto& entry : conflicts(world, node, ConflictQuery::State::kOpen)) {
    auto& [winner, losers] = found[{entry.table, entry.key, entry.group}];
    winner = entry.winner.version.dot;
    for (const auto& loser : entry.losers) losers.insert(loser.version.dot);
  }
  for (const auto& [name, row] : expected) {
    for (const auto& [group, r] : row.registers) {
      if (!r.open) continue;
      auto& [winner, losers] = wanted[{name.first, name.second, group}];
      const OracleWrite& shown = r.maximal[r.winner];
      winner = shown.version.dot;
      for (const auto& w : r.maximal) {
        if (w.value != shown.value) losers.insert(w.version.dot);
      }
    }
  }
  if (found != wanted) {
    world.fail(node.name() + ": lists " + std::to_string(found.size()) +
               " open conflicts that are not the " + std::to_string(wanted.size()) + " there are");
  }
}

bool lists(const RowVersion& loser, const std::optional<Row>& value) {
  const auto& listed = loser.row;
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

void check_collected(World& world, const Node& node, const ExpectedRows& expected) {
  if (!node.disk().shows_states()) return;
  for (const auto& [name, row] : expected) {
    const RowState* state = node.disk().find(name.first, name.second);
    if (state == nullptr) continue;
    const bool counts = std::any_of(row.registers.begin(), row.registers.end(),
                                    [](const auto& r) { return r.second.policy.is_counter(); });
    if (may_be_gone(node, row) && !counts) {
      world.fail(where(node, name) + ": is a tombstone that nobody needs, and was not collected");
    }
    for (const auto& [group, r] : row.registers) {
      const bool needed = r.commutes || r.open || r.undecided || !settled(node, r);
      const auto it = state->registers.find(group);
      if (!needed && it != state->registers.end() && it->second.siblings.size() > 1) {
        world.fail(where(node, name) + ", register '" + group +
                   "': holds settled siblings that were not collected");
      }
    }
  }
}

void check_losers_listed(World& world, const Node& node, const ExpectedRows& expected) {
  std::map<std::pair<RegisterId, Dot>, std::vector<RowVersion>> log;
  for (auto& entry : conflicts(world, node, ConflictQuery::State::kResolved)) {
    const RegisterId id{entry.table, entry.key, entry.group};
    for (auto& loser : entry.losers) {
      const Dot dot = loser.version.dot;
      log[{id, dot}].push_back(std::move(loser));
    }
  }
  for (const auto& [name, row] : expected) {
    for (const auto& [group, r] : row.registers) {
      if (r.open || r.undecided || r.commutes || r.policy.leaves_open()) continue;
      for (const auto& w : r.maximal) {
        if (!r.differs(w)) continue;
        std::optional<Row> value;
        if (w.value) value = row.lost_with(w, group);
        const auto it = log.find({{name.first, name.second, group}, w.version.dot});
        if (it != log.end() && std::any_of(it->second.begin(), it->second.end(),
                                           [&](const auto& l) { return lists(l, value); })) {
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
      if (r.held) world.coverage.met(Met::kHeldRow);
      if (r.open && r.policy.kind == PolicyKind::kHandler) world.coverage.met(Met::kHandlerOpen);
      if (r.commutes && r.maximal.size() > 1) {
        world.coverage.met(r.policy.is_counter() ? Met::kCounterAddedUp : Met::kSetAddedUp);
      }
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
  for (const auto& entry : conflicts(world, node, ConflictQuery::State::kResolved)) {
    const bool row = entry.group.empty();
    if (entry.policy == PolicyKind::kLww) {
      world.coverage.met(row ? Met::kLwwLossOfRow : Met::kLwwLossOfColumn);
    }
    if (entry.policy == PolicyKind::kPriority) {
      world.coverage.met(row ? Met::kPriorityLossOfRow : Met::kPriorityLossOfColumn);
    }
    if (entry.policy == PolicyKind::kMerge) world.coverage.met(Met::kMerged);
    if (entry.policy == PolicyKind::kHandler) world.coverage.met(Met::kHandlerDecided);
    if (entry.kind == "update-delete") world.coverage.met(Met::kDeleteBeatsUpdate);
    if (entry.kind == "delete-update") world.coverage.met(Met::kUpdateBeatsDelete);
  }
}

}  // namespace entente::simulation
