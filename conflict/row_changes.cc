#include "conflict/row_changes.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include "conflict/counter.h"
#include "conflict/element_set.h"

namespace entente {
namespace {

const VersionVector kNothing;

const Value* find(const Row& row, const std::string& column) {
  const auto it = row.find(column);
  return it == row.end() ? nullptr : &it->second;
}

// The columns of a change by the group they belong to. Every put is in "" too.
using Parts = boost::container::flat_map<std::string_view, Row>;

Parts by_group(const Layout& layout, const RowChange& change) {
  Parts parts;
  parts[""];
  for (const auto& [name, value] : change.columns) {
    parts[layout.group_of(name).name].emplace(name, value);
  }
  return parts;
}

// True if no policy can say that there is no row: nobody has erased it, and no handler is asked.
bool surely_exists(const Register& existence, const Group& group) {
  return !existence.siblings.empty() && group.policy.kind != PolicyKind::kHandler &&
         std::all_of(existence.siblings.begin(), existence.siblings.end(),
                     [](const Sibling& s) { return s.row.has_value(); });
}

// Losers of a register whose loss is decided: an open conflict has none, and what commutes loses
// nothing.
std::vector<const Sibling*> losers(const Register& r, const Group& group, const Verdict& v) {
  std::vector<const Sibling*> out;
  if (r.siblings.size() < 2 || v.open || group.policy.commutes()) return out;
  for (const auto& s : r.siblings) {
    if (!says_the_same(s, r, v)) out.push_back(&s);
  }
  return out;
}

// True if this value of a column, of a row that is gone, had not lost before the row went: it was
// shown, or stood beside what was shown, or was a part of it.
bool went_with_row(const Register& r, const Group& group, const Verdict& v, size_t i) {
  return v.open || i == v.winner || group.policy.commutes() || says_the_same(r.siblings[i], r, v);
}

std::vector<Dot> dots_of(const std::vector<const Sibling*>& siblings) {
  std::vector<Dot> dots;
  for (const auto* s : siblings) dots.push_back(s->version.dot);
  return dots;
}

// A put whose existence lost takes the row with it: the columns that it wrote, where they still
// stand, and for the others what the row showed. Earlier puts that it saw are overwritten in the
// existence register and so listed nowhere else, though their columns are lost with it.
void complete(Sibling& put, const RowState& state, const Layout& layout, const Verdicts& verdicts) {
  if (!put.row) return;
  for (size_t g = 1; g < layout.groups.size(); ++g) {
    const Register& r = register_of(state, layout.groups[g].name);
    if (r.siblings.empty()) continue;
    const auto own = std::find_if(r.siblings.begin(), r.siblings.end(), [&](const Sibling& s) {
      return s.version.dot == put.version.dot;
    });
    const bool whole = own != r.siblings.end() && own->row && !layout.groups[g].policy.commutes();
    const Row* row = whole ? &*own->row : shown(r, verdicts.of[g]);
    if (row != nullptr) put.row->insert(row->begin(), row->end());
  }
}

std::string decider_of(const RowChange& change, const Group& group) {
  if (change.decider == Decider::kHandler) return group.policy.describe() + ", on read";
  if (change.decider == Decider::kWriter) return "writer";
  return change.decided_by.empty() ? "operator" : "operator:" + change.decided_by;
}

std::string kind_of(const Sibling& loser, const Sibling& winner, bool inserted) {
  if (inserted && loser.row && winner.row) return "insert-insert";
  return std::string(loser.row ? "update" : "delete") + (winner.row ? "-update" : "-delete");
}

std::string decider_of(const Group& group, const Layout& layout, const Sibling& loser,
                       const Sibling& winner) {
  const bool mixed = group.name.empty() && loser.row.has_value() != winner.row.has_value();
  if (mixed && layout.delete_update == DeleteUpdate::kDeleteWins) return "delete_wins";
  if (mixed && layout.delete_update == DeleteUpdate::kUpdateWins) return "update_wins";
  return group.policy.describe();
}

Loss loss_of(const Group& group, const Sibling& loser, const Sibling& winner, bool inserted,
             std::string decided_by) {
  return {group.name,           group.policy.kind, loser, winner, kind_of(loser, winner, inserted),
          std::move(decided_by)};
}

}  // namespace

// One change on its way into one row.
class Application {
 public:
  Application(RowState& state, const Layout& layout, const Ranks& ranks, Batch& batch)
      : state_(state), layout_(layout), ranks_(ranks), batch_(batch) {
    batch_.registers_.resize(layout.groups.size());
  }

  void run(const RowChange& change, const Version& version, const VersionVector& seen);
  void finish();
  std::vector<Loss> take_losses() { return std::move(losses_); }

 private:
  // What is applied: its views are the caller's.
  struct Arrival {
    const RowChange& change;
    const Version& version;
    const VersionVector& seen;
  };
  Batch::OfRegister& of(const Group& group) {
    return batch_.registers_[static_cast<size_t>(&group - layout_.groups.data())];
  }
  const Verdict& judged(const Group& group);
  bool gone() {
    const Group& existence = layout_.groups.front();
    return !surely_exists(register_of(state_, ""), existence) && deleted(state_, judged(existence));
  }
  Verdicts judge_all() const { return batch_.verdicts(state_, layout_, ranks_); }
  void to_group(const Group& group, std::optional<Row> columns, const Arrival& arrival);
  bool commuting(const Group& group, const Row& columns, const Arrival& arrival);
  void list(const Group& group);
  void complete_from(size_t first);
  void list_decided(const Group& group, const std::vector<Sibling>& replaced,
                    const RowChange& change, const Version& version);
  template <class Predicate>
  void list_without_row(Predicate lost);
  void add_lost_columns(const Arrival& arrival);
  void add_open_columns();
  bool listed(const Sibling& s) const;
  bool inserted(const Sibling& a, const Sibling& b) const;

  RowState& state_;
  const Layout& layout_;
  const Ranks& ranks_;
  Batch& batch_;
  std::vector<Loss> losses_;
};

namespace {

Write write_of(const RowChange& change, const Version& version, const VersionVector& seen,
               const Group& group, std::optional<Row> columns) {
  Write w{version, seen, {}, std::move(columns)};
  for (const auto& k : change.kept) {
    if (k.group == group.name) w.kept.push_back(k.dot);
  }
  for (const auto& k : change.keys_set) {
    if (k.group == group.name && !group.columns.empty()) w.keys_set = k.by;
  }
  if (!w.row || change.base.empty()) return w;
  Row base;
  for (const auto& [name, value] : *w.row) {
    if (const Value* was = find(change.base, name)) base.emplace(name, *was);
  }
  if (!base.empty()) w.base = std::move(base);
  return w;
}

// A write may decide what was open; only these leave anything so.
bool may_be_open(const Group& group) {
  return group.policy.leaves_open() || group.policy.kind == PolicyKind::kHandler;
}

}  // namespace

const Verdict& Application::judged(const Group& group) {
  auto& v = of(group).verdict;
  if (!v) v = judge(state_, layout_, group, ranks_);
  return *v;
}

// Counters and sets have registers of their own kind.
bool Application::commuting(const Group& group, const Row& columns, const Arrival& arrival) {
  if (!group.policy.commutes() || group.columns.size() != 1) return false;
  const auto& [change, version, seen] = arrival;
  const std::string& column = group.columns.front();
  const Value* x = find(columns, column);
  if (x == nullptr) return true;
  const Value* y = change.inserted ? nullptr : find(change.base, column);
  Register& r = state_.registers[group.name];
  of(group).verdict.reset();
  const auto already =
      std::any_of(r.siblings.begin(), r.siblings.end(),
                  [&, &dot = version.dot](const Sibling& s) { return s.version.dot == dot; });
  if (already) return true;
  if (group.policy.is_counter()) {
    add(r, version, column, *x, y, change.floors);
  } else {
    write_set(r, version, seen, column, *x, y);
  }
  return true;
}

bool Application::inserted(const Sibling& a, const Sibling& b) const {
  return contains(batch_.inserted_, a.version.dot) || contains(batch_.inserted_, b.version.dot);
}

// Lists the losers that did not lose before. Where losers are forgotten at once, each is news.
void Application::list(const Group& group) {
  auto& known = of(group);
  if (!known.lost_before) return;
  const auto lost_before = std::move(*known.lost_before);
  known.lost_before.reset();
  Register& r = state_.registers[group.name];
  if (r.siblings.size() < 2) return;
  const Verdict& v = judged(group);
  for (const auto* s : losers(r, group, v)) {
    if (contains(lost_before, s->version.dot)) continue;
    const Sibling winner = shown_sibling(r, v);
    losses_.push_back(
        loss_of(group, *s, winner, inserted(*s, winner), decider_of(group, layout_, *s, winner)));
  }
  if (!forgets_losers(group, layout_)) return;
  prune(r, {layout_, group, state_.key}, ranks_);
  known.verdict.reset();
}

// The values of an open conflict that this write has decided.
void Application::list_decided(const Group& group, const std::vector<Sibling>& replaced,
                               const RowChange& change, const Version& version) {
  const Sibling winner{version, change.erase ? std::nullopt : std::optional(change.columns)};
  for (const auto& s : replaced) {
    const bool same = s.row && winner.row ? includes(*winner.row, *s.row) : !s.row && !winner.row;
    if (same) continue;
    losses_.push_back(loss_of(group, s, winner, false, decider_of(change, group)));
  }
}

void Application::to_group(const Group& group, std::optional<Row> columns, const Arrival& arrival) {
  if (columns && commuting(group, *columns, arrival)) return;
  Register& r = state_.registers[group.name];
  auto& known = of(group);
  if (!known.lost_before) {
    known.lost_before.emplace();
    const bool may_have_lost = r.siblings.size() > 1 && !forgets_losers(group, layout_);
    if (may_have_lost) known.lost_before = dots_of(losers(r, group, judged(group)));
  }
  const bool was_open = may_be_open(group) && r.siblings.size() > 1 && judged(group).open;
  const auto& [change, version, seen] = arrival;
  const auto replaced = apply(r, write_of(change, version, seen, group, std::move(columns)));
  known.verdict.reset();
  if (was_open && !judged(group).open) list_decided(group, replaced, change, version);
}

// The losses from `first` on are of whole rows.
void Application::complete_from(size_t first) {
  if (losses_.size() == first) return;
  const Verdicts verdicts = judge_all();
  for (size_t i = first; i < losses_.size(); ++i) {
    complete(losses_[i].loser, state_, layout_, verdicts);
    complete(losses_[i].winner, state_, layout_, verdicts);
  }
}

void Application::finish() {
  for (size_t g = 1; g < layout_.groups.size(); ++g) list(layout_.groups[g]);
  const size_t first = losses_.size();
  list(layout_.groups.front());
  complete_from(first);
  if (gone()) add_open_columns();
  batch_.arrived_.clear();
}

bool Application::listed(const Sibling& s) const {
  return !s.row || std::any_of(losses_.begin(), losses_.end(), [&](const Loss& loss) {
    return loss.loser.row && includes(*loss.loser.row, *s.row);
  });
}

// Lists the values of columns that have no row, where `lost(group, its verdict, the sibling's index
// and dot)` holds and they are not listed.
template <class Predicate>
void Application::list_without_row(Predicate lost) {
  const Verdicts verdicts = judge_all();
  const Register& existence = register_of(state_, "");
  if (existence.siblings.empty()) return;
  const Sibling tombstone = shown_sibling(existence, verdicts.of.front());
  for (size_t g = 1; g < layout_.groups.size(); ++g) {
    const Group& group = layout_.groups[g];
    const Register& r = register_of(state_, group.name);
    for (size_t i = 0; i < r.siblings.size(); ++i) {
      const Sibling& s = r.siblings[i];
      if (!lost(group, verdicts.of[g], i, s.version.dot) || listed(s)) continue;
      losses_.push_back(loss_of(group, s, tombstone, false,
                                decider_of(layout_.groups.front(), layout_, s, tombstone)));
    }
  }
}

// When a row goes, the values of its columns go: what was shown, what was open, and what the change
// says it keeps. Lists those that an erase had not seen. A put that lets an older tombstone win has
// replaced no column but those it wrote.
void Application::add_lost_columns(const Arrival& arrival) {
  const auto& change = arrival.change;
  const VersionVector& seen = change.erase ? arrival.seen : kNothing;
  list_without_row([&](const Group& group, const Verdict& v, size_t i, const Dot& dot) {
    const bool counts = went_with_row(register_of(state_, group.name), group, v, i);
    return keeps(change.kept, group.name, dot) || (counts && !seen.covers(dot));
  });
}

// What a batch brings to a row that is gone, and leaves open: the put that brought it may be
// overwritten by one that did not replace this column.
void Application::add_open_columns() {
  list_without_row([&](const Group&, const Verdict& v, size_t, const Dot& dot) {
    return v.open && contains(batch_.arrived_, dot);
  });
}

void Application::run(const RowChange& change, const Version& version, const VersionVector& seen) {
  const Arrival arrival{change, version, seen};
  const bool was_gone = gone();
  batch_.arrived_.push_back(version.dot);
  if (change.inserted) batch_.inserted_.push_back(version.dot);
  std::optional<Row> row;
  if (!change.erase) {
    auto parts = by_group(layout_, change);
    row = std::move(parts.begin()->second);
    for (auto it = parts.begin() + 1; it != parts.end(); ++it) {
      to_group(layout_.group_named(it->first), std::move(it->second), arrival);
    }
  }
  // Existence last: what it says was lost includes the columns, which must be there by then.
  const size_t first = losses_.size();
  to_group(layout_.groups.front(), std::move(row), arrival);
  complete_from(first);
  if (was_gone || !gone()) return;
  finish();
  add_lost_columns(arrival);
}

bool same_conflict(const Loss& a, const Loss& b) {
  return a.group == b.group && a.kind == b.kind && a.decided_by == b.decided_by &&
         a.winner.version == b.winner.version && same_content(a.winner, b.winner);
}

std::vector<Loss> Batch::apply(RowState& state, const Layout& layout, const RowChange& change,
                               const Version& version, const VersionVector& transaction_context,
                               const Ranks& ranks) {
  state.key = change.key;
  Application application(state, layout, ranks, *this);
  application.run(change, version, change.context ? *change.context : transaction_context);
  return application.take_losses();
}

std::vector<Loss> Batch::finish(RowState& state, const Layout& layout, const Ranks& ranks) {
  Application application(state, layout, ranks, *this);
  application.finish();
  return application.take_losses();
}

Verdicts Batch::verdicts(const RowState& state, const Layout& layout, const Ranks& ranks) const {
  std::vector<Verdict> of;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const bool known = g < registers_.size() && registers_[g].verdict;
    of.push_back(known ? *registers_[g].verdict : judge(state, layout, layout.groups[g], ranks));
  }
  return judged(state, std::move(of));
}

std::vector<Loss> apply(RowState& state, const Layout& layout, const RowChange& change,
                        const Version& version, const VersionVector& transaction_context,
                        const Ranks& ranks) {
  Batch batch;
  auto losses = batch.apply(state, layout, change, version, transaction_context, ranks);
  auto rest = batch.finish(state, layout, ranks);
  losses.insert(losses.end(), std::move_iterator(rest.begin()), std::move_iterator(rest.end()));
  return losses;
}

std::vector<Loss> decided_late(const RowState& state, const Layout& layout,
                               const std::vector<std::string>& were_open, const Ranks& ranks) {
  std::vector<Loss> losses;
  const Verdicts verdicts = judge(state, layout, ranks);
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const Group& group = layout.groups[g];
    if (std::find(were_open.begin(), were_open.end(), group.name) == were_open.end()) continue;
    const Register& r = register_of(state, group.name);
    for (const auto* s : losers(r, group, verdicts.of[g])) {
      const Sibling winner = shown_sibling(r, verdicts.of[g]);
      losses.push_back(loss_of(group, *s, winner, false, decider_of(group, layout, *s, winner)));
      if (!group.name.empty()) continue;
      complete(losses.back().loser, state, layout, verdicts);
      complete(losses.back().winner, state, layout, verdicts);
    }
  }
  return losses;
}

namespace {

// Two replicas' states of a row, and what they are together.
class Meeting {
 public:
  struct Side {
    const RowState& state;
    const VersionVector& seen;
    Verdicts verdicts;
  };

  Meeting(const Known& a, const Known& b, const RowState& both, const Layout& layout,
          const Ranks& ranks)
      : sides_{Side{a.state, a.seen, judge(a.state, layout, ranks)},
               Side{b.state, b.seen, judge(b.state, layout, ranks)}},
        both_(both),
        layout_(layout),
        verdicts_(judge(both, layout, ranks)) {}

  std::vector<Loss> losses() {
    for (size_t g = 1; g < layout_.groups.size(); ++g) list(g);
    const size_t first = losses_.size();
    list(0);
    for (size_t i = first; i < losses_.size(); ++i) {
      complete(losses_[i].loser, both_, layout_, verdicts_);
      complete(losses_[i].winner, both_, layout_, verdicts_);
    }
    if (deleted(both_, verdicts_.of.front())) list_without_row();
    return std::move(losses_);
  }

 private:
  // It lost there already, and was listed there.
  static bool had_lost(const Side& side, size_t g, const Group& group, const Dot& dot) {
    const auto lost = losers(register_of(side.state, group.name), group, side.verdicts.of[g]);
    return std::any_of(lost.begin(), lost.end(),
                       [&](const Sibling* s) { return s->version.dot == dot; });
  }

  void list(size_t g) {
    const Group& group = layout_.groups[g];
    const Register& r = register_of(both_, group.name);
    for (const auto* s : losers(r, group, verdicts_.of[g])) {
      const Dot& dot = s->version.dot;
      if (had_lost(sides_[0], g, group, dot) || had_lost(sides_[1], g, group, dot)) continue;
      const Sibling winner = shown_sibling(r, verdicts_.of[g]);
      losses_.push_back(loss_of(group, *s, winner, false, decider_of(group, layout_, *s, winner)));
    }
  }

  // The values of columns that one side showed, and whose row the other had deleted without having
  // seen them; or of which both have a part, and together no row.
  void list_without_row() {
    const Register& existence = register_of(both_, "");
    if (existence.siblings.empty()) return;
    const Sibling tombstone = shown_sibling(existence, verdicts_.of.front());
    for (size_t g = 1; g < layout_.groups.size(); ++g) {
      const Group& group = layout_.groups[g];
      const Register& r = register_of(both_, group.name);
      for (size_t i = 0; i < r.siblings.size(); ++i) {
        const Sibling& s = r.siblings[i];
        const Verdict& v = verdicts_.of[g];
        if (!went_with_row(r, group, v, i) || !s.row || !loses_row(group, s.version.dot)) continue;
        const bool listed = std::any_of(losses_.begin(), losses_.end(), [&](const Loss& loss) {
          return loss.loser.row && includes(*loss.loser.row, *s.row);
        });
        if (listed) continue;
        losses_.push_back(loss_of(group, s, tombstone, false,
                                  decider_of(layout_.groups.front(), layout_, s, tombstone)));
      }
    }
  }

  bool loses_row(const Group& group, const Dot& dot) const {
    const bool alive[] = {!sides_[0].verdicts.deleted, !sides_[1].verdicts.deleted};
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const bool has = find(register_of(sides_[i].state, group.name), dot) != nullptr;
      const bool unseen = !sides_[1 - i].seen.covers(dot);
      if (alive[i] && has && (alive[1 - i] || unseen)) return true;
    }
    return false;
  }

  const std::array<Side, 2> sides_;
  const RowState& both_;
  const Layout& layout_;
  const Verdicts verdicts_;
  std::vector<Loss> losses_;
};

}  // namespace

std::vector<Loss> join(RowState& state, const VersionVector& seen, const Known& theirs,
                       const VersionVector& collected, const Layout& layout, const Ranks& ranks) {
  RowState both = join(state, seen, theirs.state, theirs.seen, collected, layout);
  auto losses = Meeting({state, seen}, theirs, both, layout, ranks).losses();
  for (const auto& group : layout.groups) {
    const auto r = both.registers.find(group.name);
    if (r != both.registers.end()) prune(r->second, {layout, group, both.key}, ranks);
  }
  state = std::move(both);
  return losses;
}

void add_bases(RowChange& change, const RowState& state, const Layout& layout,
               const std::optional<Row>& before, const std::optional<Row>& counters) {
  if (change.erase) return;
  for (const auto& [column, value] : change.columns) {
    const Group& group = layout.group_of(column);
    const Register& r = register_of(state, group.name);
    if (!before && group.policy.is_counter()) {
      for (const auto& floor : floors(r, column)) keep_latest(change.floors, floor);
    }
    if (!before || (!group.policy.commutes() && !group.policy.wants_base())) continue;
    if (group.policy.is_counter() && counters) {
      const Value* seen = find(*counters, column);
      change.base.insert_or_assign(column, seen != nullptr ? *seen : Value{});
      continue;
    }
    const Value* base = find(*before, column);
    // While the value is not stable, others may write beside it who have not seen it: they and this
    // writer have in common what it started from.
    if (!group.policy.commutes() && !r.siblings.empty() && r.siblings.front().base) {
      const Value* older = find(*r.siblings.front().base, column);
      if (older != nullptr) base = older;
    }
    if (base != nullptr) change.base.insert_or_assign(column, *base);
  }
}

Row counters_of(const std::optional<Row>& shown, const Layout& layout) {
  Row counters;
  for (const auto& group : layout.groups) {
    if (!shown || !group.policy.is_counter()) continue;
    const Value* value = find(*shown, group.name);
    if (value != nullptr) counters.emplace(group.name, *value);
  }
  return counters;
}

Row counters_after(Row now, const Row& seen, const Row& set, const Row& added) {
  for (auto& [column, value] : now) {
    const Value* before = find(seen, column);
    if (before == nullptr || set.contains(column)) continue;
    const Value* amount = find(added, column);
    const auto number = [](const Value* v) {
      const auto* n = v != nullptr ? std::get_if<int64_t>(v) : nullptr;
      return n != nullptr ? *n : 0;
    };
    int64_t sum = 0;
    if (amount == nullptr || __builtin_add_overflow(number(before), number(amount), &sum)) {
      value = *before;
    } else {
      value = sum;
    }
  }
  return now;
}

Result<void> check_counters_seen(const RowState& state, const Layout& layout,
                                 const RowContext& context) {
  for (const auto& group : layout.groups) {
    if (!group.policy.is_counter()) continue;
    for (const auto& floor : floors(register_of(state, group.name), group.name)) {
      if (context.covers(Dot{floor.origin, floor.seq})) continue;
      return fail(Code::kPrecondition,
                  "the row was deleted, and its counter " + group.name +
                      " has changed since the context was given: read the row again",
                  "counter_unseen");
    }
  }
  return {};
}

Result<void> renew(RowChange& change, const RowState& state, const Layout& layout,
                   std::vector<Floor> floors) {
  if (!change.context) {
    return fail(Code::kInvalid, "to make a row anew takes a context", "context_needed");
  }
  change.inserted = true;
  change.floors = std::move(floors);
  add_bases(change, state, layout, std::nullopt);
  for (const auto& floor : change.floors) {
    if (!layout.group_of(floor.column).policy.is_counter()) {
      return fail(Code::kInvalid, "column " + floor.column + " is no counter", "not_a_counter");
    }
    if (!change.context->covers({floor.origin, floor.seq})) {
      return fail(Code::kNotReached,
                  "counter " + floor.column + " has more than the context covers",
                  "context_not_reached");
    }
  }
  return {};
}

void add_keys_set(RowChange& change, const std::vector<std::string>& columns, const RowState& state,
                  const Layout& layout, const Ranks& ranks) {
  const Verdicts verdicts = judge(state, layout, ranks);
  if (change.erase || verdicts.deleted) return;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const Group& group = layout.groups[g];
    const Register& r = register_of(state, group.name);
    const Verdict& v = verdicts.of[g];
    const Row* before = r.siblings.empty() ? nullptr : shown(r, v);
    if (before == nullptr || group.policy.commutes()) continue;
    const auto saw = [&](const Sibling& s) {
      const bool covered = !change.context || change.context->covers(s.version.dot);
      return covered && !keeps(change.kept, group.name, s.version.dot);
    };
    const bool saw_it =
        v.made ? std::all_of(r.siblings.begin(), r.siblings.end(), saw) : saw(r.siblings[v.winner]);
    bool any = false, same = saw_it;
    for (const auto& name : group.columns) {
      const Value* now = find(change.columns, name);
      if (now == nullptr || std::find(columns.begin(), columns.end(), name) == columns.end()) {
        continue;
      }
      const Value* was = find(*before, name);
      any = true;
      same = same && was != nullptr && identical(*was, *now);
    }
    if (any && same) change.keys_set.push_back({group.name, keys_set(r, v)});
  }
}

void add_old_values(RowChange& change, const Layout& layout, const std::optional<Row>& before) {
  change.old.clear();
  if (!before) return;
  const auto value = [&](const std::string& column) {
    const Value* v = find(*before, column);
    return v != nullptr ? *v : Value{Null{}};
  };
  if (change.erase) {
    for (const auto& c : layout.columns) {
      if (c.key_part == 0) change.old.emplace(c.name, value(c.name));
    }
  }
  for (const auto& [column, now] : change.columns) {
    if (Value old = value(column); !identical(old, now)) change.old.emplace(column, std::move(old));
  }
}

}  // namespace entente
