#include "conflict/counter.h"

#include <algorithm>
#include <limits>
#include <utility>

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

void put_part(Register& r, Sibling part) {
  const Origin origin = part.version.dot.origin;
  std::erase_if(r.siblings, [&](const Sibling& s) { return s.version.dot.origin == origin; });
  insert(r, std::move(part));
}

void raise_floor(Register& r, const Floor& floor) {
  const Version unknown{Hlc{}, {floor.origin, 0}};
  const Sibling* known = part_of(r, floor.origin);
  Sibling part = known != nullptr ? *known : first_addend(unknown, floor.column, int64_t{0});
  if (!part.addend) return;
  Addend& addend = *part.addend;
  if (std::pair(addend.floor_seq, addend.floor) > std::pair(floor.seq, floor.sum)) return;
  if (part.version.dot.seq <= floor.seq) {
    part.version.dot.seq = floor.seq;
    addend.sum = floor.sum;
  }
  addend.floor = floor.sum;
  addend.floor_seq = floor.seq;
  show(part, floor.column, floor.sum != 0 || is_number(part, floor.column));
  put_part(r, std::move(part));
}

// Of one origin.
bool is_older(const Version& a, const Version& b) {
  return std::pair(a.dot.seq, a.hlc) < std::pair(b.dot.seq, b.hlc);
}

}  // namespace

void add(Register& r, const Version& version, const std::string& column, const Value& x,
         const Value* y, std::span<const Floor> floors) {
  // Made anew: what no gateway has written goes.
  if (y == nullptr) std::erase_if(r.siblings, [](auto& s) { return s.version.dot == Dot{}; });
  for (const auto& floor : floors) {
    if (floor.column == column) raise_floor(r, floor);
  }
  Sibling now{version, Row{}, std::nullopt, Addend{}};
  bool as_number = !std::holds_alternative<Null>(x);
  if (const Sibling* before = part_of(r, version.dot.origin)) {
    as_number = as_number || is_number(*before, column);
    now.addend = before->addend;
  }
  now.addend->sum += number(x) - (y == nullptr ? 0 : number(*y));
  show(now, column, as_number);
  put_part(r, std::move(now));
}

std::vector<Floor> floors(const Register& r, const std::string& column) {
  std::vector<Floor> out;
  for (const auto& s : r.siblings) {
    const Dot& dot = s.version.dot;
    const bool counts = s.addend && is_number(s, column) && dot != Dot{};
    if (counts) out.push_back({column, dot.origin, dot.seq, s.addend->sum});
  }
  return out;
}

void keep_latest(std::vector<Floor>& floors, const Floor& floor) {
  const auto known = std::find_if(floors.begin(), floors.end(), [&](const Floor& f) {
    return f.column == floor.column && f.origin == floor.origin;
  });
  if (known == floors.end()) {
    floors.push_back(floor);
  } else if (known->seq < floor.seq) {
    *known = floor;
  }
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
    const bool older = is_older(mine->version, theirs.version);
    Sibling both = older ? theirs : *mine;
    const Int128 sum = older ? b_part.sum : a_part.sum;
    both.addend = Addend{sum, higher.floor, higher.floor_seq};
    show(both, column, is_number(both, column));
    put_part(out, std::move(both));
  }
  return out;
}

}  // namespace entente
