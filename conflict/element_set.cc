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

std::string column_of(const Register& a, const Register& b) {
  for (const auto* r : {&a, &b}) {
    for (const auto& s : r->siblings) {
      if (s.row && !s.row->empty()) return s.row->begin()->first;
    }
  }
  return {};
}

// Those that hold the element.
std::vector<const Sibling*> holders(const Register& r, const std::string& column,
                                    const std::string& element) {
  std::vector<const Sibling*> out;
  for (const auto& s : r.siblings) {
    if (contains(elements_of(value_of(s, column)), element)) out.push_back(&s);
  }
  return out;
}

// Whether collapsed or not, what is old comes in the order in which it is shown.
void in_order_of(const Register& shown, Register& r, const std::string& column,
                 const VersionVector& collected) {
  const Elements order = elements_of(set_total(shown, column));
  const auto place = [&](const std::string& e) {
    return std::find(order.begin(), order.end(), e) - order.begin();
  };
  for (auto& s : r.siblings) {
    if (!s.row || !collected.covers(s.version.dot)) continue;
    Elements now = elements_of(value_of(s, column));
    const auto before = [&](const auto& x, const auto& y) { return place(x) < place(y); };
    if (std::is_sorted(now.begin(), now.end(), before)) continue;
    std::stable_sort(now.begin(), now.end(), before);
    (*s.row)[column] = set_value(now);
  }
}

// Puts back what both have and nobody can have removed: whoever removes anything more has seen all
// that `collected` covers.
void keep_collapsed(Register& out, const Register& a, const Register& b, const std::string& column,
                    const VersionVector& collected) {
  const Elements theirs = elements_of(set_total(b, column));
  for (const auto& e : elements_of(set_total(a, column))) {
    if (!contains(theirs, e) || !holders(out, column, e).empty()) continue;
    auto all = holders(a, column, e);
    for (const auto* s : holders(b, column, e)) all.push_back(s);
    const bool old = std::all_of(
        all.begin(), all.end(), [&](const Sibling* s) { return collected.covers(s->version.dot); });
    if (!old) continue;
    const auto newest = *std::max_element(
        all.begin(), all.end(),
        [](const Sibling* x, const Sibling* y) { return x->version < y->version; });
    if (find(out, newest->version.dot) == nullptr) {
      insert(out, {newest->version, Row{{column, set_value({})}}});
    }
    for (auto& s : out.siblings) {
      if (s.version.dot != newest->version.dot) continue;
      Elements now = elements_of(value_of(s, column));
      now.push_back(e);
      (*s.row)[column] = set_value(now);
    }
  }
  in_order_of(a, out, column, collected);
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
                   const VersionVector& b_seen, const VersionVector& collected) {
  Register out = join(a, a_seen, b, b_seen);
  if (a.siblings.empty() || b.siblings.empty()) return out;
  const std::string column = column_of(a, b);
  for (auto& s : out.siblings) {
    const Sibling *mine = find(a, s.version.dot), *theirs = find(b, s.version.dot);
    if (mine == nullptr || theirs == nullptr) continue;
    const Elements had = elements_of(value_of(s, column));
    remove(s, column, without(had, elements_of(value_of(*mine, column))));
    remove(s, column, without(had, elements_of(value_of(*theirs, column))));
  }
  keep_collapsed(out, a, b, column, collected);
  // Each side saw removed what the other still had: the newest of them says that the set is empty.
  if (out.siblings.empty()) {
    const bool mine = b.siblings.back().version < a.siblings.back().version;
    Sibling newest = mine ? a.siblings.back() : b.siblings.back();
    if (newest.row && !newest.row->empty()) newest.row->begin()->second = set_value({});
    out.siblings.push_back(std::move(newest));
  }
  tidy(out, column);
  return out;
}

}  // namespace entente
