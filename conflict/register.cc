#include "conflict/register.h"

#include <algorithm>

namespace entente {
namespace {

bool contains(std::span<const Dot> dots, const Dot& d) {
  return std::find(dots.begin(), dots.end(), d) != dots.end();
}

bool contains(const Register& r, const Dot& d) {
  return std::any_of(r.siblings.begin(), r.siblings.end(),
                     [&](const Sibling& s) { return s.version.dot == d; });
}

void insert(Register& r, Sibling s) {
  const auto at =
      std::upper_bound(r.siblings.begin(), r.siblings.end(), s,
                       [](const Sibling& a, const Sibling& b) { return a.version < b.version; });
  r.siblings.insert(at, std::move(s));
}

// Moves the siblings for which `leaves` holds out of the register.
template <class Predicate>
std::vector<Sibling> take_out(Register& r, Predicate leaves) {
  const auto gone = std::stable_partition(r.siblings.begin(), r.siblings.end(),
                                          [&](const Sibling& s) { return !leaves(s); });
  std::vector<Sibling> out(std::make_move_iterator(gone),
                           std::make_move_iterator(r.siblings.end()));
  r.siblings.erase(gone, r.siblings.end());
  return out;
}

}  // namespace

std::vector<Sibling> apply(Register& r, Write w) {
  if (contains(r, w.version.dot)) return {};
  auto superseded = take_out(r, [&](const Sibling& s) {
    return w.context.covers(s.version.dot) && !contains(w.kept, s.version.dot);
  });
  insert(r, {w.version, std::move(w.row)});
  return superseded;
}

Register join(const Register& a, const VersionVector& a_seen, const Register& b,
              const VersionVector& b_seen) {
  Register out;
  for (const auto& s : a.siblings) {
    if (contains(b, s.version.dot) || !b_seen.covers(s.version.dot)) out.siblings.push_back(s);
  }
  for (const auto& s : b.siblings) {
    if (!contains(a, s.version.dot) && !a_seen.covers(s.version.dot)) insert(out, s);
  }
  return out;
}

bool same_content(const Sibling& a, const Sibling& b) {
  if (!a.row || !b.row) return !a.row && !b.row;
  return identical(*a.row, *b.row);
}

Verdict judge(const Register& r, PolicyKind policy, const Ranks& ranks) {
  Verdict v;
  if (r.siblings.empty()) return v;
  v.winner = r.siblings.size() - 1;
  if (policy == PolicyKind::kPriority) {
    for (size_t i = r.siblings.size(); i-- > 0;) {
      if (ranks.rank(r.siblings[i].version.dot.origin) >
          ranks.rank(r.siblings[v.winner].version.dot.origin)) {
        v.winner = i;
      }
    }
  }
  v.open = policy == PolicyKind::kSiblings &&
           std::any_of(r.siblings.begin(), r.siblings.end(),
                       [&](const Sibling& s) { return !same_content(s, r.siblings[v.winner]); });
  return v;
}

std::vector<Sibling> prune(Register& r, PolicyKind policy, const Ranks& ranks) {
  if (policy != PolicyKind::kLww || r.siblings.size() < 2) return {};
  const Sibling winner = r.siblings[judge(r, policy, ranks).winner];
  return take_out(r, [&](const Sibling& s) { return !same_content(s, winner); });
}

}  // namespace entente
