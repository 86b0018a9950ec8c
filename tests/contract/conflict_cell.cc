#include "tests/contract/conflict_cell.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "conflict/handler.h"

namespace entente::contract {
namespace {

using Values = PolicyCase::Values;

// Adds what it is given, column by column; a row that somebody erased stays erased.
class SumHandler final : public Handler {
 public:
  Result<Decision> decide(const Conflict& conflict) const override {
    Decision d;
    d.kind = Decision::Kind::kRow;
    for (const auto& s : conflict.siblings) {
      if (s.row == nullptr) {
        d.kind = Decision::Kind::kDelete;
        return d;
      }
      for (const auto& [name, value] : *s.row) {
        auto& sum = d.row.try_emplace(name, int64_t{0}).first->second;
        sum = std::get<int64_t>(sum) + std::get<int64_t>(value);
      }
    }
    return d;
  }
  const std::string& version() const override { return version_; }

 private:
  const std::string version_ = "test:sum";
};

Policy policy_of(PolicyKind kind) {
  Policy p;
  p.kind = kind;
  return p;
}

Policy merge_of(MergeKind kind, RunWhen run = RunWhen::kWrite) {
  Policy p = policy_of(PolicyKind::kMerge);
  p.merge = kind;
  p.run = run;
  return p;
}

Policy sum_of(RunWhen run) {
  Policy p = policy_of(PolicyKind::kHandler);
  p.handler = "sum";
  p.run_this = std::make_shared<SumHandler>();
  p.run = run;
  return p;
}

// ---- Values ------------------------------------------------------------------------------------

using Members = std::map<std::string, int>;

Value json(const Members& members) {
  std::string text = "{";
  for (const auto& [name, n] : members) {
    text += (text.size() > 1 ? ",\"" : "\"") + name + "\":" + std::to_string(n);
  }
  return text + "}";
}

Members members_of(const Value& v) {
  Members out;
  std::stringstream in(std::get<std::string>(v));
  for (std::string part; std::getline(in, part, ',');) {
    const auto from = part.find('"') + 1, to = part.find('"', from);
    out[part.substr(from, to - from)] = std::stoi(part.substr(part.find(':') + 1));
  }
  return out;
}

using Elements = std::set<std::string>;

Value array(const Elements& elements) {
  std::string text = "[";
  for (const auto& e : elements) text += (text.size() > 1 ? ",\"" : "\"") + e + "\"";
  return text + "]";
}

// In any order.
Elements elements_of(const Value& v) {
  Elements out;
  if (!std::holds_alternative<std::string>(v)) return out;
  std::stringstream in(std::get<std::string>(v));
  for (std::string part; std::getline(in, part, ',');) {
    const auto from = part.find('"');
    if (from == std::string::npos) continue;
    out.insert(part.substr(from + 1, part.find('"', from + 1) - from - 1));
  }
  return out;
}

std::vector<std::string> lines_of(const Value& v) {
  std::vector<std::string> out;
  std::stringstream in(std::get<std::string>(v));
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

std::string who(int side) { return side < 0 ? "base" : side == 0 ? "a" : "b"; }

// v as a side updates it; -1: as it was.
Value updated(Values values, int side) {
  switch (values) {
    case Values::kInteger:
      return std::array<int64_t, 3>{100, 107, 130}[static_cast<size_t>(side + 1)];
    case Values::kText:
      return who(side);
    case Values::kJson: {
      Members m{{"k", 0}, {"c", side + 1}};
      if (side >= 0) m[who(side)] = 1;
      return json(m);
    }
    case Values::kLines:
      return (side == 0 ? "A" : "1") + std::string("\n2\n3\n4\n") + (side == 1 ? "B" : "5") + "\n";
    case Values::kSet:
      return side < 0 ? array({"k", "d"}) : side == 0 ? array({"k", "a"}) : array({"b", "d", "k"});
  }
  return {};
}

// A column as a side writes it who starts from nothing, or its other column.
Value fresh(Values values, const std::string& name, int64_t number) {
  switch (values) {
    case Values::kInteger:
      return number;
    case Values::kText:
      return name;
    case Values::kJson:
      return json({{name, 1}, {"z", static_cast<int>(number)}});
    case Values::kLines:
      return name + "\n";
    case Values::kSet:
      return array({name});
  }
  return {};
}

// ---- What two values become --------------------------------------------------------------------

struct Two {
  const Value &earlier, &later;
  const Value* base;  // what the later one started from
  int later_side;
};

Value three_way_json(const Two& two) {
  const Members base = two.base != nullptr ? members_of(*two.base) : Members{};
  const Members earlier = members_of(two.earlier);
  Members out = members_of(two.later);
  const auto in = [](const Members& m, const std::string& name) -> std::optional<int> {
    const auto it = m.find(name);
    return it == m.end() ? std::nullopt : std::optional(it->second);
  };
  std::set<std::string> names;
  for (const auto* m : {&base, &earlier}) {
    for (const auto& [name, n] : *m) names.insert(name);
  }
  for (const auto& name : names) {
    if (in(out, name) != in(base, name)) continue;  // the later one changed it
    out.erase(name);
    if (const auto n = in(earlier, name)) out[name] = *n;
  }
  return json(out);
}

Value three_way_lines(const Two& two) {
  if (two.base == nullptr) return two.later;
  const auto base = lines_of(*two.base), earlier = lines_of(two.earlier),
             later = lines_of(two.later);
  if (two.later == *two.base) return two.earlier;
  if (base.size() != earlier.size()) return two.later;  // it is all new
  std::string text;
  for (size_t i = 0; i < base.size(); ++i)
    text += (later[i] != base[i] ? later : earlier)[i] + "\n";
  return text;
}

Value merged(MergeKind kind, const Two& two) {
  switch (kind) {
    case MergeKind::kConcat: {
      const auto [least, most] =
          std::minmax(std::get<std::string>(two.earlier), std::get<std::string>(two.later));
      return least == most ? least : least + "/" + most;
    }
    case MergeKind::kMin:
      return std::min(std::get<int64_t>(two.earlier), std::get<int64_t>(two.later));
    case MergeKind::kMax:
      return std::max(std::get<int64_t>(two.earlier), std::get<int64_t>(two.later));
    case MergeKind::kJson:
      return three_way_json(two);
    case MergeKind::kText:
      return three_way_lines(two);
    case MergeKind::kUnion:
      break;
  }
  return {};
}

constexpr int kRanksHighest = 0;

// Of two different values.
Value decided(const Policy& policy, const Two& two) {
  switch (policy.kind) {
    case PolicyKind::kPriority:
      return two.later_side == kRanksHighest ? two.later : two.earlier;
    case PolicyKind::kMerge:
      return merged(policy.merge, two);
    case PolicyKind::kHandler:
      return std::get<int64_t>(two.earlier) + std::get<int64_t>(two.later);
    case PolicyKind::kLww:
    case PolicyKind::kSiblings:
    case PolicyKind::kCounter:
      break;
  }
  return two.later;
}

using Member = std::optional<Value> Left::*;
using Piece = Value Pieces::*;

// One column while the row exists, where writes add up.
Value summed(const PolicyCase& policy, const Keyed& key, Member wrote, Piece was) {
  const auto& [a, b] = key.sides;
  const bool anew = !key.before || (a && a->made_anew) || (b && b->made_anew);
  const Value* before = key.before ? &((*key.before).*was) : nullptr;
  if (policy.policy.is_counter()) {
    int64_t sum = anew ? 0 : std::get<int64_t>(*before);
    for (const auto& side : key.sides) {
      if (!side || !((*side).*wrote)) continue;
      sum += std::get<int64_t>(*((*side).*wrote));
      if (!side->made_anew) sum -= std::get<int64_t>(*before);
    }
    return sum;
  }
  const Elements old = before != nullptr ? elements_of(*before) : Elements{};
  Elements out = old, added;
  for (const auto& side : key.sides) {
    if (!side || !((*side).*wrote)) continue;
    const Elements now = elements_of(*((*side).*wrote));
    for (const auto& e : old) {
      if (side->made_anew || !now.contains(e)) out.erase(e);
    }
    for (const auto& e : now) {
      if (side->made_anew || !old.contains(e)) added.insert(e);
    }
  }
  out.merge(added);
  return array(out);
}

// One column while the row exists; `open` is set when nobody decides.
Value column_of(const Policy& policy, const Keyed& key, Member wrote, Piece was, bool& open) {
  const auto value = [&](int side) -> const Value* {
    const auto& left = key.sides[static_cast<size_t>(side)];
    return left && !left->erased && (*left).*wrote ? &*((*left).*wrote) : nullptr;
  };
  const int earlier = 1 - key.later;
  if (value(earlier) == nullptr && value(key.later) == nullptr) return (*key.before).*was;
  if (value(earlier) == nullptr) return *value(key.later);
  if (value(key.later) == nullptr || *value(earlier) == *value(key.later)) return *value(earlier);
  if (policy.leaves_open()) {
    open = true;
    return *value(key.later);
  }
  const auto& last = key.sides[static_cast<size_t>(key.later)];
  const Value* base = last->made_anew || !key.before ? nullptr : &((*key.before).*was);
  return decided(policy, {*value(earlier), *value(key.later), base, key.later});
}

// Which of an erase and a put stands; nothing: nobody decides.
struct Stands {
  bool put = false, open = false;
};
Stands erase_against_put(const TableCase& table, const Policy& policy, const Keyed& key) {
  if (table.delete_update == DeleteUpdate::kDeleteWins) return {false, false};
  if (table.delete_update == DeleteUpdate::kUpdateWins) return {true, false};
  const bool later_put = !key.sides[static_cast<size_t>(key.later)]->erased;
  if (policy.leaves_open()) return {later_put, true};
  if (policy.kind == PolicyKind::kHandler) return {false, false};
  if (policy.kind == PolicyKind::kPriority) return {!key.sides[kRanksHighest]->erased, false};
  return {later_put, false};
}

Keyed whole_rows(Keyed key) {
  for (auto& side : key.sides) {
    if (!side || side->erased || !key.before) continue;
    if (!side->v) side->v = key.before->v;
    if (!side->w) side->w = key.before->w;
  }
  return key;
}

Outcome outcome_of(const TableCase& table, const Policy& policy, Keyed key) {
  Outcome out;
  const auto& [a, b] = key.sides;
  if (!a && !b) {
    out.row = key.before;
    return out;
  }
  bool exists = (a && !a->erased) || (b && !b->erased);
  if (a && b && a->erased != b->erased) {
    const Stands stands = erase_against_put(table, policy, key);
    exists = stands.put;
    out.open = stands.open;
  }
  if (!exists) return out;
  if (policy.is_counter() || policy.is_set()) {
    out.row = Pieces{summed(table.policy, key, &Left::v, &Pieces::v),
                     summed(table.policy, key, &Left::w, &Pieces::w)};
    return out;
  }
  bool open = false;
  if (table.granularity == Granularity::kRow) {
    key = whole_rows(key);
    const bool two = a && b && !a->erased && !b->erased;
    // One of the rows is taken whole, also where only one of its columns differs.
    if (two && policy.leaves_open() && (a->v != b->v || a->w != b->w)) {
      const Left& last = *key.sides[static_cast<size_t>(key.later)];
      return {Pieces{*last.v, *last.w}, true};
    }
    if (two && policy.kind == PolicyKind::kHandler && (a->v != b->v || a->w != b->w)) {
      const auto sum = [](const Value& x, const Value& y) {
        return Value(std::get<int64_t>(x) + std::get<int64_t>(y));
      };
      return {Pieces{sum(*a->v, *b->v), sum(*a->w, *b->w)}, false};
    }
  }
  out.row = Pieces{column_of(policy, key, &Left::v, &Pieces::v, open),
                   column_of(policy, key, &Left::w, &Pieces::w, open)};
  out.open |= open;
  return out;
}

}  // namespace

bool Pair::has_erase() const {
  const auto erases = [](Act a) {
    return a != Act::kInsert && a != Act::kUpdate && a != Act::kUpdateOther;
  };
  return erases(first) || erases(second);
}

std::vector<Pair> pairs() {
  return {{"insert-insert", Act::kInsert, Act::kInsert},
          {"update-update", Act::kUpdate, Act::kUpdate},
          {"update-update (other column)", Act::kUpdate, Act::kUpdateOther},
          {"update-delete", Act::kUpdate, Act::kErase},
          {"delete-update", Act::kErase, Act::kUpdate},
          {"delete-delete", Act::kErase, Act::kErase},
          {"reinsert-update", Act::kRecreate, Act::kUpdate},
          {"update-reinsert", Act::kUpdate, Act::kRecreate},
          {"reinsert-delete", Act::kRecreate, Act::kErase},
          {"delete-reinsert", Act::kErase, Act::kRecreate},
          {"reinsert-reinsert", Act::kRecreate, Act::kRecreate},
          {"new key-update", Act::kMove, Act::kUpdate},
          {"update-new key", Act::kUpdate, Act::kMove},
          {"new key-delete", Act::kMove, Act::kErase},
          {"delete-new key", Act::kErase, Act::kMove},
          {"new key-reinsert", Act::kMove, Act::kRecreate},
          {"new key-new key", Act::kMove, Act::kMove},
          {"new key-new key (the same)", Act::kMoveToSame, Act::kMoveToSame},
          {"new key-insert there", Act::kMoveToSame, Act::kInsertThere}};
}

std::vector<PolicyCase> policy_cases() {
  return {{"lww", policy_of(PolicyKind::kLww), Values::kText},
          {"priority", policy_of(PolicyKind::kPriority), Values::kText},
          {"siblings", policy_of(PolicyKind::kSiblings), Values::kText},
          {"concat", merge_of(MergeKind::kConcat), Values::kText},
          {"concat:read", merge_of(MergeKind::kConcat, RunWhen::kRead), Values::kText},
          {"union", merge_of(MergeKind::kUnion), Values::kSet},
          {"json", merge_of(MergeKind::kJson), Values::kJson},
          {"text", merge_of(MergeKind::kText), Values::kLines},
          {"min", merge_of(MergeKind::kMin), Values::kInteger},
          {"max", merge_of(MergeKind::kMax), Values::kInteger},
          {"counter", policy_of(PolicyKind::kCounter), Values::kInteger},
          {"handler", sum_of(RunWhen::kWrite), Values::kInteger},
          {"handler:read", sum_of(RunWhen::kRead), Values::kInteger}};
}

bool TableCase::takes(const Pair& pair) const {
  return delete_update == DeleteUpdate::kPolicy || pair.has_erase();
}

TableRules TableCase::rules() const {
  TableRules r;
  r.policy = policy.policy;
  r.granularity = granularity;
  r.delete_update = delete_update;
  return r;
}

TableDef TableCase::def() const {
  const bool number = policy.values == Values::kInteger;
  const std::string type = number ? "INTEGER" : "TEXT";
  const Affinity affinity = number ? Affinity::kInteger : Affinity::kText;
  TableDef t{name, {}};
  t.columns.push_back({"id", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1});
  t.columns.push_back({"v", type, affinity, Collation::kBinary, false, 0});
  t.columns.push_back({"w", type, affinity, Collation::kBinary, false, 0});
  return t;
}

std::vector<TableCase> table_cases() {
  std::vector<TableCase> out;
  for (const auto& policy : policy_cases()) {
    for (const auto granularity : {Granularity::kRow, Granularity::kColumn}) {
      for (const auto rule :
           {DeleteUpdate::kPolicy, DeleteUpdate::kDeleteWins, DeleteUpdate::kUpdateWins}) {
        std::string name = "t" + std::to_string(out.size());
        out.push_back({std::move(name), policy, granularity, rule});
      }
    }
  }
  return out;
}

Pieces written_by(const PolicyCase& policy, int side, Act act) {
  const Values values = policy.values;
  if (side < 0) return {updated(values, -1), fresh(values, "w", 1000)};
  const std::string name = who(side);
  const bool anew = act != Act::kUpdate && act != Act::kUpdateOther;
  return {anew ? fresh(values, "new" + name, 11 + side) : updated(values, side),
          fresh(values, "w" + name, 2000 + side)};
}

Outcome expected(const TableCase& table, const Keyed& key) {
  return outcome_of(table, table.policy.policy, key);
}

Outcome expected_after_read(const TableCase& table, const Keyed& key) {
  Policy policy = table.policy.policy;
  policy.run = RunWhen::kWrite;
  return outcome_of(table, policy, key);
}

bool nobody_decides(const TableCase& table, const Keyed& key) {
  return table.policy.policy.kind == PolicyKind::kSiblings && expected(table, key).open;
}

Outcome expected_after_pick(const TableCase& table, const Keyed& key) {
  if (!nobody_decides(table, key)) return expected_after_read(table, key);
  const Left& picked = *key.sides[0];
  if (picked.erased) return {};
  // What it did not write: with whole rows what it found, otherwise what stands in that column.
  const Left& other = *key.sides[1];
  const bool by_column = table.granularity == Granularity::kColumn;
  const auto piece = [&](Member wrote, Piece was) {
    if (picked.*wrote) return *(picked.*wrote);
    return by_column && other.*wrote ? *(other.*wrote) : (*key.before).*was;
  };
  return {Pieces{piece(&Left::v, &Pieces::v), piece(&Left::w, &Pieces::w)}, false};
}

std::string comparable(const PolicyCase& policy, const Value& v) {
  return describe(policy.values == Values::kSet ? array(elements_of(v)) : v);
}

}  // namespace entente::contract
