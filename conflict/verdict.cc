#include "conflict/verdict.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <functional>

#include "conflict/counter.h"
#include "conflict/element_set.h"
#include "conflict/handler.h"
#include "conflict/merge.h"

namespace entente {
namespace {

// In the register's order; not empty.
using Candidates = boost::container::small_vector<const Sibling*, 4>;

bool is_existence(const Group& group) { return group.name.empty(); }

bool all_say_the_same(const Candidates& all) {
  return std::all_of(all.begin(), all.end(),
                     [&](const Sibling* s) { return same_content(*s, *all.back()); });
}

// An erase against puts, where the table has a rule of its own for it: those that it leaves.
Candidates after_delete_rule(const Register& r, const Subject& subject) {
  Candidates puts, erases, all;
  for (const auto& s : r.siblings) {
    all.push_back(&s);
    (s.row ? puts : erases).push_back(&s);
  }
  if (!is_existence(subject.group) || puts.empty() || erases.empty()) return all;
  switch (subject.layout.delete_update) {
    case DeleteUpdate::kDeleteWins:
      return erases;
    case DeleteUpdate::kUpdateWins:
      return puts;
    case DeleteUpdate::kPolicy:
      break;
  }
  return all;
}

size_t index_of(const Register& r, const Sibling* s) {
  return static_cast<size_t>(s - r.siblings.data());
}

const Sibling* highest_rank(const Candidates& all, const Ranks& ranks) {
  const Sibling* best = all.back();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (ranks.rank((*it)->version.dot.origin) > ranks.rank(best->version.dot.origin)) best = *it;
  }
  return best;
}

// ---- Merges ------------------------------------------------------------------------------------

// A merge takes what was put since the newest erase: an erase is no value to merge.
Candidates since_last_erase(const Candidates& all) {
  Candidates out;
  for (const auto* s : all) {
    if (!s->row) out.clear();
    if (s->row) out.push_back(s);
  }
  return all.back()->row ? out : Candidates{all.back()};
}

std::vector<Value> values_of(const Candidates& all, const std::string& column) {
  std::vector<Value> out;
  for (const auto* s : all) {
    const auto it = s->row->find(column);
    out.push_back(it == s->row->end() ? Value{} : it->second);
  }
  return out;
}

// Each one's change since its base, on top of what the older ones made.
Value merge_changes(const Candidates& all, const std::string& column, const Policy& policy) {
  const auto values = values_of(all, column);
  Value merged = values.front();
  for (size_t i = 1; i < values.size(); ++i) {
    const auto& from = all[i]->base;
    const auto it = from ? from->find(column) : Row::const_iterator();
    const Value* base = from && it != from->end() ? &it->second : nullptr;
    merged = policy.merge == MergeKind::kJson ? merge_json(base, merged, values[i])
                                              : merge_text(base, merged, values[i], policy.markers);
  }
  return merged;
}

Value merged(const Candidates& all, const std::string& column, const Policy& policy) {
  switch (policy.merge) {
    case MergeKind::kConcat:
      return merge_concat(values_of(all, column), policy.separator);
    case MergeKind::kMin:
      return merge_min(values_of(all, column));
    case MergeKind::kMax:
      return merge_max(values_of(all, column));
    case MergeKind::kJson:
    case MergeKind::kText:
      return merge_changes(all, column, policy);
    case MergeKind::kUnion:
      break;  // a set has its own register
  }
  return values_of(all, column).back();
}

std::optional<Row> merged_row(const Candidates& all, const Policy& policy) {
  const Candidates puts = since_last_erase(all);
  if (puts.size() < 2) return std::nullopt;
  Row row = *puts.back()->row;
  for (auto& [column, value] : row) value = merged(puts, column, policy);
  return row;
}

// ---- Handlers ----------------------------------------------------------------------------------

std::string kind_of(const Candidates& all) {
  size_t erases = 0;
  for (const auto* s : all) erases += !s->row;
  if (erases == all.size()) return "delete-delete";
  if (erases > 0) return "update-delete";
  const bool based =
      std::any_of(all.begin(), all.end(), [](auto* s) { return s->base.has_value(); });
  return based ? "update-update" : "insert-insert";
}

Conflict conflict_of(const Candidates& all, const Subject& subject, const Ranks& ranks,
                     const std::string& kind) {
  Conflict c{kind, subject.layout.table, subject.group.name, {}, nullptr, {}};
  const auto parts = key_parts(subject.key);
  for (const auto& column : subject.layout.columns) {
    if (parts && column.key_part > 0 && column.key_part <= parts->size()) {
      c.key.emplace_back(column.name, (*parts)[column.key_part - 1u]);
    }
  }
  for (const auto* s : all) {
    if (c.base == nullptr && s->base) c.base = &*s->base;
    c.siblings.push_back(
        {ranks.dc(s->version.dot.origin), s->version.hlc, s->row ? &*s->row : nullptr});
  }
  return c;
}

bool is_number(Affinity a) {
  return a == Affinity::kInteger || a == Affinity::kReal || a == Affinity::kNumeric;
}

// What the column would hold; nothing if it cannot.
std::optional<Value> fitting(const ColumnDef& column, const Value& v) {
  if (column.not_null && std::holds_alternative<Null>(v)) return std::nullopt;
  Value held = apply_affinity(column.affinity, v);
  const bool bytes = std::holds_alternative<Blob>(held);
  const bool text = std::holds_alternative<std::string>(held);
  if (is_number(column.affinity) && (text || bytes)) return std::nullopt;
  if (column.affinity == Affinity::kText && bytes) return std::nullopt;
  return held;
}

const ColumnDef* find(const Layout& layout, std::string_view name) {
  const auto it = std::find_if(layout.columns.begin(), layout.columns.end(),
                               [&](const ColumnDef& c) { return c.name == name; });
  return it == layout.columns.end() ? nullptr : &*it;
}

Result<Row> checked(const Row& answer, const Candidates& all, const Subject& subject) {
  Row row;
  for (const auto* s : all) {
    if (s->row) row = *s->row;  // what the answer leaves out is the newest value
  }
  for (const auto& [name, value] : answer) {
    const auto& names = subject.group.columns;
    const ColumnDef* column = find(subject.layout, name);
    if (std::find(names.begin(), names.end(), name) == names.end() || column == nullptr) {
      return fail(Code::kInvalid, "it answered a column that it was not asked about: " + name);
    }
    auto held = fitting(*column, value);
    if (!held) {
      return fail(Code::kInvalid, "it answered " + describe(value) + " for column " + name +
                                      ", which is declared " + column->type +
                                      (column->not_null ? " NOT NULL" : ""));
    }
    row.insert_or_assign(name, std::move(*held));
  }
  return row;
}

void take(const Decision& decision, const Candidates& all, const Register& r,
          const Subject& subject, Verdict& v) {
  const auto failed = [&](std::string why) {
    v.open = true;
    v.failure = std::move(why);
  };
  switch (decision.kind) {
    case Decision::Kind::kRow:
      if (auto row = checked(decision.row, all, subject)) {
        v.made = std::move(*row);
      } else {
        failed(row.error().text);
      }
      return;
    case Decision::Kind::kPick:
      if (decision.pick >= all.size()) return failed("it picked a value that is not there");
      v.winner = index_of(r, all[decision.pick]);
      return;
    case Decision::Kind::kDelete:
      if (!is_existence(subject.group)) return failed("it deleted a column: only rows can be");
      v.erased = true;
      return;
    case Decision::Kind::kKeep:
      v.open = true;
      return;
    case Decision::Kind::kHold:
      v.open = v.hold = true;
      return;
  }
}

void ask_handler(const Candidates& all, const Register& r, const Subject& subject,
                 const Ranks& ranks, Verdict& v) {
  const auto& handler = subject.group.policy.run_this;
  if (handler == nullptr) {
    v.open = true;
    v.failure = "it is not loaded";
    return;
  }
  const std::string kind = kind_of(all);
  const auto decision = handler->decide(conflict_of(all, subject, ranks, kind));
  if (decision) return take(*decision, all, r, subject, v);
  v.open = true;
  v.failure = decision.error().text;
}

// ---- All of them -------------------------------------------------------------------------------

Verdict verdict(const Register& r, const Subject& subject, const Ranks& ranks, bool on_read) {
  const Policy& policy = subject.group.policy;
  Verdict v;
  v.winner = r.siblings.size() - 1;
  if (policy.is_counter() && !is_existence(subject.group)) {
    const std::string& column = subject.group.columns.front();
    if (r.siblings.size() > 1) v.made = Row{{column, total(r, column)}};
    return v;
  }
  if (policy.is_set() && !is_existence(subject.group)) {
    const std::string& column = subject.group.columns.front();
    if (r.siblings.size() > 1) v.made = Row{{column, set_total(r, column)}};
    return v;
  }
  if (r.siblings.size() == 1) return v;
  const Candidates all = after_delete_rule(r, subject);
  v.winner = index_of(r, all.back());
  if (all_say_the_same(all)) return v;
  if (policy.leaves_open() && !(on_read && policy.kind != PolicyKind::kSiblings)) {
    v.open = true;
    return v;
  }
  switch (policy.kind) {
    case PolicyKind::kPriority:
      v.winner = index_of(r, highest_rank(all, ranks));
      break;
    case PolicyKind::kMerge:
      v.made = merged_row(all, policy);
      break;
    case PolicyKind::kHandler:
      ask_handler(all, r, subject, ranks, v);
      break;
    case PolicyKind::kLww:
    case PolicyKind::kSiblings:
    case PolicyKind::kCounter:
      break;
  }
  return v;
}

}  // namespace

Verdict judge(const Register& r, const Subject& subject, const Ranks& ranks) {
  return verdict(r, subject, ranks, false);
}

Verdict decide(const Register& r, const Subject& subject, const Ranks& ranks) {
  return verdict(r, subject, ranks, true);
}

const Row* shown(const Register& r, const Verdict& v) {
  if (v.erased || r.siblings.empty()) return nullptr;
  if (v.made) return &*v.made;
  const auto& row = r.siblings[v.winner].row;
  return row ? &*row : nullptr;
}

Version keys_set(const Register& r, const Verdict& v) {
  Version newest = keys_set(r.siblings[v.winner]);
  if (!v.made) return newest;
  for (const auto& s : r.siblings) newest = std::max(newest, keys_set(s));
  return newest;
}

Sibling shown_sibling(const Register& r, const Verdict& v) {
  const Row* row = shown(r, v);
  Sibling s{r.siblings[v.winner].version, std::nullopt};
  if (row == nullptr) return s;
  s.row = *row;
  if (const Version set = keys_set(r, v); set != s.version) s.keys_set = set;
  return s;
}

bool says_the_same(const Sibling& s, const Register& r, const Verdict& v) {
  const Row* row = shown(r, v);
  if (!s.row || row == nullptr) return !s.row && row == nullptr;
  return identical(*s.row, *row);
}

bool forgets_losers(const Group& group, const Layout& layout) {
  return group.policy.kind == PolicyKind::kLww &&
         (!is_existence(group) || layout.delete_update == DeleteUpdate::kPolicy);
}

void prune(Register& r, const Subject& subject, const Ranks& ranks) {
  if (r.siblings.size() < 2 || !forgets_losers(subject.group, subject.layout)) return;
  const Sibling winner = r.siblings[judge(r, subject, ranks).winner];
  std::erase_if(r.siblings, [&](const Sibling& s) { return !same_content(s, winner); });
}

}  // namespace entente
