#include "conflict/counter.h"

#include <algorithm>
#include <limits>

namespace entente {
namespace {

Int128 number(const Value& v) {
  const auto* n = std::get_if<int64_t>(&v);
  return n == nullptr ? 0 : *n;
}

Value clamped(Int128 n) {
  constexpr Int128 kLeast = std::numeric_limits<int64_t>::min();
  constexpr Int128 kMost = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::clamp(n, kLeast, kMost));
}

Sibling* part_of(Register& r, const Origin& origin) {
  const auto it = std::find_if(r.siblings.begin(), r.siblings.end(),
                               [&](const Sibling& s) { return s.version.dot.origin == origin; });
  return it == r.siblings.end() ? nullptr : &*it;
}

bool is_number(const Sibling& s, const std::string& column) {
  const auto it = s.row ? s.row->find(column) : Row::const_iterator();
  return s.row && it != s.row->end() && !std::holds_alternative<Null>(it->second);
}

void show(Sibling& s, const std::string& column, bool as_number) {
  s.row = Row{{column, as_number ? clamped(s.addend->sum - s.addend->floor) : Value{}}};
}

void raise_floor(Register& r, const Floor& floor) {
  Sibling* part = part_of(r, floor.origin);
  if (part == nullptr || !part->addend || part->addend->floor_seq >= floor.seq) return;
  part->addend->floor = floor.sum;
  part->addend->floor_seq = floor.seq;
  show(*part, floor.column, is_number(*part, floor.column));
}

}  // namespace

void add(Register& r, const Version& version, const std::string& column, const Value& x,
         const Value* y, std::span<const Floor> floors) {
  for (const auto& floor : floors) {
    if (floor.column == column) raise_floor(r, floor);
  }
  Sibling now{version, Row{}, std::nullopt, Addend{}};
  bool as_number = !std::holds_alternative<Null>(x);
  if (const Sibling* before = part_of(r, version.dot.origin)) {
    as_number = as_number || is_number(*before, column);
    now.addend = before->addend;
    std::erase_if(r.siblings,
                  [&](const Sibling& s) { return s.version.dot.origin == version.dot.origin; });
  }
  now.addend->sum += number(x) - (y == nullptr ? 0 : number(*y));
  show(now, column, as_number);
  insert(r, std::move(now));
}

std::vector<Floor> floors(const Register& r, const std::string& column) {
  std::vector<Floor> out;
  for (const auto& s : r.siblings) {
    if (s.addend) out.push_back({column, s.version.dot.origin, s.version.dot.seq, s.addend->sum});
  }
  return out;
}

Value total(const Register& r, const std::string& column) {
  Int128 sum = 0;
  bool any = false;
  for (const auto& s : r.siblings) {
    if (s.addend) sum += s.addend->sum - s.addend->floor;
    any |= is_number(s, column);
  }
  return any ? clamped(sum) : Value{};
}

Sibling first_addend(const Version& version, const std::string& column, const Value& value) {
  Sibling s{version, Row{}, std::nullopt, Addend{number(value), 0, 0}};
  show(s, column, !std::holds_alternative<Null>(value));
  return s;
}

Register join_counters(const Register& a, const Register& b) {
  Register out = a;
  for (const auto& theirs : b.siblings) {
    Sibling* mine = part_of(out, theirs.version.dot.origin);
    if (mine == nullptr) {
      insert(out, theirs);
      continue;
    }
    const std::string column = theirs.row && !theirs.row->empty() ? theirs.row->begin()->first : "";
    const Addend a_part = mine->addend.value_or(Addend{});
    const Addend b_part = theirs.addend.value_or(Addend{});
    const Addend& higher = b_part.floor_seq > a_part.floor_seq ? b_part : a_part;
    Sibling both = mine->version < theirs.version ? theirs : *mine;
    const Int128 sum = mine->version < theirs.version ? b_part.sum : a_part.sum;
    both.addend = Addend{sum, higher.floor, higher.floor_seq};
    show(both, column, is_number(both, column));
    std::erase_if(out.siblings, [&](const Sibling& s) {
      return s.version.dot.origin == both.version.dot.origin;
    });
    insert(out, std::move(both));
  }
  return out;
}

}  // namespace entente
