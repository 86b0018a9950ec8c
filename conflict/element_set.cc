#include "conflict/element_set.h"

#include <algorithm>
#include <iterator>

#include "conflict/merge.h"

namespace entente {
namespace {

using Elements = std::vector<std::string>;

bool contains(const Elements& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

Elements without(Elements from, const Elements& these) {
  std::erase_if(from, [&](const std::string& e) { return contains(these, e); });
  return from;
}

// What is no array has none: columns with this policy refuse it where it is written.
Elements elements_of(const Value& v) { return set_elements(v).value_or(Elements{}); }

const Value& value_of(const Sibling& s, const std::string& column) {
  static const Value kNull;
  if (!s.row) return kNull;
  const auto it = s.row->find(column);
  return it == s.row->end() ? kNull : it->second;
}

bool is_empty(const Sibling& s, const std::string& column) {
  return elements_of(value_of(s, column)).empty();
}

// A sibling without elements says only that the set is empty: one does, and only if it is.
void tidy(Register& r, const std::string& column) {
  const bool any = std::any_of(r.siblings.begin(), r.siblings.end(),
                               [&](const Sibling& s) { return !is_empty(s, column); });
  if (any) {
    std::erase_if(r.siblings, [&](const Sibling& s) { return is_empty(s, column); });
  } else if (r.siblings.size() > 1) {
    r.siblings.erase(r.siblings.begin(), std::prev(r.siblings.end()));
  }
}

void remove(Sibling& s, const std::string& column, const Elements& gone) {
  const Elements had = elements_of(value_of(s, column));
  const Elements left = without(had, gone);
  if (left.size() != had.size()) (*s.row)[column] = set_value(left);
}

}  // namespace

void write_set(Register& r, const Version& version, const VersionVector& seen,
               const std::string& column, const Value& x, const Value* y) {
  const Elements now = elements_of(x);
  const Elements before = y == nullptr ? Elements{} : elements_of(*y);
  const Elements gone = without(before, now);
  if (y == nullptr) {
    std::erase_if(r.siblings, [&](const Sibling& s) { return seen.covers(s.version.dot); });
  } else {
    for (auto& s : r.siblings) {
      if (seen.covers(s.version.dot)) remove(s, column, gone);
    }
  }
  Sibling added{version, Row{{column, x}}};
  if (!before.empty()) (*added.row)[column] = set_value(without(now, before));
  insert(r, std::move(added));
  tidy(r, column);
}

Value set_total(const Register& r, const std::string& column) {
  if (r.siblings.size() == 1) return value_of(r.siblings.front(), column);
  Elements all;
  for (const auto& s : r.siblings) {
    for (auto& e : elements_of(value_of(s, column))) {
      if (!contains(all, e)) all.push_back(std::move(e));
    }
  }
  return all.empty() ? Value{} : set_value(all);
}

Register join_sets(const Register& a, const VersionVector& a_seen, const Register& b,
                   const VersionVector& b_seen) {
  Register out = join(a, a_seen, b, b_seen);
  for (auto& s : out.siblings) {
    const auto theirs = std::find_if(b.siblings.begin(), b.siblings.end(), [&](const Sibling& t) {
      return t.version.dot == s.version.dot;
    });
    if (theirs == b.siblings.end() || !s.row || s.row->empty()) continue;
    const std::string column = s.row->begin()->first;
    const Elements mine = elements_of(value_of(s, column));
    remove(s, column, without(mine, elements_of(value_of(*theirs, column))));
  }
  // Each side saw removed what the other still had: the newest of them says that the set is empty.
  if (out.siblings.empty() && !(a.siblings.empty() && b.siblings.empty())) {
    const bool mine = b.siblings.empty() || (!a.siblings.empty() &&
                                             b.siblings.back().version < a.siblings.back().version);
    Sibling newest = mine ? a.siblings.back() : b.siblings.back();
    if (newest.row && !newest.row->empty()) newest.row->begin()->second = set_value({});
    out.siblings.push_back(std::move(newest));
  }
  const Sibling* any = out.siblings.empty() ? nullptr : &out.siblings.front();
  if (any != nullptr && any->row && !any->row->empty()) {
    tidy(out, std::string(any->row->begin()->first));
  }
  return out;
}

}  // namespace entente
