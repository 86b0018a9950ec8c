#include "conflict/register.h"

#include <algorithm>

namespace entente {
namespace {

bool contains(const Register& r, const Dot& d) { return find(r, d) != nullptr; }

// Moves the siblings for which `leaves` holds out of the register.
template <class Predicate>
std::vector<Sibling> take_out(Register& r, Predicate leaves) {
  std::vector<Sibling> out;
  for (auto it = r.siblings.begin(); it != r.siblings.end();) {
    if (!leaves(*it)) {
      ++it;
      continue;
    }
    out.push_back(std::move(*it));
    it = r.siblings.erase(it);
  }
  return out;
}

}  // namespace

const Sibling* find(const Register& r, const Dot& dot) {
  const auto it = std::find_if(r.siblings.begin(), r.siblings.end(),
                               [&](const Sibling& s) { return s.version.dot == dot; });
  return it == r.siblings.end() ? nullptr : &*it;
}

void insert(Register& r, Sibling s) {
  const auto at =
      std::upper_bound(r.siblings.begin(), r.siblings.end(), s,
                       [](const Sibling& a, const Sibling& b) { return a.version < b.version; });
  r.siblings.insert(at, std::move(s));
}

std::vector<Sibling> apply(Register& r, Write w) {
  if (contains(r, w.version.dot)) return {};
  auto superseded = take_out(r, [&](const Sibling& s) {
    return w.context.covers(s.version.dot) && !contains(w.kept, s.version.dot);
  });
  insert(r, {w.version, std::move(w.row), std::move(w.base), std::nullopt, w.keys_set});
  return superseded;
}

Register join(const Register& a, const VersionVector& a_seen, const Register& b,
              const VersionVector& b_seen) {
  Register out;
  const bool b_collapsed = b.siblings.size() < a.siblings.size();
  for (const auto& s : a.siblings) {
    const Sibling* theirs = find(b, s.version.dot);
    if (theirs != nullptr) {
      out.siblings.push_back(b_collapsed ? *theirs : s);
    } else if (!b_seen.covers(s.version.dot)) {
      out.siblings.push_back(s);
    }
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

}  // namespace entente
