#include "conflict/row_state.h"

#include <algorithm>

namespace entente {
namespace {

const Register kNever;
const VersionVector kNothing;

bool contains(std::span<const Dot> dots, const Dot& d) {
  return std::find(dots.begin(), dots.end(), d) != dots.end();
}

const Register& find(const RowState& state, std::string_view group) {
  const auto it = state.registers.find(group);
  return it == state.registers.end() ? kNever : it->second;
}

// The winner of a group's register, if the register was ever written.
const Sibling* winner(const RowState& state, const Group& group, const Ranks& ranks) {
  const Register& r = find(state, group.name);
  return r.siblings.empty() ? nullptr : &r.siblings[judge(r, group.policy, ranks).winner];
}

// The columns of a change by the group they belong to. Every put is in "" too.
std::map<std::string, Row, std::less<>> by_group(const Layout& layout, const RowChange& change) {
  std::map<std::string, Row, std::less<>> parts;
  parts[""];
  for (const auto& [name, value] : change.columns) {
    parts[layout.group_of(name).name].emplace(name, value);
  }
  return parts;
}

const Group& named(const Layout& layout, std::string_view name) {
  const auto it = std::find_if(layout.groups.begin(), layout.groups.end(),
                               [&](const Group& g) { return g.name == name; });
  return it == layout.groups.end() ? layout.groups.front() : *it;
}

// Losers of a register whose loss is decided: an open conflict has none.
std::vector<const Sibling*> losers(const Register& r, const Group& group, const Ranks& ranks) {
  std::vector<const Sibling*> out;
  if (r.siblings.empty() || group.policy == PolicyKind::kSiblings) return out;
  const Sibling& won = r.siblings[judge(r, group.policy, ranks).winner];
  for (const auto& s : r.siblings) {
    if (!same_content(s, won)) out.push_back(&s);
  }
  return out;
}

std::vector<Dot> dots_of(const std::vector<const Sibling*>& siblings) {
  std::vector<Dot> dots;
  for (const auto* s : siblings) dots.push_back(s->version.dot);
  return dots;
}

// True if the row is gone for good: not shown, and nobody has to decide about it.
bool deleted(const RowState& state, const Layout& layout, const Ranks& ranks) {
  const Group& existence = layout.groups.front();
  const Register& r = find(state, existence.name);
  if (r.siblings.empty()) return true;
  const Verdict v = judge(r, existence.policy, ranks);
  return !v.open && !r.siblings[v.winner].row;
}

// A put whose existence lost takes the row with it: the columns that it wrote, where they still
// stand, and for the others what the row showed. Earlier puts that it saw are overwritten in the
// existence register and so listed nowhere else, though their columns are lost with it.
void complete(Sibling& put, const RowState& state, const Layout& layout, const Ranks& ranks) {
  if (!put.row) return;
  for (const auto& group : layout.groups) {
    if (group.name.empty()) continue;
    const auto& siblings = find(state, group.name).siblings;
    const auto own = std::find_if(siblings.begin(), siblings.end(), [&](const Sibling& s) {
      return s.version.dot == put.version.dot;
    });
    const Sibling* s = own != siblings.end() ? &*own : winner(state, group, ranks);
    if (s != nullptr && s->row) put.row->insert(s->row->begin(), s->row->end());
  }
}

// The losers that did not lose before. Where losers are forgotten at once, each is news.
std::vector<Loss> apply_to_group(RowState& state, const Group& group, Write w, const Ranks& ranks) {
  Register& r = state.registers[group.name];
  std::vector<Dot> lost_before;
  if (group.policy != PolicyKind::kLww) lost_before = dots_of(losers(r, group, ranks));
  apply(r, std::move(w));
  std::vector<Loss> losses;
  for (const auto* s : losers(r, group, ranks)) {
    if (!contains(lost_before, s->version.dot)) {
      losses.push_back({group.name, group.policy, *s, *winner(state, group, ranks)});
    }
  }
  prune(r, group.policy, ranks);
  return losses;
}

std::vector<Loss> apply_to_existence(RowState& state, const Layout& layout, Write w,
                                     const Ranks& ranks) {
  auto losses = apply_to_group(state, layout.groups.front(), std::move(w), ranks);
  for (auto& loss : losses) {
    complete(loss.loser, state, layout, ranks);
    complete(loss.winner, state, layout, ranks);
  }
  return losses;
}

bool includes(const Row& whole, const Row& part) {
  return std::all_of(part.begin(), part.end(), [&](const auto& column) {
    const auto it = whole.find(column.first);
    return it != whole.end() && identical(it->second, column.second);
  });
}

// When a row goes, the values of its columns go: what was shown, what was open, and what the change
// says it keeps. Lists those that an erase had not seen and `losses` does not list. A put that lets
// an older tombstone win has replaced no column but those it wrote.
void add_lost_columns(std::vector<Loss>& losses, const RowState& state, const Layout& layout,
                      const Ranks& ranks, const RowChange& change,
                      const VersionVector& change_context) {
  const VersionVector& seen = change.erase ? change_context : kNothing;
  const Sibling tombstone = *winner(state, layout.groups.front(), ranks);
  const auto listed = [&](const Sibling& s) {
    return !s.row || std::any_of(losses.begin(), losses.end(), [&](const Loss& loss) {
      return loss.loser.row && includes(*loss.loser.row, *s.row);
    });
  };
  for (const auto& group : layout.groups) {
    if (group.name.empty()) continue;
    const Register& r = find(state, group.name);
    const Verdict v = judge(r, group.policy, ranks);
    for (size_t i = 0; i < r.siblings.size(); ++i) {
      const Sibling& s = r.siblings[i];
      const bool kept = contains(change.kept, s.version.dot);
      const bool unseen = (v.open || i == v.winner) && !seen.covers(s.version.dot);
      if ((kept || unseen) && !listed(s))
        losses.push_back({group.name, group.policy, s, tombstone});
    }
  }
}

}  // namespace

std::vector<Loss> apply(RowState& state, const Layout& layout, const RowChange& change,
                        const Version& version, const VersionVector& transaction_context,
                        const Ranks& ranks) {
  const VersionVector& context = change.context ? *change.context : transaction_context;
  const bool gone = deleted(state, layout, ranks);
  std::vector<Loss> losses;
  const auto add = [&](std::vector<Loss> more) {
    std::move(more.begin(), more.end(), std::back_inserter(losses));
  };
  std::optional<Row> row;
  if (!change.erase) {
    auto parts = by_group(layout, change);
    row = std::move(parts.extract("").mapped());
    for (auto& [name, columns] : parts) {
      add(apply_to_group(state, named(layout, name),
                         {version, context, change.kept, std::move(columns)}, ranks));
    }
  }
  // Existence last: what it says was lost includes the columns, which must be there by then.
  add(apply_to_existence(state, layout, {version, context, change.kept, std::move(row)}, ranks));
  if (!gone && deleted(state, layout, ranks)) {
    add_lost_columns(losses, state, layout, ranks, change, context);
  }
  return losses;
}

std::optional<Row> visible(const RowState& state, const Layout& layout, const Ranks& ranks) {
  const Sibling* row = winner(state, layout.groups.front(), ranks);
  if (row == nullptr || !row->row) return std::nullopt;
  Row out = *row->row;
  for (const auto& group : layout.groups) {
    if (group.name.empty()) continue;
    const Sibling* s = winner(state, group, ranks);
    if (s != nullptr && s->row) out.insert(s->row->begin(), s->row->end());
  }
  return out;
}

std::vector<std::string> open_groups(const RowState& state, const Layout& layout,
                                     const Ranks& ranks) {
  std::vector<std::string> open;
  if (deleted(state, layout, ranks)) return open;
  for (const auto& group : layout.groups) {
    if (judge(find(state, group.name), group.policy, ranks).open) open.push_back(group.name);
  }
  return open;
}

bool open_conflict(const RowState& state, const Layout& layout, const Ranks& ranks) {
  return !open_groups(state, layout, ranks).empty();
}

std::vector<Dot> hidden_siblings(const RowState& state, const Layout& layout, const Ranks& ranks) {
  std::vector<Dot> hidden;
  if (deleted(state, layout, ranks)) return hidden;
  for (const auto& group : layout.groups) {
    const Register& r = find(state, group.name);
    const Verdict v = judge(r, group.policy, ranks);
    for (size_t i = 0; v.open && i < r.siblings.size(); ++i) {
      const Dot& d = r.siblings[i].version.dot;
      if (i != v.winner && !contains(hidden, d)) hidden.push_back(d);
    }
  }
  return hidden;
}

RowState join(const RowState& a, const VersionVector& a_seen, const RowState& b,
              const VersionVector& b_seen) {
  RowState out;
  for (const auto* side : {&a, &b}) {
    for (const auto& [name, r] : side->registers) {
      if (out.registers.contains(name)) continue;
      Register both = join(find(a, name), a_seen, find(b, name), b_seen);
      if (!both.siblings.empty()) out.registers.emplace(name, std::move(both));
    }
  }
  return out;
}

}  // namespace entente
