#include "conflict/late.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace entente {
namespace {

// One register of a row that a late change comes to.
struct LateRegister {
  const Group& group;
  const Register& known;
  const Verdict& verdict;
};

// A register whose settled value is one write's own.
bool picks(const Group& group) {
  const PolicyKind kind = group.policy.kind;
  return group.columns.empty() || kind == PolicyKind::kLww || kind == PolicyKind::kPriority ||
         kind == PolicyKind::kSiblings;
}

bool unseen(const Sibling& s, const VersionVector& had, const VersionVector& settled) {
  return settled.covers(s.version.dot) && !had.covers(s.version.dot);
}

// What every replica has of it, collected or not.
void keep(RowChange& change, const VersionVector& had, const VersionVector& settled,
          const LateRegister& r) {
  for (size_t i = 0; i < r.known.siblings.size(); ++i) {
    const Sibling& s = r.known.siblings[i];
    const bool lasts = r.verdict.open || (picks(r.group) && i == r.verdict.winner);
    if (!lasts || !unseen(s, had, settled)) continue;
    if (!keeps(change.kept, r.group.name, s.version.dot)) {
      change.kept.push_back({r.group.name, s.version.dot});
    }
  }
}

// Puts what the settled siblings and the change make together in the place of what it wrote.
void merge(RowChange& change, const VersionVector& had, const Version& version, const LateRow& row,
           const LateRegister& r) {
  Write write{version, had, {}, Row{}, Row{}};
  for (const auto& column : r.group.columns) {
    const auto wrote = change.columns.find(column), was = change.base.find(column);
    if (wrote != change.columns.end()) write.row->insert(*wrote);
    if (was != change.base.end()) write.base->insert(*was);
  }
  if (write.row->empty()) return;
  if (write.base->empty()) write.base.reset();
  Register both = r.known;
  std::erase_if(both.siblings, [&](const Sibling& s) {
    return !had.covers(s.version.dot) && !row.settled.covers(s.version.dot);
  });
  apply(both, std::move(write));
  const Verdict made = judge(both, {row.layout, r.group, row.state.key}, row.ranks);
  const Row* shown_row = shown(both, made);
  if (made.open || shown_row == nullptr) return;
  for (const auto& [column, value] : *shown_row) change.columns[column] = value;
}

bool deleted_by_others(const LateRow& row, const Verdicts& verdicts) {
  if (!verdicts.deleted) return false;
  const auto& siblings = register_of(row.state, "").siblings;
  return std::all_of(siblings.begin(), siblings.end(), [&](const Sibling& s) {
    return row.settled.covers(s.version.dot) || s.version.dot.origin == row.follower;
  });
}

RowChange delete_of(const RowChange& change) {
  RowChange erase;
  erase.table = change.table;
  erase.key = change.key;
  erase.erase = true;
  erase.context = change.context;
  return erase;
}

// Moves what it does to a set into the sequel, if somebody has settled what it had not seen of it.
void move_set(RowChange& change, const VersionVector& had, const VersionVector& version_seen,
              const LateRow& row, const LateRegister& r, Sequel& sequel) {
  const auto wrote = change.columns.find(r.group.columns.front());
  if (wrote == change.columns.end()) return;
  bool any = false;
  for (const auto& s : r.known.siblings) {
    if (!unseen(s, had, row.settled)) continue;
    any = true;
    sequel.after = std::max(sequel.after, s.version.hlc);
  }
  if (!any) return;
  if (!sequel.change) {
    sequel.change = RowChange{};
    sequel.change->table = change.table;
    sequel.change->key = change.key;
    sequel.change->context = version_seen;
  }
  if (const auto was = change.base.find(wrote->first); was != change.base.end()) {
    sequel.change->base.insert(*was);
    change.base.erase(was);
  }
  sequel.change->columns.insert(*wrote);
  change.columns.erase(wrote);
}

}  // namespace

Sequel come_late(RowChange& change, const VersionVector& had, const Version& version,
                 const LateRow& row) {
  Sequel sequel;
  if (had.covers(row.settled)) return sequel;
  change.context = had;
  change.context->join(row.settled);
  const Verdicts verdicts = judge(row.state, row.layout, row.ranks);
  if (verdicts.deleted) {
    const bool updates = !change.erase && !change.inserted;
    if (updates && deleted_by_others(row, verdicts)) sequel.change = delete_of(change);
    return sequel;
  }
  VersionVector with_itself = *change.context;
  with_itself.advance(version.dot.origin, version.dot.seq);
  for (size_t g = 0; g < row.layout.groups.size(); ++g) {
    const Group& group = row.layout.groups[g];
    const LateRegister r{group, register_of(row.state, group.name), verdicts.of[g]};
    if (group.policy.is_set() && !change.erase && !change.inserted) {
      move_set(change, had, with_itself, row, r, sequel);
    }
    if (group.policy.commutes()) continue;
    keep(change, had, row.settled, r);
    const bool made = !change.erase && !picks(group) && !r.verdict.open;
    if (made && std::any_of(r.known.siblings.begin(), r.known.siblings.end(),
                            [&](const auto& s) { return unseen(s, had, row.settled); })) {
      merge(change, had, version, row, r);
    }
  }
  // Its existence is one of them, and is not to replace what the change keeps.
  if (sequel.change) sequel.change->kept = change.kept;
  return sequel;
}

}  // namespace entente
