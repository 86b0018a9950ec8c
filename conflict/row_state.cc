#include "conflict/row_state.h"

#include <algorithm>
#include <utility>

#include "conflict/counter.h"
#include "conflict/element_set.h"

namespace entente {
namespace {

const Register kNever;

}  // namespace

const Register& register_of(const RowState& state, std::string_view group) {
  const auto it = state.registers.find(group);
  return it == state.registers.end() ? kNever : it->second;
}

Verdict judge(const RowState& state, const Layout& layout, const Group& group, const Ranks& ranks) {
  const Register& r = register_of(state, group.name);
  return r.siblings.empty() ? Verdict{} : judge(r, {layout, group, state.key}, ranks);
}

bool deleted(const RowState& state, const Verdict& v) {
  const Register& r = register_of(state, "");
  return r.siblings.empty() || (!v.open && shown(r, v) == nullptr);
}

Verdicts judge(const RowState& state, const Layout& layout, const Ranks& ranks) {
  std::vector<Verdict> of;
  for (const auto& group : layout.groups) of.push_back(judge(state, layout, group, ranks));
  return judged(state, std::move(of));
}

Verdicts judged(const RowState& state, std::vector<Verdict> of) {
  Verdicts out{std::move(of)};
  out.held = std::any_of(out.of.begin(), out.of.end(), [](const Verdict& v) { return v.hold; });
  out.deleted = deleted(state, out.of.front());
  return out;
}

std::optional<Row> visible(const RowState& state, const Layout& layout, const Verdicts& verdicts) {
  const bool exists = shown(register_of(state, ""), verdicts.of.front()) != nullptr;
  if (!exists || verdicts.held) return std::nullopt;
  return shown_columns(state, layout, verdicts);
}

std::optional<Row> visible(const RowState& state, const Layout& layout, const Ranks& ranks) {
  return visible(state, layout, judge(state, layout, ranks));
}

Row shown_columns(const RowState& state, const Layout& layout, const Verdicts& verdicts) {
  Row out;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const Row* columns = shown(register_of(state, layout.groups[g].name), verdicts.of[g]);
    if (columns != nullptr) out.insert(columns->begin(), columns->end());
  }
  out.insert(layout.fills.begin(), layout.fills.end());
  return out;
}

Row columns_written_by(const RowState& state, const Layout& layout, const Dot& dot) {
  Row out;
  for (const auto& group : layout.groups) {
    if (group.policy.commutes()) continue;
    for (const auto& s : register_of(state, group.name).siblings) {
      if (s.version.dot == dot && s.row) out.insert(s.row->begin(), s.row->end());
    }
  }
  return out;
}

std::vector<std::string> open_groups(const Layout& layout, const Verdicts& verdicts) {
  std::vector<std::string> open;
  if (verdicts.deleted) return open;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    if (verdicts.of[g].open) open.push_back(layout.groups[g].name);
  }
  return open;
}

bool open_conflict(const RowState& state, const Layout& layout, const Ranks& ranks) {
  return !open_groups(layout, judge(state, layout, ranks)).empty();
}

std::vector<KeptSibling> hidden_siblings(const RowState& state, const Layout& layout,
                                         const Ranks& ranks) {
  std::vector<KeptSibling> hidden;
  const Verdicts verdicts = judge(state, layout, ranks);
  if (verdicts.deleted) return hidden;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const Verdict& v = verdicts.of[g];
    if (!v.open) continue;
    const Register& r = register_of(state, layout.groups[g].name);
    for (size_t i = 0; i < r.siblings.size(); ++i) {
      if (i != v.winner) hidden.push_back({layout.groups[g].name, r.siblings[i].version.dot});
    }
  }
  return hidden;
}

namespace {

size_t bytes_of(const Row& row) {
  size_t bytes = 0;
  for (const auto& [name, value] : row) {
    bytes += name.size() + sizeof(value);
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
    if (const auto* blob = std::get_if<Blob>(&value)) bytes += blob->bytes.size();
  }
  return bytes;
}

}  // namespace

Result<void> check_siblings(const RowState& before, const RowState& after, const Layout& layout,
                            const SiblingBounds& bounds) {
  for (const auto& [name, r] : after.registers) {
    const Policy& policy = layout.group_named(name).policy;
    const size_t n = r.siblings.size();
    if (policy.commutes() || n < 2) continue;
    if (n <= register_of(before, name).siblings.size()) continue;
    size_t bytes = 0;
    for (const auto& sibling : r.siblings) bytes += sibling.row ? bytes_of(*sibling.row) : 0;
    if (n <= bounds.siblings && bytes <= bounds.bytes) continue;
    return fail(Code::kConstraint,
                "the row would hold " + std::to_string(n) + " values of " + std::to_string(bytes) +
                    " bytes that nobody has decided between (limits.siblings is " +
                    std::to_string(bounds.siblings) +
                    "): read it with ?siblings=all, and write with that context",
                "too_many_siblings");
  }
  return {};
}

std::vector<KeptSibling> unseen_siblings(const RowState& state, const Layout& layout,
                                         const RowContext& context) {
  std::vector<KeptSibling> unseen;
  const VersionVector ceiling = context.ceiling();
  for (const auto& group : layout.groups) {
    if (group.policy.commutes()) continue;
    for (const auto& s : register_of(state, group.name).siblings) {
      const Dot& d = s.version.dot;
      if (ceiling.covers(d) && !context.covers(d)) unseen.push_back({group.name, d});
    }
  }
  return unseen;
}

RowContext seen_after(const RowState& before, const RowContext& context,
                      const std::vector<KeptSibling>& kept, VersionVector applied) {
  std::vector<Dot> seen, unseen;
  for (const auto& [group, r] : before.registers) {
    for (const auto& s : r.siblings) {
      const Dot& d = s.version.dot;
      const bool saw = context.covers(d) && !keeps(kept, group, d);
      (saw ? seen : unseen).push_back(d);
    }
  }
  std::erase_if(seen, [&](const Dot& d) { return contains(unseen, d); });
  return context_without(std::move(applied), unseen, seen);
}

std::optional<Resolution> resolve(const RowState& state, const Layout& layout, const Ranks& ranks) {
  const Verdicts verdicts = judge(state, layout, ranks);
  Resolution out;
  bool any = false;
  for (size_t g = 0; g < layout.groups.size() && !verdicts.deleted; ++g) {
    const Group& group = layout.groups[g];
    if (!verdicts.of[g].open || group.policy.run != RunWhen::kRead) continue;
    const Register& r = register_of(state, group.name);
    const Verdict v = decide(r, {layout, group, state.key}, ranks);
    if (v.open) continue;
    any = true;
    const Row* row = shown(r, v);
    if (row == nullptr) return Resolution{true, {}};
    out.columns.insert(row->begin(), row->end());
  }
  if (!any) return std::nullopt;
  return out;
}

bool collapse(RowState& state, const Layout& layout, const VersionVector& stable,
              const Ranks& ranks) {
  const auto settled = [&](const Register& r) {
    return std::all_of(r.siblings.begin(), r.siblings.end(),
                       [&](const Sibling& s) { return stable.covers(s.version.dot); });
  };
  const auto may_go = [&](const auto& entry) {
    return settled(entry.second) && !layout.group_named(entry.first).policy.is_counter();
  };
  const Verdicts verdicts = judge(state, layout, ranks);
  if (verdicts.deleted && std::all_of(state.registers.begin(), state.registers.end(), may_go)) {
    state.registers.clear();
    return true;
  }
  bool any = false;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const auto it = state.registers.find(layout.groups[g].name);
    if (it == state.registers.end() || verdicts.of[g].open) continue;
    Register& r = it->second;
    const bool has_more = r.siblings.size() > 1 || (!r.siblings.empty() && r.siblings[0].base);
    if (!has_more || layout.groups[g].policy.is_counter() || !settled(r)) continue;
    r.siblings = {shown_sibling(r, verdicts.of[g])};
    any = true;
  }
  return any;
}

std::vector<KeptSibling> lasting_siblings(const RowState& state, const Layout& layout,
                                          const VersionVector& promised, const Ranks& ranks) {
  std::vector<KeptSibling> lasting;
  const Verdicts verdicts = judge(state, layout, ranks);
  if (verdicts.deleted) return lasting;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const PolicyKind kind = layout.groups[g].policy.kind;
    const bool picks =
        kind == PolicyKind::kLww || kind == PolicyKind::kPriority || kind == PolicyKind::kSiblings;
    const Verdict& v = verdicts.of[g];
    const Register& r = register_of(state, layout.groups[g].name);
    for (size_t i = 0; i < r.siblings.size(); ++i) {
      const Dot& d = r.siblings[i].version.dot;
      const bool lasts = v.open || (picks && i == v.winner);
      if (lasts && promised.covers(d)) lasting.push_back({layout.groups[g].name, d});
    }
  }
  return lasting;
}

RowState join(const RowState& a, const VersionVector& a_seen, const RowState& b,
              const VersionVector& b_seen, const VersionVector& collected, const Layout& layout) {
  RowState out{a.key.empty() ? b.key : a.key, {}};
  for (const auto* side : {&a, &b}) {
    for (const auto& [name, r] : side->registers) {
      if (out.registers.contains(name)) continue;
      const Register &mine = register_of(a, name), &theirs = register_of(b, name);
      const Group& group = layout.group_named(name);
      Register both = group.policy.is_counter() && group.name == name ? join_counters(mine, theirs)
                      : group.policy.is_set() && group.name == name
                          ? join_sets(mine, a_seen, theirs, b_seen, collected)
                          : join(mine, a_seen, theirs, b_seen);
      if (!both.siblings.empty()) out.registers.emplace(name, std::move(both));
    }
  }
  return out;
}

bool has_news(const RowState& state, const Knows& knows, const Layout& layout) {
  if (layout.has_sets()) return true;
  return std::any_of(state.registers.begin(), state.registers.end(), [&](const auto& named) {
    const auto& siblings = named.second.siblings;
    return std::any_of(siblings.begin(), siblings.end(),
                       [&](const Sibling& s) { return !knows(s.version); });
  });
}

}  // namespace entente
